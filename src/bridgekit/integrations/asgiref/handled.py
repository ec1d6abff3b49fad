"""The exception that the caller of a bridge is handling, visible on the other side.

Code called from an ``except`` block may look at ``sys.exc_info()`` or use a bare ``raise``; error
pages do. The native adapters do not offer this: it makes the exception known to a second thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

__all__ = ["ExceptionInfo", "awaiting", "handling"]

T = TypeVar("T")

ExceptionInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def handling(exc_info: ExceptionInfo, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call ``func`` as from within the ``except`` block that ``exc_info`` was taken in."""
    __traceback_hide__ = True
    error = exc_info[1]
    del exc_info
    if error is None:
        return func(*args, **kwargs)
    traceback = error.__traceback__
    try:
        raise error
    except BaseException:
        # Without the entries of this frame, which the exception would keep alive.
        error.__traceback__ = traceback
        return func(*args, **kwargs)
    finally:
        del error, traceback


async def awaiting(exc_info: ExceptionInfo, start: Callable[[], Awaitable[T]]) -> T:
    """The same for a coroutine, started by ``start()``."""
    __traceback_hide__ = True
    error = exc_info[1]
    del exc_info
    if error is None:
        return await start()
    traceback = error.__traceback__
    try:
        raise error
    except BaseException:
        error.__traceback__ = traceback
        return await start()
    finally:
        del error, traceback
