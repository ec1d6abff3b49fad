"""`Session` and its defaults."""

from __future__ import annotations

from .._requests.settings import DEFAULT_REDIRECT_LIMIT, default_headers
from ._bound import AsyncClient, Session

__all__ = [
    "DEFAULT_REDIRECT_LIMIT",
    "AsyncClient",
    "Session",
    "default_headers",
]
