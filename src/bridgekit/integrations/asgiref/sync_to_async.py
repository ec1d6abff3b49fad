"""``SyncToAsync``: a synchronous function called from asynchronous code, by asgiref's rules.

What differs from :func:`bridgekit.sync_to_async` is asgiref's choice and its users rely on it:
calls are thread-sensitive by default, a cancelled caller leaves at once, and the exception that
the caller is handling is visible to the function.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Generic, ParamSpec, TypeVar

from bridgekit.adapters.to_thread import run_call
from bridgekit.engine.affinity import Affinity
from bridgekit.errors import DeadlockError
from bridgekit.integrations.asgiref import original
from bridgekit.integrations.asgiref.callers import LOOP_EXECUTORS
from bridgekit.integrations.asgiref.contexts import (
    CONTEXT_EXECUTORS,
    THREAD_SENSITIVE_CONTEXT,
    ThreadSensitiveContext,
)
from bridgekit.integrations.asgiref.current_thread_executor import CURRENT_EXECUTOR
from bridgekit.integrations.asgiref.handled import ExceptionInfo, handling
from bridgekit.integrations.asgiref.left_behind import Serving
from bridgekit.integrations.asgiref.lines import Arrival, current_line
from bridgekit.integrations.asgiref.marks import makes_coroutine, markcoroutinefunction
from bridgekit.integrations.asgiref.pool import POOL

__all__ = ["SyncToAsync"]

P = ParamSpec("P")
T = TypeVar("T")

_PROCESS = "the process's thread for thread-sensitive calls"


class _Serving(threading.local):
    """For whom this thread is running thread-sensitive calls now, the innermost last."""

    owners: tuple[object, ...] = ()


_serving = _Serving()


class _Turn:
    """The turn of the loop in which a call begins.

    The engine may be through with a short call in the same turn. What was written for asgiref
    counts on other tasks having had their turn when a call has ended.
    """

    __slots__ = ("_over",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._over = False
        loop.call_soon(self._end)

    def _end(self) -> None:
        self._over = True

    async def ended(self) -> None:
        """Return in a later turn than the one in which the call began."""
        if not self._over:
            await asyncio.sleep(0)


class SyncToAsync(Generic[P, T]):
    """Makes a synchronous callable awaitable; it runs in a thread.

    A thread-sensitive call runs on the thread of the outer synchronous code: the one that is
    parked in ``async_to_sync`` further up; else the thread of the ``ThreadSensitiveContext``; else
    one thread of the process. Any other call runs in the worker pool, or in ``executor``.

    Context variables cross both ways, those that differ are written back. With ``context`` the
    call runs in that context and nothing is written back.

    **Cancellation.** A call that no thread has taken yet never runs. The caller leaves at once
    while the thread works (it goes on, its result is dropped). If the thread waits for a
    coroutine, the coroutine is cancelled, and what the thread makes of it decides.

    :raises TypeError: ``func`` is no synchronous callable, or an executor was given to a
        thread-sensitive call.
    """

    # The names under which asgiref's users reach its state.
    thread_sensitive_context = THREAD_SENSITIVE_CONTEXT
    context_to_thread_executor = CONTEXT_EXECUTORS
    threadlocal = threading.local()
    # Set by programs that want other threads than one for calls outside of any context.
    single_thread_executor: Executor | None = None

    def __init__(
        self,
        func: Callable[P, T],
        thread_sensitive: bool = True,
        executor: Executor | None = None,
        context: contextvars.Context | None = None,
    ) -> None:
        if not callable(func) or makes_coroutine(func):
            raise TypeError("sync_to_async can only be applied to sync functions.")
        if thread_sensitive and executor is not None:
            raise TypeError("executor must not be set when thread_sensitive is True")
        functools.update_wrapper(self, func)
        self.func = func
        self.context = context
        self._thread_sensitive = thread_sensitive
        self._executor = executor
        markcoroutinefunction(self)
        owner = getattr(func, "__self__", None)
        if owner is not None:
            self.__self__ = owner

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        __traceback_hide__ = True
        loop = asyncio.get_running_loop()
        affinity, executor, owner = self._route(loop)
        call = functools.partial(
            self._on_thread,
            loop,
            sys.exc_info(),
            owner,
            current_line(),
            functools.partial(self.func, *args, **kwargs),
        )
        context = owner if isinstance(owner, ThreadSensitiveContext) else None
        if context is not None:
            context.call_begins()
        left_behind = False
        turn = _Turn(loop)
        try:
            try:
                result: T = await run_call(
                    call, limiter=None, abandon_on_cancel=True, affinity=affinity, executor=executor
                )
            except Exception:
                await turn.ended()
                raise
            await turn.ended()
        except (asyncio.CancelledError, GeneratorExit):
            left_behind = True
            raise
        finally:
            del call
            if context is not None and not left_behind:
                context.call_ended()
            original.bring_home()
        return result

    def __get__(self, parent: Any, objtype: Any = None) -> Callable[..., Coroutine[Any, Any, T]]:
        if parent is None:
            return self
        bound = functools.partial(self.__call__, parent)
        return functools.update_wrapper(bound, self.func)

    def _route(
        self, loop: asyncio.AbstractEventLoop
    ) -> tuple[Affinity, Executor | None, object | None]:
        """(affinity, executor, owner of the thread if the call is thread-sensitive).

        :raises DeadlockError: that thread is the one that runs this loop, so it cannot be had.
        """
        if not self._thread_sensitive:
            return "chain", self._executor or POOL, None
        parked_elsewhere = original.parked_thread()
        if parked_elsewhere is not None:
            return "chain", parked_elsewhere, None
        owner: object
        current = CURRENT_EXECUTOR.get()
        if current is not None:
            current = current.innermost_open()
        context = THREAD_SENSITIVE_CONTEXT.get(None)
        executor: Executor | None = None
        if current is not None:
            owner = current
            busy = current.is_current_thread()
        else:
            if context is not None:
                owner = context
                executor = CONTEXT_EXECUTORS.get(context)
                if executor is None and context.closed:
                    executor = context.executor_for_late_call()
            else:
                owner = _PROCESS
                executor = LOOP_EXECUTORS.get(loop) or self.single_thread_executor
            busy = owner in _serving.owners
        if busy:
            raise DeadlockError(
                "Single thread executor already being used, would deadlock: this event loop runs "
                "on the thread that thread-sensitive calls share here (was it started there by "
                "asyncio.run?), so the call could never start. Use async_to_sync to run "
                "coroutines in thread-sensitive code, or thread_sensitive=False for this call."
            )
        return "context", executor, owner

    def _on_thread(
        self,
        loop: asyncio.AbstractEventLoop,
        exc_info: ExceptionInfo,
        owner: object | None,
        line: object,
        child: functools.partial[T],
    ) -> T:
        """On the worker thread, in the context of the caller."""
        __traceback_hide__ = True
        outer = _serving.owners
        if owner is not None:
            _serving.owners = (*outer, owner)
        try:
            handler = functools.partial(
                self.thread_handler, loop, exc_info, [], functools.partial(self._enter, line), child
            )
            with Serving():
                result: T = original.in_worker_of(loop, handler)
            return result
        finally:
            _serving.owners = outer

    def _enter(self, line: object, child: Callable[[], T]) -> T:
        __traceback_hide__ = True
        if self.context is not None:
            return self.context.run(_run_here, line, child)
        return _run_here(line, child)

    def thread_handler(
        self,
        loop: asyncio.AbstractEventLoop,
        exc_info: ExceptionInfo,
        task_context: list[asyncio.Task[Any]],
        func: Callable[..., T],
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Called on the worker thread to run ``func(*args, **kwargs)``.

        Monitoring agents override or wrap it. ``args[0]`` is a ``functools.partial`` of the
        wrapped function and its arguments; ``func`` enters the caller's context and calls it.
        """
        __traceback_hide__ = True
        return handling(exc_info, func, *args, **kwargs)


def _run_here(line: object, child: Callable[[], T]) -> T:
    __traceback_hide__ = True
    with Arrival(line), original.Visit(None, set_executor=False):
        return child()
