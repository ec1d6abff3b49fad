"""Names for error messages: of a function, and of the line that called into the bridge."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["caller_line", "describe"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def describe(func: Callable[..., Any]) -> str:
    """``module.qualified_name`` of a function, looking through partials."""
    while isinstance(func, functools.partial):
        func = func.func
    name = getattr(func, "__qualname__", None)
    if name is None:
        func, name = type(func), type(func).__qualname__
    return f"{getattr(func, '__module__', None) or '?'}.{name}"


def caller_line() -> str:
    """``file:line`` of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
