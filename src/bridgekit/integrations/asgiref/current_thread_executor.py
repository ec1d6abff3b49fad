"""A drop-in for ``asgiref.current_thread_executor``: a handle on a thread that is parked.

A thread parked in ``async_to_sync`` serves the calls of its own chain through its lane. The
executor here is the name under which asgiref's users know that thread; submitting to it directly
is possible but is not how the bridges of this package work.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

from bridgekit.adapters.to_thread import run_call
from bridgekit.errors import PortalClosedError

__all__ = ["CURRENT_EXECUTOR", "CurrentThreadExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class _NoCondition:
    """The lock that the original takes to reach an executor's queue; ours needs none."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc_info: object) -> None:
        return

    def notify(self) -> None:
        """The parked thread is told in its own way."""


class CurrentThreadExecutor(Executor):
    """Runs calls on the thread that is parked in one call of ``async_to_sync``.

    Made by ``async_to_sync`` on the thread that will wait; usable from any other thread once the
    coroutine has begun, and until it has ended.
    """

    def __init__(self, old_executor: CurrentThreadExecutor | None = None) -> None:
        self._work_thread = threading.current_thread()
        self._old_executor = old_executor
        self._context: Context | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broken = False

    # `_work_ready`, `_work_items` and `_broken` have the meaning that the original gives them: one
    # of its executors that has closed leaves the work of tasks that outlive it to those around it.

    _work_ready = _NoCondition()

    @property
    def _work_items(self) -> _Inbox:
        return _Inbox(self)

    @property
    def is_open(self) -> bool:
        """Whether the thread is still parked for this call."""
        return self._context is not None and not self._broken

    @property
    def thread(self) -> threading.Thread:
        """The thread that waits."""
        return self._work_thread

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that runs the coroutine; None before it has begun."""
        return self._loop

    def is_current_thread(self) -> bool:
        """Whether the caller is on the thread that waits."""
        return threading.get_ident() == self._work_thread.ident

    def open(self) -> None:
        """In the coroutine, with the thread's lane at hand: calls are accepted from now on."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()

    def close(self) -> None:
        """The coroutine has ended: later calls belong to an outer call or to no parked thread."""
        self._broken = True
        self._context = None

    def innermost_open(self) -> CurrentThreadExecutor | None:
        """This executor or the nearest one around it that is still open."""
        executor: CurrentThreadExecutor | None = self
        while executor is not None and not executor.is_open:
            executor = executor._old_executor
        return executor

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have the parked thread call ``fn(*args, **kwargs)``; returns at once.

        :raises RuntimeError: called on that very thread, or no call around it is open any more.
        """
        if self.is_current_thread():
            raise RuntimeError("You cannot submit onto CurrentThreadExecutor from its own thread")
        target = self.innermost_open()
        loop, context = (target._loop, target._context) if target is not None else (None, None)
        if loop is None or context is None:
            raise RuntimeError("CurrentThreadExecutor already quit or is broken")
        future: Future[T] = Future()
        call = functools.partial(fn, *args, **kwargs)
        try:
            loop.call_soon_threadsafe(_start, loop, call, future, context=context.copy())
        except RuntimeError as error:
            raise PortalClosedError(f"the event loop cannot take the call: {error}") from error
        return future


CURRENT_EXECUTOR: ContextVar[CurrentThreadExecutor | None] = ContextVar(
    "bridgekit_current_executor", default=None
)

_tasks: set[asyncio.Task[None]] = set()


def _start(loop: asyncio.AbstractEventLoop, call: Callable[[], Any], future: Future[Any]) -> None:
    task = loop.create_task(_run(call, future))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _run(call: Callable[[], Any], future: Future[Any]) -> None:
    def on_thread() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    try:
        await run_call(on_thread, limiter=None, abandon_on_cancel=True, affinity="context")
    finally:
        if not future.done() and not future.running():
            future.cancel()


class _Inbox:
    """What the original's executors see as the queue of one of ours."""

    def __init__(self, executor: CurrentThreadExecutor) -> None:
        self._executor = executor

    def append(self, item: Any) -> None:
        self._executor.submit(item.run)
