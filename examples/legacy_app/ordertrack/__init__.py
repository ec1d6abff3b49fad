"""Order tracking for a small shop."""

from ordertrack.app import create_app

__all__ = ["create_app"]
