"""The walk: asks the rules for the steps, one after the other or all at once from one reading."""
