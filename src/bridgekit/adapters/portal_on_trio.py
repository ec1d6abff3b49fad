"""A portal's side that is in trio. Loaded when the first portal is opened there.

What is started through the portal runs as tasks of a nursery around its block, so the cancel scopes
and deadlines around the block hold for them too. Their outcomes are for who started them: none
disturbs the nursery, but for an exit request (``SystemExit`` and its like).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import trio

from bridgekit.engine import process
from bridgekit.engine.trio_call import TrioCall, is_cancellation
from bridgekit.engine.trio_host import TrioHost, current_trio_host
from bridgekit.errors import PortalClosedError

if TYPE_CHECKING:
    from bridgekit.adapters.portal import BlockingPortal

__all__ = ["OwnTrioPortal", "TrioSide", "await_in_trio", "future_result"]

_logger = logging.getLogger("bridgekit")


_CancelScope: Any = trio.CancelScope  # made by attrs, which not every type checker follows


class _UnderWay(Protocol):
    def cancel(self) -> None: ...
    def is_of(self, task: trio.lowlevel.Task) -> bool: ...


class TrioSide:
    """The nursery of one portal, and what is under way in it. On trio's thread, if not said so."""

    def __init__(self) -> None:
        self.host: TrioHost = current_trio_host()
        self.under_way: set[_UnderWay] = set()
        self.outlives_exit_requests = False
        self._manager = trio.open_nursery()
        self._at_close: list[Callable[[], Awaitable[object]]] = []
        self._ended = trio.Event()
        self._generation = process.generation()
        self._open = False
        self.nursery: trio.Nursery

    @property
    def is_open(self) -> bool:
        """Whether calls are accepted. A forked child has no thread for its parent's portal."""
        return self._open and self._generation == process.generation()

    async def open(self) -> None:
        """Enter the nursery."""
        self.nursery = await self._manager.__aenter__()
        self._open = True

    async def stop(self, cancel_remaining: bool) -> None:
        """Wait until all that was posted has arrived; cancel what is under way, but for this task.

        Not left before, whether cancelled or not.
        """
        arrived = trio.Event()
        self.host.call_soon(arrived.set)
        with _CancelScope(shield=True):
            await arrived.wait()
        if cancel_remaining:
            current = trio.lowlevel.current_task()
            for one in list(self.under_way):
                if not one.is_of(current):
                    one.cancel()

    def ended(self, one: _UnderWay) -> None:
        """Something is not under way any more."""
        self.under_way.discard(one)
        ended, self._ended = self._ended, trio.Event()
        ended.set()

    async def cancel_calls(self) -> None:
        """Cancel the calls that threads wait for, when all else has ended."""
        while any(isinstance(one, _TaskStart) for one in self.under_way):
            await self._ended.wait()
        for one in list(self.under_way):
            one.cancel()

    async def leave(self) -> None:
        """Wait for what is under way; then await what was registered with ``at_close``."""
        try:
            await self._manager.__aexit__(None, None, None)
        finally:
            self._open = False
            with _CancelScope(shield=True):
                while self._at_close:
                    callback = self._at_close.pop()
                    try:
                        await callback()
                    except Exception:
                        _logger.exception("closing a resource of the portal failed: %r", callback)

    def at_close(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Have ``callback()`` awaited when the portal has been left; last in, first out."""
        self._at_close.append(callback)

    def call(self, call: Callable[[], Awaitable[Any]], name: object) -> Any:
        """On any thread without a loop: have ``call()`` awaited in a task, and wait for it."""
        return TrioCall(self.host, self.nursery, self.under_way, call, name).wait_in()

    def start(self, call: Callable[[], Awaitable[Any]], name: object) -> Future[Any]:
        """On any thread: have ``call()`` awaited in a task."""
        start = _TaskStart(self, call, name)
        future = start.future
        if not self.host.post(start):
            start.host_closed()
        return future


class _TaskStart:
    """A task to be started in a portal's nursery. Its future always comes to an end."""

    def __init__(self, side: TrioSide, call: Callable[[], Awaitable[Any]], name: object) -> None:
        self.future: Future[Any] = Future()
        self._side = side
        self._call: Callable[[], Awaitable[Any]] | None = call
        self._name = name
        self._context: Context | None = copy_context()
        self._scope = trio.CancelScope()
        self._task: trio.lowlevel.Task | None = None

    def arrived(self) -> None:
        """On trio's thread: start."""
        context, self._context = self._context, None
        assert context is not None
        try:
            context.run(partial(self._side.nursery.start_soon, self._run, name=self._name))
        except RuntimeError:  # closed
            self.host_closed()
            return
        self._side.under_way.add(self)
        self.future.add_done_callback(self._forward_cancel)

    def host_closed(self) -> None:
        """The run, or the portal, has ended first."""
        self._call = None
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(PortalClosedError("the portal was closed before the start"))

    def cancel(self) -> None:
        """After the arrival. A task that has not begun runs to its first checkpoint."""
        self._scope.cancel()

    def is_of(self, task: trio.lowlevel.Task) -> bool:
        """Whether this is the task."""
        return self._task is task

    async def _run(self) -> None:
        self._task = trio.lowlevel.current_task()
        call, self._call = self._call, None
        assert call is not None
        future = self.future
        cancelled = True  # unless it turns out otherwise
        try:
            with self._scope:
                result = await call()
                cancelled = False
                if future.set_running_or_notify_cancel():
                    future.set_result(result)
        except BaseException as error:
            cancelled = is_cancellation(error) or isinstance(error, asyncio.CancelledError)
            if not cancelled:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
                self._pass_on(error)
        finally:
            self._task = None
            self._side.ended(self)
            if cancelled:
                future.cancel()
                future.set_running_or_notify_cancel()
            del call, future, self.future  # which refers to this object as well

    def _pass_on(self, error: BaseException) -> None:
        request: BaseException | None = error
        if isinstance(error, BaseExceptionGroup):
            request = error.split((Exception, trio.Cancelled))[1]
        if request is None or isinstance(request, Exception):
            return
        if not self._side.outlives_exit_requests:
            raise request
        _logger.error("a task on the portal's trio run raised an exit request", exc_info=request)

    def _forward_cancel(self, done: Future[Any]) -> None:
        if done.cancelled():
            with suppress(RuntimeError):  # the run has ended
                self._side.host.call_soon(self._scope.cancel)


async def future_result(future: Future[Any]) -> Any:
    """The outcome of a future, awaited by a trio task. Leaving does not cancel the future."""
    await _end_of(future).wait()
    return future.result()


def _end_of(future: Future[Any]) -> trio.Event:
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the run has ended
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    return done


async def await_in_trio(future: Future[Any], cancel: Callable[[], None], abandon: bool) -> Any:
    """What ``call_async`` does in a trio task.

    :raises asyncio.CancelledError: the call was cancelled, but not this task.
    """
    done = _end_of(future)
    try:
        await done.wait()
    except BaseException:
        cancel()
        if not abandon:
            with _CancelScope(shield=True):
                await done.wait()
            if not future.cancelled():
                future.result()  # an exception of the clean-up is what the caller must see
        raise
    try:
        return future.result()
    except FutureCancelledError:
        raise asyncio.CancelledError("the call was cancelled") from None


class OwnTrioPortal(AbstractContextManager["BlockingPortal"]):
    """A trio run in a new daemon thread, and a portal to it."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._ready: Future[BlockingPortal] = Future()
        self._error: BaseException | None = None
        self._cancel_remaining = False

    def _serve(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            if self._ready.done():
                self._error = error
            else:
                self._ready.set_exception(error)

    async def _main(self) -> None:
        from bridgekit.adapters.portal import BlockingPortal

        self._leave = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        async with BlockingPortal() as portal:
            side = portal._trio
            assert side is not None
            side.outlives_exit_requests = True
            self._ready.set_result(portal)
            await self._leave.wait()
            await portal.stop(cancel_remaining=self._cancel_remaining)
            await side.cancel_calls()

    def __enter__(self) -> BlockingPortal:
        self._thread.start()
        return self._ready.result()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._cancel_remaining = exc_type is not None
        with suppress(RuntimeError):  # the run has ended by itself
            self._token.run_sync_soon(self._leave.set)
        self._thread.join()
        error, self._error = self._error, None
        if error is not None and exc_type is None:
            try:
                raise error
            finally:
                del error
