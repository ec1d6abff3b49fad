"""`codes`: names of status codes."""

from __future__ import annotations

from .._requests.status_codes import codes

__all__ = [
    "codes",
]
