"""Which functions the model says become async, held against what people made async by hand."""
