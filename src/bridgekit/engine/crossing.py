"""Sending a call from a task to a thread, with all the options, and its outcome back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Any

from bridgekit.engine import workers
from bridgekit.engine.affinity import dispatch, token_of_chain
from bridgekit.engine.hosts import Host, current_host
from bridgekit.engine.lane import CURRENT_LANE
from bridgekit.engine.options import CallOptions
from bridgekit.engine.waits import monitor  # noqa: F401 - here, not when a call has to queue
from bridgekit.engine.work import Work

__all__ = ["cross", "start"]

# A call that keeps the loop's thread from the interpreter lock for longer than this, seconds,
# is not started in the middle of the loop's turn the next times, but at its end.
_SHORT = 1e-4
_NEXT_TIMES = 32
_MOST_KEPT = 1000
# With more than so many tasks ready, others are likely to make calls in this turn of the loop, too.
# One thread then does all the short ones in one go, instead of one after the other with two
# switches between threads for each.
_CROWD = 3
_long_calls: dict[object, int] = {}


def start(work: Work, func: Callable[..., Any]) -> None:
    """Send a call of ``func`` to the chain's thread or the pool.

    It may have ended when this returns. Whatever exception keeps the caller from awaiting the
    outcome, from here on, must be told to the work (:meth:`Work.desert`).
    """
    if CURRENT_LANE.get() is not None:
        dispatch(work, "chain")
        return
    pool = workers._pool or workers.shared_pool()
    host = work.host
    kind = getattr(func, "__code__", func.__class__)
    if len(host.ready) > _CROWD or kind in _long_calls:
        _start_later(host, pool, work, kind)
        return
    begun = perf_counter()
    pool.submit(work)
    if work.ended and perf_counter() - begun > _SHORT:
        if len(_long_calls) >= _MOST_KEPT:
            _long_calls.clear()
        _long_calls[kind] = _NEXT_TIMES


def _start_later(host: Host, pool: workers.WorkerPool, work: Work, kind: object) -> None:
    left = _long_calls.get(kind)
    if left is not None:
        if left > 1:
            _long_calls[kind] = left - 1
        else:
            _long_calls.pop(kind, None)
    pool.submit_later(work)
    host.later(pool.wake_for_queue)


async def cross(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: CallOptions,
) -> Any:
    """Call ``func(*args, **kwargs)`` on a thread and await its outcome."""
    host = current_host()
    if options.timeout is not None:
        async with host.timeout(options.timeout):
            return await _cross(host, func, args, kwargs, options)
    return await _cross(host, func, args, kwargs, options)


async def _cross(
    host: Host,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: CallOptions,
) -> Any:
    if host.checkpoints:
        await host.checkpoint()
    limiter = options.limiter
    token = token_of_chain(limiter) if limiter is not None else None
    work = Work(host, func, args, kwargs)
    del func, args, kwargs
    if options.abandon_on_cancel or options.cancel_grace is not None:
        work.abandon = options.abandon_on_cancel
        work.grace = options.cancel_grace
        work.on_abandoned = options.on_abandoned
        work.departure = [None]
    try:
        if token is not None:
            if not token.acquire_nowait():
                await token.acquire()
            work.on_end = [token.release]  # no call here, where a signal handler could strike
            work.limiter = limiter
        if options.context == "share":
            work.share(host.task_context())
            # Not before the task sleeps: until then the loop's thread is in its context.
            context = copy_context()
            host.call_soon(lambda: context.run(_send_or_fail, work, options))
        else:
            _send(work, options)
        if work.ended:
            if host.must_give_way():
                return await work.give_way_and_finish()
            return work.finish()
        return await work.outcome()
    except BaseException as error:
        if not work.ended:
            work.desert(error)  # gives the token back
        raise


def _send(work: Work, options: CallOptions) -> None:
    if options.executor is not None:
        future = options.executor.submit(work.run)
        if future is not None:
            future.add_done_callback(partial(_fail_if_dropped, work))
    else:
        dispatch(work, options.affinity)


def _send_or_fail(work: Work, options: CallOptions) -> None:
    if not work.waits_for_thread:
        return  # cancelled meanwhile
    try:
        _send(work, options)
    except BaseException as error:
        work.fail(error)


def _fail_if_dropped(work: Work, done: Future[Any]) -> None:
    """The user's executor has dealt with the call; see that it has also begun it."""
    if done.cancelled():
        work.fail(CancelledError("the executor was shut down before the call began"))
    else:
        work.fail(done.exception() or RuntimeError("the executor has not run the call"))
