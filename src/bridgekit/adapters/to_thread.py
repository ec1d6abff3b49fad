"""Call synchronous functions from asynchronous code, on a worker thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import fields
from typing import Any, ParamSpec, TypeVar, cast, overload

from bridgekit.engine.affinity import Affinity
from bridgekit.engine.crossing import cross, start
from bridgekit.engine.hosts import current_host
from bridgekit.engine.limiter import CapacityLimiter
from bridgekit.engine.options import CallOptions, ContextMode, OnAbandoned
from bridgekit.engine.statistics import ThreadStatistics, pool_statistics
from bridgekit.engine.work import Work
from bridgekit.engine.workers import shared_pool

__all__ = ["ThreadStatistics", "get_max_workers", "run_sync", "set_max_workers", "statistics"]

P = ParamSpec("P")
T = TypeVar("T")


# A call without options is checked argument by argument; with one, whichever, the function's
# arguments are not: sync_to_async(func, limiter=...)(...) is the form that checks both.


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    limiter: CapacityLimiter | None,
    executor: Executor | None = ...,
    timeout: float | None = ...,
    abandon_on_cancel: bool = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    executor: Executor | None,
    limiter: CapacityLimiter | None = ...,
    timeout: float | None = ...,
    abandon_on_cancel: bool = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    timeout: float | None,
    limiter: CapacityLimiter | None = ...,
    executor: Executor | None = ...,
    abandon_on_cancel: bool = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    abandon_on_cancel: bool,
    limiter: CapacityLimiter | None = ...,
    executor: Executor | None = ...,
    timeout: float | None = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    cancel_grace: float | None,
    limiter: CapacityLimiter | None = ...,
    executor: Executor | None = ...,
    timeout: float | None = ...,
    abandon_on_cancel: bool = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    affinity: Affinity,
    limiter: CapacityLimiter | None = ...,
    executor: Executor | None = ...,
    timeout: float | None = ...,
    abandon_on_cancel: bool = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    context: ContextMode = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(
    func: Callable[..., T],
    /,
    *args: Any,
    context: ContextMode,
    limiter: CapacityLimiter | None = ...,
    executor: Executor | None = ...,
    timeout: float | None = ...,
    abandon_on_cancel: bool = ...,
    cancel_grace: float | None = ...,
    on_abandoned: OnAbandoned | None = ...,
    affinity: Affinity = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def run_sync(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...


# The options are picked out of the keywords: thousands of calls may be waiting, and a coroutine has
# room for each of its variables, and for the widest call it makes, as long as it lives.
async def run_sync(func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
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
    :param executor: run in this executor's threads instead of the pool. It is then the executor
        that bounds the calls and picks the thread, so an affinity cannot be given.
    :param timeout: seconds, waiting for a token and for a thread included. Then the call is
        cancelled as described above, and ``TimeoutError`` is raised where ``CancelledError`` would.
    :param abandon_on_cancel: leave at once when cancelled. The function goes on in its thread, it
        keeps its token until it ends, and its result is dropped.
    :param cancel_grace: when cancelled, wait so many seconds for the function to end; then leave
        it behind as with ``abandon_on_cancel``, and log a warning.
    :param on_abandoned: called with the result (or None) and the exception (or None) of a function
        that was left behind, on its thread, when it has ended: the place to give back what it
        returned.
    :param affinity: which thread: ``"chain"`` (the parked thread of this chain of calls, or the
        pool), ``"context"`` (one thread for the whole ``ThreadSensitiveContext``), ``"main"``.
    :param context: ``"propagate"`` runs the function in a copy of the task's context and carries
        back what it has changed. ``"share"`` runs it in the task's own context, so that a token
        of ``ContextVar.set`` may be used in a later call. Such a function may not ask for
        coroutines, and no other task may run in the same context meanwhile.
    :raises TimeoutError: the timeout is over.
    :raises ValueError: options that exclude each other.
    :raises RuntimeError: ``context="share"`` and the task's own context cannot be found.
    :raises DeadlockError: ``affinity="main"`` and the main thread cannot serve the call.
    """
    if kwargs and not _OPTIONS.isdisjoint(kwargs):
        crossing = _with_options(func, args, kwargs)
        del func, args, kwargs
        return await crossing
    host = current_host()
    if host.checkpoints:
        await host.checkpoint()
    work = Work(host, func, args, kwargs)
    try:
        start(work, func)
        del func, args, kwargs
        if work.ended:
            if host.must_give_way():
                return cast(T, await work.give_way_and_finish())
            return cast(T, work.finish())
        return cast(T, await work.outcome())
    except BaseException as error:
        if not work.ended:
            work.desert(error)
        raise


_OPTIONS = frozenset(field.name for field in fields(CallOptions))


def _with_options(
    func: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Coroutine[Any, Any, T]:
    options = CallOptions(**{name: kwargs.pop(name) for name in _OPTIONS & kwargs.keys()})
    return cross(func, args, kwargs, options)


def _signature(
    func: Callable[..., T],
    /,
    *args: Any,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
    timeout: float | None = None,
    abandon_on_cancel: bool = False,
    cancel_grace: float | None = None,
    on_abandoned: OnAbandoned | None = None,
    affinity: Affinity = "chain",
    context: ContextMode = "propagate",
    **kwargs: Any,
) -> T:
    raise NotImplementedError


run_sync.__signature__ = inspect.signature(_signature)  # type: ignore[attr-defined]


async def run_call(
    call: Callable[[], T],
    *,
    limiter: CapacityLimiter | None,
    abandon_on_cancel: bool,
    affinity: Affinity,
    executor: Executor | None = None,
) -> T:
    """:func:`run_sync` for a call without arguments; ``executor`` replaces the affinity."""
    options = CallOptions(
        limiter=limiter,
        executor=executor,
        abandon_on_cancel=abandon_on_cancel,
        affinity="chain" if executor is not None else affinity,
    )
    crossing = cross(call, (), {}, options)
    del call
    return cast(T, await crossing)


def get_max_workers() -> int:
    """The bound of this process's worker pool."""
    return shared_pool().max_workers


def set_max_workers(value: int) -> None:
    """Change the bound of this process's worker pool.

    :raises ValueError: less than one.
    """
    shared_pool().max_workers = value


def statistics() -> ThreadStatistics:
    """How busy this process's worker pool is now: for a metric, a health check or a log.

    Calls with an ``executor`` or with affinity ``"context"`` or ``"main"`` are not run by the pool;
    of them only ``abandoned`` tells.
    """
    return pool_statistics(shared_pool())
