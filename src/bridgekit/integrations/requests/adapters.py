"""Adapters and retries: `HTTPAdapter`, `Retry`."""

from __future__ import annotations

from .._requests.adapters import DEFAULT_POOLSIZE, BaseAdapter
from .._requests.retry import Retry
from ._bound import HTTPAdapter

__all__ = [
    "DEFAULT_POOLSIZE",
    "BaseAdapter",
    "HTTPAdapter",
    "Retry",
]
