"""``sync_to_async`` and ``async_to_sync``: functions of one colour made into the other."""

from __future__ import annotations

import functools
import inspect
import sys
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, cast, overload

from bridgekit.adapters.call_site import describe
from bridgekit.adapters.loop_thread import refuse_on_loop_thread, suspension
from bridgekit.engine.affinity import Affinity
from bridgekit.engine.call import thread_state
from bridgekit.engine.crossing import cross, start
from bridgekit.engine.foreign import foreign_loop, foreign_trio
from bridgekit.engine.hosts import current_host, runs_trio
from bridgekit.engine.limiter import CapacityLimiter
from bridgekit.engine.options import CallOptions, ContextMode, OnAbandoned
from bridgekit.engine.portal import call_on_loop, portal_loop
from bridgekit.engine.serving import serving_loop
from bridgekit.engine.work import Work

__all__ = ["async_to_sync", "refuse_on_loop_thread", "sync_to_async"]

P = ParamSpec("P")
T = TypeVar("T")

# What inspect.markcoroutinefunction (3.12+) and asgiref set on a function that returns a
# coroutine; functools.wraps copies it.
_COROUTINE_MARKS = ("_is_coroutine_mark", "_is_coroutine_marker", "_is_coroutine")

_modules = sys.modules
_PLAIN = CallOptions()


def run_coroutine(func: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
    """Wait on this thread for ``func(...)``, on the loop that the thread belongs to.

    Not on a thread that is running a loop, unless the call stack can be suspended: see
    :func:`refuse_on_loop_thread`, which the caller calls first.
    """
    if _get_running_loop() is not None or ("trio" in _modules and runs_trio()):
        suspend = suspension()
        if suspend is not None:
            return cast(T, suspend(functools.partial(func, *args, **kwargs)))
    return cast(T, _wait_for(func, args, kwargs))


def _wait_for(
    func: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    work = thread_state.work
    if work is not None and work.has_host:
        if not work.asking:
            return work.ask(func, args, kwargs)
        # A signal handler, in the middle of a wait for a coroutine in the host task.
        loop = getattr(work.host, "loop", None)
        if loop is not None:
            return call_on_loop(loop, func, *args, **kwargs)
    if "trio" in _modules:
        call_on_trio = foreign_trio()
        if call_on_trio is not None:
            return call_on_trio(func, args, kwargs)
    loop = foreign_loop() or serving_loop()
    if loop is not None:
        return call_on_loop(loop, func, *args, **kwargs)
    return portal_loop().wait_for(func, args, kwargs)


@overload
def async_to_sync(afunc: Callable[P, Awaitable[T]]) -> Callable[P, T]: ...


@overload
def async_to_sync() -> Callable[[Callable[P, Awaitable[T]]], Callable[P, T]]: ...


def async_to_sync(afunc: Callable[..., Awaitable[Any]] | None = None) -> Callable[..., Any]:
    """Make an asynchronous function callable from synchronous code.

    On a worker thread that a loop started, the coroutine is awaited inside the task that awaits
    the worker. On any other thread it runs as a task of the loop that serves the process, if a
    server runs one, else of the process's portal loop. Context
    variables cross both ways, exceptions cross unchanged. While the thread waits, it serves the
    synchronous calls of its own chain, so nesting never needs a further thread.

    Ctrl-C (or any exception raised by a signal handler) while waiting cancels the coroutine, waits
    for its end and is then raised; a second one is raised at once.

    :raises LoopThreadError: when the result is called on a thread that is running an event loop.
        No coroutine is created then.
    """
    if afunc is None:
        return async_to_sync
    if isinstance(afunc, (staticmethod, classmethod)):
        return cast(Callable[..., Any], type(afunc)(async_to_sync(afunc.__func__)))
    target = afunc

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _get_running_loop() is not None or ("trio" in _modules and runs_trio()):
            suspend = refuse_on_loop_thread(target, "async_to_sync")
            if suspend is not None:
                return suspend(functools.partial(target, *args, **kwargs))
        return _wait_for(target, args, kwargs)

    functools.update_wrapper(wrapper, afunc)
    for mark in _COROUTINE_MARKS:
        wrapper.__dict__.pop(mark, None)
    return wrapper


@overload
def sync_to_async(
    func: Callable[P, T],
    *,
    thread_sensitive: bool = False,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
    timeout: float | None = None,
    abandon_on_cancel: bool = False,
    cancel_grace: float | None = None,
    on_abandoned: OnAbandoned | None = None,
    context: ContextMode = "propagate",
) -> Callable[P, Coroutine[Any, Any, T]]: ...


@overload
def sync_to_async(
    func: None = None,
    *,
    thread_sensitive: bool = False,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
    timeout: float | None = None,
    abandon_on_cancel: bool = False,
    cancel_grace: float | None = None,
    on_abandoned: OnAbandoned | None = None,
    context: ContextMode = "propagate",
) -> Callable[[Callable[P, T]], Callable[P, Coroutine[Any, Any, T]]]: ...


def sync_to_async(
    func: Callable[..., Any] | None = None,
    *,
    thread_sensitive: bool = False,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
    timeout: float | None = None,
    abandon_on_cancel: bool = False,
    cancel_grace: float | None = None,
    on_abandoned: OnAbandoned | None = None,
    context: ContextMode = "propagate",
) -> Callable[..., Any]:
    """Make a synchronous function callable from asynchronous code; it runs on a worker thread.

    The options are those of :func:`to_thread.run_sync`.

    :param thread_sensitive: short for ``affinity="context"``.
    :param executor: run in this executor's threads instead of the pool. It is then the executor
        that bounds the calls and picks the thread, so an affinity cannot be given.
    :raises ValueError: ``executor`` together with an affinity, or two different affinities.
    :raises TypeError: ``func`` is a coroutine function.
    """
    if thread_sensitive and affinity not in (None, "context"):
        raise ValueError("thread_sensitive=True is affinity='context'; two were given")
    if executor is not None and (thread_sensitive or affinity is not None):
        raise ValueError("an executor picks the thread itself; it excludes an affinity")
    options = CallOptions(
        affinity=affinity or ("context" if thread_sensitive else "chain"),
        limiter=limiter,
        executor=executor,
        timeout=timeout,
        abandon_on_cancel=abandon_on_cancel,
        cancel_grace=cancel_grace,
        on_abandoned=on_abandoned,
        context=context,
    )
    if func is None:
        return functools.partial(_to_async, options=options)
    return _to_async(func, options=options)


def _to_async(func: Callable[..., Any], *, options: CallOptions) -> Callable[..., Any]:
    if isinstance(func, (staticmethod, classmethod)):
        return cast(Callable[..., Any], type(func)(_to_async(func.__func__, options=options)))
    if inspect.iscoroutinefunction(func):
        raise TypeError(f"sync_to_async: {describe(func)} is asynchronous already")
    target = func
    plain = options == _PLAIN

    if plain:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            host = current_host()
            if host.checkpoints:
                await host.checkpoint()
            work = Work(host, target, args, kwargs)
            try:
                del args, kwargs
                start(work, target)
                if work.ended:
                    if host.must_give_way():
                        return await work.give_way_and_finish()
                    return work.finish()
                return await work.outcome()
            except BaseException as error:
                if not work.ended:
                    work.desert(error)
                raise

    else:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            crossing = cross(target, args, kwargs, options)
            del args, kwargs
            return await crossing

    functools.update_wrapper(wrapper, func)
    return wrapper
