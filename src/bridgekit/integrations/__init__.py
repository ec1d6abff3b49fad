"""Bridges to the libraries that programs are built on: one module each, imported on demand."""
