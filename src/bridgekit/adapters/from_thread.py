"""Reach back from a worker thread to the task that awaits it."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bridgekit.adapters.call_site import describe
from bridgekit.adapters.loop_thread import refuse_on_loop_thread
from bridgekit.engine.call import Call, current_work
from bridgekit.engine.wish import Errand

__all__ = ["check_cancelled", "run", "run_sync"]

T = TypeVar("T")


def _work_for(func: Callable[..., Any], what: str) -> Call:
    work = current_work()
    if work is None:
        raise RuntimeError(
            f"{what}({describe(func)}) was called on a thread that no task of an event loop is "
            "waiting for; use async_to_sync or a BlockingPortal there"
        )
    return work


def run(afunc: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
    """Await ``afunc(*args, **kwargs)`` in the task that awaits this worker thread.

    :raises RuntimeError: this thread is not a worker that a task is waiting for.
    :raises asyncio.CancelledError: that task has been cancelled meanwhile.
    """
    suspend = refuse_on_loop_thread(afunc, "from_thread.run")
    result: T
    if suspend is not None:
        result = suspend(functools.partial(afunc, *args, **kwargs))
    else:
        result = _work_for(afunc, "from_thread.run").ask(afunc, args, kwargs)
    return result


def run_sync(func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call ``func(*args, **kwargs)`` on the event loop's thread, in the task that awaits this one.

    The function must not block. It is called even if that task has been cancelled: code that
    cleans up may rely on it.

    :raises RuntimeError: this thread is not a worker that a task is waiting for.
    """

    async def call() -> T:
        return func(*args, **kwargs)

    suspend = refuse_on_loop_thread(func, "from_thread.run_sync")
    result: T
    if suspend is not None:
        result = suspend(call)
    else:
        result = _work_for(func, "from_thread.run_sync").ask(call, kind=Errand)
    return result


def check_cancelled() -> None:
    """Raise if the task that awaits this worker thread has been cancelled.

    It raises every time it is asked; having raised, it leaves ``async_to_sync`` usable for
    cleaning up.

    :raises asyncio.CancelledError: the task has been cancelled.
    :raises RuntimeError: this thread is not a worker that a task is waiting for.
    """
    suspend = refuse_on_loop_thread(check_cancelled, "from_thread.check_cancelled")
    if suspend is not None:
        suspend(_raise_if_cancelled)
        return
    work = _work_for(check_cancelled, "from_thread.check_cancelled")
    if work.cancelled:
        work.cancel_pending = False
        raise work.host.cancellation(work)


async def _raise_if_cancelled() -> None:
    if asyncio._get_running_loop() is None:
        await sys.modules["trio"].lowlevel.checkpoint_if_cancelled()
        return
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        await asyncio.sleep(0)  # delivers a cancellation that has not been raised yet
        raise asyncio.CancelledError("the awaiting task was cancelled")
