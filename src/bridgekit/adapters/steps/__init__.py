"""Calls that belong together: all on one thread, or all in one task, and in one context."""
