"""Run a coroutine as a task of one event loop and await it on another, or on the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from bridgekit.engine.context import ContextMerge
from bridgekit.errors import PortalClosedError

__all__ = ["await_on_loop"]

T = TypeVar("T")


class _RemoteTask(Generic[T]):
    """The task on its loop, and the future of its end on the loop that awaits it.

    Called on its loop, it begins. Dropped before that (a closed loop drops what it has not run),
    it ends with an error: nothing else would say so.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, func: Callable[[], Coroutine[Any, Any, T]]
    ) -> None:
        self._loop = loop
        self._func: Callable[[], Coroutine[Any, Any, T]] | None = func
        self._home = asyncio.get_running_loop()
        self._cancelled = False
        self._before = copy_context()
        self._context = self._before.copy()
        self.task: asyncio.Task[T] | None = None
        self.ended: asyncio.Future[None] = self._home.create_future()

    def begin(self) -> None:
        func, self._func = self._func, None
        if func is None:
            return
        self.task = self._loop.create_task(func(), context=self._context)
        self.task.add_done_callback(self._tell)
        if self._cancelled:
            self.task.cancel()

    def _tell(self, _: object = None) -> None:
        ended = self.ended

        def set_ended() -> None:
            if not ended.done():
                ended.set_result(None)

        with suppress(RuntimeError):  # the awaiting loop is closed: nobody is left to tell
            self._home.call_soon_threadsafe(set_ended)

    def cancel(self) -> None:
        """On the awaiting loop: ask for the task's end."""

        def cancel() -> None:
            self._cancelled = True
            if self.task is not None:
                self.task.cancel()

        with suppress(RuntimeError):  # its loop is closed: the task has ended or never will begin
            self._loop.call_soon_threadsafe(cancel)

    def result(self) -> T:
        """After the end: the outcome; the task's context variables come along."""
        task, self.task = self.task, None
        if task is None:
            raise PortalClosedError("the event loop was closed before the call began")
        ContextMerge().apply(self._before, self._context)
        try:
            return task.result()
        finally:
            del task, self  # an exception's traceback would refer back to them

    def dropped(self) -> None:
        if self._func is not None:
            self._func = None
            self._tell()


class _Start:
    """What the loop is given to run; knows when it has been dropped instead."""

    __slots__ = ("_remote",)

    def __init__(self, remote: _RemoteTask[Any]) -> None:
        self._remote = remote

    def __call__(self) -> None:
        self._remote.begin()

    def __del__(self) -> None:
        self._remote.dropped()


async def await_on_loop(
    loop: asyncio.AbstractEventLoop, func: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """Run ``func()`` as a task of ``loop`` and await its end here.

    Cancelling cancels that task and awaits its end; a task that returns nevertheless has swallowed
    the cancellation. Context variables cross both ways.

    :raises PortalClosedError: the loop is closed, or was before the task began.
    """
    remote = _RemoteTask(loop, func)
    del func
    try:
        loop.call_soon_threadsafe(_Start(remote))
    except RuntimeError as error:
        raise PortalClosedError(f"the event loop cannot take the call: {error}") from error
    while not remote.ended.done():
        try:
            await asyncio.wait([remote.ended])
        except asyncio.CancelledError:
            remote.cancel()
    try:
        return remote.result()
    finally:
        del remote
