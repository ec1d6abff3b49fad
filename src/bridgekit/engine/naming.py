"""What functions, tasks and threads are called in messages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["describe"]


def describe(func: Callable[..., Any]) -> str:
    """``module.qualified_name`` of a function, looking through partials."""
    while isinstance(func, functools.partial):
        func = func.func
    name = getattr(func, "__qualname__", None)
    if name is None:
        func, name = type(func), type(func).__qualname__
    return f"{getattr(func, '__module__', None) or '?'}.{name}"
