"""Call synchronous functions from asynchronous code, on a worker thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from bridgekit.engine.affinity import Affinity, dispatch, holder_of
from bridgekit.engine.limiter import CapacityLimiter
from bridgekit.engine.work import Work
from bridgekit.engine.workers import shared_pool

__all__ = ["get_max_workers", "run_sync", "set_max_workers"]

T = TypeVar("T")


async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    limiter: CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
    affinity: Affinity = "chain",
    **kwargs: Any,
) -> T:
    """Call ``func(*args, **kwargs)`` on a worker thread and await its result.

    The call sees the context variables of this task, and what it sets comes back. An exception
    crosses unchanged; ``StopIteration`` becomes a ``RuntimeError`` with it as its cause. A
    coroutine that the function asks for (``async_to_sync``, ``from_thread.run``) is awaited in
    this very task.

    **Cancellation.** A call that no thread has taken yet never runs. Otherwise the await is not
    left before the function has ended; then ``CancelledError`` is raised, whatever the function
    returned. The function can ask with ``from_thread.check_cancelled()``, and its next request
    for a coroutine raises ``CancelledError``; if it is waiting for one, that coroutine is
    cancelled. A function that catches this ``CancelledError`` and returns has swallowed the
    cancellation, as a coroutine would.

    :param limiter: take a token of it for the time the thread works. A call further down a chain
        that already holds a token runs under that token.
    :param abandon_on_cancel: leave at once when cancelled. The function goes on in its thread, it
        keeps its token until it ends, and its result is dropped.
    :param affinity: which thread: ``"chain"`` (the parked thread of this chain of calls, or the
        pool), ``"context"`` (one thread for the whole ``ThreadSensitiveContext``), ``"main"``.
    :raises DeadlockError: ``affinity="main"`` and the main thread cannot serve the call.
    """
    call = functools.partial(func, *args, **kwargs)
    del func, args, kwargs
    result: T = await run_call(
        call, limiter=limiter, abandon_on_cancel=abandon_on_cancel, affinity=affinity
    )
    return result


async def run_call(
    call: Callable[[], T],
    *,
    limiter: CapacityLimiter | None,
    abandon_on_cancel: bool,
    affinity: Affinity,
    executor: Executor | None = None,
) -> T:
    """:func:`run_sync` for a call without arguments; ``executor`` replaces the affinity."""
    held = holder_of(limiter) if limiter is not None else None
    take_token = limiter is not None and held is None
    if limiter is not None and take_token:
        await limiter.acquire()
    work = Work(call, abandon_on_cancel=abandon_on_cancel, limiter=limiter)
    if limiter is not None and take_token:
        work.add_end_callback(limiter.release)
    del call
    try:
        if executor is not None:
            executor.submit(work.run)
        elif held is None or not held.offer(work)[0]:
            dispatch(work, affinity)
    except BaseException as error:
        work.fail(error)  # gives the token back
        raise
    result: T = await work.outcome()
    return result


def get_max_workers() -> int:
    """The bound of this process's worker pool."""
    return shared_pool().max_workers


def set_max_workers(value: int) -> None:
    """Change the bound of this process's worker pool.

    :raises ValueError: less than one.
    """
    shared_pool().max_workers = value
