"""Walks a program through the steps of a plan: each one guarded, recorded and reversible."""
