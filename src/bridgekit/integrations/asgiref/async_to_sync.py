"""``AsyncToSync``: an asynchronous function called from synchronous code, by asgiref's rules."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from bridgekit.adapters.calls import run_coroutine
from bridgekit.adapters.contexts import calling_thread_context
from bridgekit.adapters.loop_thread import refuse_on_loop_thread
from bridgekit.adapters.portal import start_blocking_portal
from bridgekit.engine.foreign import foreign_loop
from bridgekit.engine.serving import serving_loop
from bridgekit.engine.work import current_work
from bridgekit.integrations.asgiref import callers, original
from bridgekit.integrations.asgiref.contexts import SINGLE_THREAD_CONTEXT
from bridgekit.integrations.asgiref.current_thread_executor import (
    CURRENT_EXECUTOR,
    CurrentThreadExecutor,
)
from bridgekit.integrations.asgiref.handled import ExceptionInfo, awaiting
from bridgekit.integrations.asgiref.left_behind import overlook_cancellation
from bridgekit.integrations.asgiref.lines import Arrival, current_line
from bridgekit.integrations.asgiref.marks import clear_coroutine_mark, makes_coroutine

__all__ = ["AsyncToSync"]

P = ParamSpec("P")
T = TypeVar("T")


class _Executors:
    """``AsyncToSync.executors``: what asgiref keeps in a ``Local``."""

    @property
    def current(self) -> CurrentThreadExecutor | None:
        """The executor of the thread that is parked for the current code."""
        return CURRENT_EXECUTOR.get()

    @current.setter
    def current(self, executor: CurrentThreadExecutor | None) -> None:
        CURRENT_EXECUTOR.set(executor)


class AsyncToSync(Generic[P, T]):
    """Makes an asynchronous callable callable from synchronous code.

    The coroutine is awaited in the task that awaits this worker thread, or, on any other thread,
    on the loop that serves the process or on the portal loop. The calling thread meanwhile runs
    the thread-sensitive calls of the coroutine and of the tasks it starts.

    :param force_new_loop: run the coroutine on a loop of its own, in a thread of its own.
    :raises LoopThreadError: (a RuntimeError) called on a thread that is running an event loop.
    """

    executors = _Executors()
    loop_thread_executors = callers.LOOP_EXECUTORS
    async_single_thread_context = SINGLE_THREAD_CONTEXT

    def __init__(self, awaitable: Callable[P, Awaitable[T]], force_new_loop: bool = False) -> None:
        if not callable(awaitable) or not makes_coroutine(awaitable):
            # A warning only: a function that returns a coroutine cannot be told in advance.
            warnings.warn("async_to_sync was passed a non-async-marked callable", stacklevel=2)
        functools.update_wrapper(self, awaitable)
        clear_coroutine_mark(self)
        self.awaitable = awaitable
        self.force_new_loop = force_new_loop
        owner = getattr(awaitable, "__self__", None)
        if owner is not None:
            self.__self__ = owner

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        __traceback_hide__ = True
        refuse_on_loop_thread(self.awaitable, "async_to_sync")
        start: Callable[[], Awaitable[T]] = functools.partial(self.awaitable, *args, **kwargs)
        if asyncio._get_running_loop() is not None:
            return run_coroutine(start)  # this call stack is suspended, no thread is parked
        awaitable: Awaitable[T] | None = None
        if not inspect.iscoroutinefunction(self.awaitable):
            # A synchronous function that returns an awaitable: its body belongs to this thread.
            awaitable = start()
            start = functools.partial(_just, awaitable)
        overlook_cancellation()
        call = functools.partial(
            self._on_loop,
            CurrentThreadExecutor(CURRENT_EXECUTOR.get()),
            self._is_outermost(),
            sys.exc_info(),
            current_line(),
            start,
        )
        del start
        try:
            return self._run(call)
        finally:
            del call
            if inspect.iscoroutine(awaitable):
                awaitable.close()  # a call that was refused has not begun it
            original.bring_home()

    def __get__(self, parent: Any, objtype: Any = None) -> Callable[..., T]:
        if parent is None:
            return self
        bound = functools.partial(self.__call__, parent)
        return functools.update_wrapper(bound, self.awaitable)

    def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        __traceback_hide__ = True
        if not self.force_new_loop:
            return run_coroutine(call)
        context = SINGLE_THREAD_CONTEXT.get(None)
        if context is not None:
            return cast(T, context.portal().call(cast(Any, call)))
        with start_blocking_portal() as portal:
            return cast(T, portal.call(cast(Any, call)))

    def _is_outermost(self) -> bool:
        """Whether the loop that will run the coroutine works for threads like this one only."""
        if self.force_new_loop:
            return True
        return current_work() is None and foreign_loop() is None and serving_loop() is None

    async def _on_loop(
        self,
        executor: CurrentThreadExecutor,
        outermost: bool,
        exc_info: ExceptionInfo,
        line: object,
        start: Callable[[], Awaitable[T]],
    ) -> T:
        __traceback_hide__ = True
        with Arrival(line), _parked(executor, outermost):
            return await awaiting(exc_info, start)


class _parked:
    """While a coroutine runs: its thread is the one for thread-sensitive calls."""

    __slots__ = ("_binding", "_executor", "_outermost", "_token", "_visit")

    def __init__(self, executor: CurrentThreadExecutor, outermost: bool) -> None:
        self._executor = executor
        self._outermost = outermost
        self._binding = calling_thread_context()
        self._visit = original.Visit(executor, set_executor=True)

    def __enter__(self) -> None:
        self._binding.__enter__()
        self._visit.__enter__()
        self._token = CURRENT_EXECUTOR.set(self._executor)
        self._executor.open()
        if self._outermost:
            callers.begin(self._executor)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._outermost:
            callers.end(self._executor)
        self._executor.close()
        try:
            CURRENT_EXECUTOR.reset(self._token)
            self._visit.__exit__()
            self._binding.__exit__(None, None, None)
        except ValueError:
            # A coroutine that is thrown away may be closed in another context, where none of
            # this has been set.
            if kind is not GeneratorExit:
                raise


def _just(awaitable: Awaitable[T]) -> Awaitable[T]:
    return awaitable
