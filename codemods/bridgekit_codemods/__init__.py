"""Codemods that move the colour frontier of a program from sync to async, step by step."""
