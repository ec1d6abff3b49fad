"""Which functions become async, in which order, and what stands in the way."""
