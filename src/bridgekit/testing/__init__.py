"""Help for testing code that is, or becomes, async."""
