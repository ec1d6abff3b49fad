"""Portals: handles through which threads call into an event loop, or a trio run, elsewhere."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context, copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from bridgekit.adapters.loop_thread import Suspend, refuse_on_loop_thread
from bridgekit.adapters.portal_managers import PortalContextManager
from bridgekit.engine.context import for_asyncio
from bridgekit.engine.hosts import (
    AsyncioHost,
    current_asyncio_host,
    current_host,
    letters_arrived,
    runs_trio,
)
from bridgekit.engine.portal import PortalLoop, call_on_loop, portal_loop
from bridgekit.engine.resources import on_loop_close
from bridgekit.errors import PortalClosedError

if TYPE_CHECKING:
    from bridgekit.adapters.portal_on_trio import TrioSide

__all__ = ["Backend", "BlockingPortal", "default_portal", "start_blocking_portal"]

Backend = Literal["asyncio", "trio"]

P = ParamSpec("P")
T = TypeVar("T")


class BlockingPortal:
    """Lets any thread run code on one event loop and wait for it, or not.

    ``async with BlockingPortal() as portal`` opens one on the running loop, of asyncio or trio;
    leaving it waits for the tasks started through it. :func:`start_blocking_portal` makes a loop in
    a new thread, and :func:`default_portal` is the one that ``async_to_sync`` uses.
    """

    def __init__(self, *, _owner: PortalLoop | None = None) -> None:
        self._owner = _owner
        self._loop: asyncio.AbstractEventLoop | None = _owner.loop if _owner else None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._host: AsyncioHost
        self._trio: TrioSide | None = None  # instead of all that
        self._accepting = _owner is not None

    async def __aenter__(self) -> BlockingPortal:
        if self._loop is not None or self._trio is not None:
            raise RuntimeError("this portal is bound to an event loop already")
        if asyncio._get_running_loop() is None and runs_trio():
            from bridgekit.adapters.portal_on_trio import TrioSide

            side = TrioSide()
            await side.open()
            self._trio, self._accepting = side, True
            return self
        self._loop = asyncio.get_running_loop()
        self._host = current_asyncio_host()
        self._accepting = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._trio is None:
            await self._stop_and_wait(cancel_remaining=exc_type is not None)
        else:
            await self.stop(cancel_remaining=exc_type is not None)
            await self._trio.leave()

    async def stop(self, cancel_remaining: bool = False) -> None:
        """On the portal's loop: refuse new calls from now on.

        Does not wait for what is under way, so a task of the portal may call it; leaving the
        portal's block waits.

        :param cancel_remaining: cancel the tasks under way, except the one that calls this.
        """
        self._accepting = False
        if self._trio is not None:
            await self._trio.stop(cancel_remaining)
            return
        await letters_arrived()  # some may begin tasks
        if cancel_remaining:
            for task in self._others():
                task.cancel()

    def _others(self) -> set[asyncio.Task[Any]]:
        return {task for task in self._tasks if task is not asyncio.current_task()}

    async def _stop_and_wait(self, cancel_remaining: bool) -> None:
        await self.stop(cancel_remaining)
        while tasks := self._others():
            await asyncio.wait(tasks)
            if cancel_remaining:
                for task in self._others():
                    task.cancel()

    def _open_trio(self, *, stopped: bool = False) -> TrioSide | None:
        side = self._trio
        if side is not None and not (side.is_open and (self._accepting or stopped)):
            raise PortalClosedError("this portal is not open")
        return side

    def _running_loop(self, *, stopped: bool = False) -> asyncio.AbstractEventLoop:
        loop = self._loop
        source = self._owner if self._owner is not None else self._host if loop else None
        open_ = (self._accepting or stopped) and source is not None and source.is_open
        if loop is None or not open_ or loop.is_closed():
            raise PortalClosedError("this portal is not open")
        return loop

    @overload
    def call(self, func: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` on the portal's loop, await what it returns, and return the result.

        :raises LoopThreadError: called on a thread that is running an event loop, whichever.
        :raises PortalClosedError: the portal is not open.
        """
        suspend = refuse_on_loop_thread(func, "BlockingPortal.call")
        stopped = func == self.stop  # once more does no harm
        side = self._open_trio(stopped=stopped)
        if side is not None:
            return self._call_trio(side, suspend, func, args, kwargs)
        loop = self._running_loop(stopped=stopped)
        if suspend is not None and asyncio._get_running_loop() is None:
            result = self._call_suspended(suspend, func, args, kwargs)
        elif suspend is not None:
            from bridgekit.adapters.loop_to_loop import await_on_loop

            call = functools.partial(_call_either, func, *args, **kwargs)
            tracked = functools.partial(self._tracked, call)
            result = suspend(functools.partial(await_on_loop, loop, tracked))
        elif self._owner is not None:
            result = self._owner.call(_call_either, func, *args, **kwargs)
        else:
            call = functools.partial(_call_either, func, *args, **kwargs)
            result = call_on_loop(loop, self._tracked, call)
        return result

    def _call_trio(
        self,
        side: TrioSide,
        suspend: Suspend | None,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if suspend is not None:
            return self._call_suspended(suspend, func, args, kwargs)
        return side.call(functools.partial(_call_either, func, *args, **kwargs), func)

    def _call_suspended(
        self,
        suspend: Suspend,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        from bridgekit.adapters.portal_tasks import call_async

        return suspend(lambda: call_async(self, functools.partial(func, *args, **kwargs)))

    async def _tracked(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await call()
        finally:
            self._tasks.discard(task)
            del task  # an error's traceback refers to this frame, and the task to the error

    @overload
    def start_task_soon(
        self,
        func: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        name: str | None = ...,
        **kwargs: Any,
    ) -> Future[T]: ...

    @overload
    def start_task_soon(
        self, func: Callable[..., T], /, *args: Any, name: str | None = ..., **kwargs: Any
    ) -> Future[T]: ...

    def start_task_soon(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        **kwargs: Any,
    ) -> Future[Any]:
        """Start a task on the portal's loop and return a future of its result, at once.

        Cancelling the future cancels the task. May be called on any thread.

        :raises PortalClosedError: the portal is not open.
        """
        side = self._open_trio()
        if side is not None:
            return side.start(functools.partial(_call_either, func, *args, **kwargs), name or func)
        loop = self._running_loop()
        start = _TaskStart(loop, self._tasks, functools.partial(func, *args, **kwargs), name)
        future = start.future
        post = self._owner.post if self._owner is not None else self._host.post
        if not post(start):
            start.host_closed()
        return future

    def wrap_async_context_manager(
        self, manager: AbstractAsyncContextManager[T]
    ) -> AbstractContextManager[T]:
        """The same context manager for synchronous code. Enter and exit run in one task."""
        return PortalContextManager(self, manager)

    def at_close(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Have ``callback()`` awaited on the portal's loop when that loop is closed.

        Under trio: when the portal's block has been left. May be called on any thread except
        another loop's.
        """
        side = self._open_trio()
        if side is not None:
            if side.host is _running_host():
                side.at_close(callback)
            else:
                self.call(side.at_close, callback)
            return
        loop = self._running_loop()
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            on_loop_close(callback)
        else:
            self.call(on_loop_close, callback)


def _running_host() -> object:
    return current_host() if runs_trio() else None


class _TaskStart:
    """A task to be started on a portal's loop. Its future always comes to an end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: set[asyncio.Task[Any]],
        func: Callable[[], Any],
        name: str | None,
    ) -> None:
        self.future: Future[Any] = Future()
        self._loop = loop
        self._tasks = tasks
        self._func: Callable[[], Any] | None = func
        self._name = name
        self._context: Context | None = copy_context()
        self._task: asyncio.Task[None] | None = None

    def arrived(self) -> None:
        """On the loop: start."""
        context, self._context = self._context, None
        if context is not None:
            for_asyncio(context)
        task = self._task = self._loop.create_task(self._run(), name=self._name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self.future.add_done_callback(self._forward_cancel)

    def host_closed(self) -> None:
        """The loop has been closed first."""
        self._func = None
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(PortalClosedError("the portal was closed before the start"))

    async def _run(self) -> None:
        func, self._func = self._func, None
        assert func is not None
        future = self.future
        try:
            result = await _call_either(func)
        except asyncio.CancelledError:
            self._cancelled()
            raise
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(result)
        finally:
            del func, future

    def _cancelled(self) -> None:
        self.future.cancel()
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(asyncio.CancelledError())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._func = self._task = None
        if not self.future.done():  # cancelled before its first step
            self._cancelled()
        del self.future  # which refers to this object as well

    def _forward_cancel(self, done: Future[Any]) -> None:
        if done.cancelled() and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)


async def _call_either(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    if inspect.isawaitable(result):
        result = await result
    return result


def default_portal() -> BlockingPortal:
    """The portal of this process: one loop in a daemon thread, closed at interpreter exit."""
    return BlockingPortal(_owner=portal_loop())


class _OwnPortal(AbstractContextManager[BlockingPortal]):
    # Not a generator: one that is never left would be closed by the interpreter at its exit, when
    # the portal's thread cannot run any more.

    def __init__(
        self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None, name: str
    ) -> None:
        self._loop_factory = loop_factory
        self._name = name

    def __enter__(self) -> BlockingPortal:
        self._owner = PortalLoop(self._name, self._loop_factory)
        self._portal = BlockingPortal(_owner=self._owner)
        return self._portal

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if self._owner.is_open:
                self._owner.call(self._portal._stop_and_wait, exc_type is not None)
        finally:
            self._owner.close()


def start_blocking_portal(
    backend: Backend = "asyncio",
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    name: str = "bridgekit-blocking-portal",
) -> AbstractContextManager[BlockingPortal]:
    """Start an event loop in a new thread and give a portal to it.

    Leaving the block waits for the tasks under way (they are cancelled if an exception leaves
    it), then closes the loop and what was registered with ``at_close``.

    :param backend: the library whose loop it is to be.
    :param loop_factory: makes the loop, if it is one of asyncio.
    :param name: of the thread.
    :raises ValueError: no such backend, or a loop factory for trio.
    """
    if backend == "asyncio":
        return _OwnPortal(loop_factory, name)
    if backend != "trio":
        raise ValueError(f'backend must be "asyncio" or "trio", not {backend!r}')
    if loop_factory is not None:
        raise ValueError("loop_factory makes loops of asyncio; trio has none to be made")
    from bridgekit.adapters.portal_on_trio import OwnTrioPortal

    return OwnTrioPortal(name)
