"""Which callables count as coroutine functions, and how to mark one as such.

On Python 3.12 and later these are the functions of ``inspect``; before, those of ``asyncio``, whose
mark frameworks look for.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = [
    "clear_coroutine_mark",
    "iscoroutinefunction",
    "makes_coroutine",
    "markcoroutinefunction",
]

F = TypeVar("F", bound=Callable[..., Any])

iscoroutinefunction: Callable[[Any], bool]
markcoroutinefunction: Callable[[F], F]  # pyright: ignore[reportGeneralTypeIssues]

if hasattr(inspect, "markcoroutinefunction"):
    iscoroutinefunction = inspect.iscoroutinefunction
    markcoroutinefunction = inspect.markcoroutinefunction  # pyright: ignore[reportAttributeAccessIssue]
else:
    iscoroutinefunction = asyncio.iscoroutinefunction

    def _mark(func: F) -> F:
        """Make ``iscoroutinefunction(func)`` true, for a function that returns a coroutine."""
        func._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return func

    markcoroutinefunction = _mark


def makes_coroutine(target: Callable[..., Any]) -> bool:
    """Whether a callable is a coroutine function, or an object whose ``__call__`` is one."""
    call = getattr(target, "__call__", target)  # noqa: B004
    return iscoroutinefunction(target) or iscoroutinefunction(call)


_MARKS = ("_is_coroutine_mark", "_is_coroutine_marker", "_is_coroutine")


def clear_coroutine_mark(target: object) -> None:
    """Remove a mark that ``functools.update_wrapper`` has copied to a synchronous wrapper."""
    for mark in _MARKS:
        target.__dict__.pop(mark, None)
