"""Suspend synchronous call stacks on an event loop's own thread, while coroutines run.

For synchronous code that calls ``async_to_sync`` and can neither be made asynchronous nor leave the
loop's thread. Needs the extra ``greenlet``. Elsewhere a worker thread
(:func:`to_thread.run_sync`) is the better choice: what blocks in a suspended stack blocks the loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from bridgekit.adapters.call_site import describe

__all__ = ["run_sync", "suspendable"]

P = ParamSpec("P")
T = TypeVar("T")

_drive: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None


def _load() -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    global _drive
    try:
        from bridgekit.adapters.greenlets import drive
    except ModuleNotFoundError as error:
        if error.name != "greenlet":
            raise
        raise ModuleNotFoundError(
            "suspending call stacks needs greenlet: install bridgekit-async[greenlet]",
            name="greenlet",
        ) from None
    _drive = drive
    return drive


async def run_sync(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``func(*args, **kwargs)`` on this thread, in this task, as a stack that can wait.

    Anywhere below it, ``async_to_sync``, ``from_thread.run`` and a portal's ``call`` suspend the
    stack instead of raising ``LoopThreadError``; the coroutine is awaited in this very task, and
    other tasks run meanwhile. Context variables are those of the task, in both directions.
    Cancellation arrives in the coroutine that is awaited and, from there, as an exception in the
    synchronous code; ``from_thread.check_cancelled()`` works. When the task is thrown away
    unfinished, the stack is unwound with ``GeneratorExit``.

    A call that really blocks (``time.sleep``, a socket) blocks the loop. A lock held across a
    suspension is held while other tasks run.

    :raises ModuleNotFoundError: ``greenlet`` is not installed.
    """
    drive = _drive or _load()
    result: T = await drive(functools.partial(func, *args, **kwargs))
    return result


def suspendable(func: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The asynchronous form of a synchronous function: :func:`run_sync` of it.

    :raises TypeError: ``func`` is a coroutine function.
    """
    if inspect.iscoroutinefunction(func):
        raise TypeError(f"suspendable: {describe(func)} is asynchronous already")

    @functools.wraps(func)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return await run_sync(func, *args, **kwargs)

    return wrapper
