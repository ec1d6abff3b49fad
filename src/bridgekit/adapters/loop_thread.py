"""What a synchronous wait comes to on a thread that is running an event loop.

It would stop the loop that has to run the coroutine, so it is refused, unless the call stack can be
suspended (see ``suspending``).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from bridgekit.adapters.call_site import caller_line, describe
from bridgekit.engine.hosts import runs_trio
from bridgekit.errors import LoopThreadError

__all__ = ["Suspend", "refuse_on_loop_thread", "suspension", "suspensions_come_from"]

Suspend: TypeAlias = Callable[[Callable[[], Awaitable[Any]]], Any]

_find: Callable[[], Suspend | None] | None = None


def suspensions_come_from(find: Callable[[], Suspend | None]) -> None:
    """Install the way to suspend call stacks. It is asked only on a thread that runs a loop."""
    global _find
    _find = find


def suspension() -> Suspend | None:
    """How to have a coroutine awaited while the current call stack is suspended; None if it cannot.

    On a thread that runs no loop it always is None.
    """
    return _find() if _find is not None else None


def refuse_on_loop_thread(func: Callable[..., Any], what: str) -> Suspend | None:
    """Raise if waiting here would stop an event loop that this thread is running.

    :returns: None on a thread without a loop; on a loop's thread, the way to suspend.
    :raises LoopThreadError: naming the function, the calling line, the task and the remedies.
    """
    if asyncio._get_running_loop() is None and not runs_trio():
        return None
    suspend = _find() if _find is not None else None
    if suspend is not None:
        return suspend
    task = _task_name()
    raise LoopThreadError(
        f"{what}({describe(func)}) was called at {caller_line()} on a thread that is running an "
        f"event loop{f' (task {task!r})' if task else ''}: waiting there would stop "
        f"the loop that has to run the coroutine. Await {describe(func)} instead; if the caller "
        "has to stay synchronous, let the asynchronous code run that caller in a thread: "
        f"await to_thread.run_sync(caller, ...){_suspending_remedy()}."
    )


def _task_name() -> str | None:
    if asyncio._get_running_loop() is None:
        lowlevel = sys.modules["trio"].lowlevel
        return str(lowlevel.current_task().name) if lowlevel.in_trio_task() else None
    task = asyncio.current_task()
    return task.get_name() if task is not None else None


def _suspending_remedy() -> str:
    import importlib.util  # only an error needs it

    if importlib.util.find_spec("greenlet") is None:
        return ""
    return (
        "; or, if it may not leave this thread, suspend it here while the coroutine runs: "
        "await suspending.run_sync(caller, ...)"
    )
