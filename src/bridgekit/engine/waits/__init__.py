"""Deadlock detection: who waits for whom, and which of these waits can never end."""
