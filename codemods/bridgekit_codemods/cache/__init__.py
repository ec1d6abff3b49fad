"""Results that are kept on disk between runs, for as long as all that they follow from stays."""
