"""The portal loop: where coroutines called from plain synchronous code run.

One per process, in a daemon thread, started on first use and used for ever: HTTP clients and
database engines made on it keep their connections from one call to the next. A forked child makes
its own. At interpreter exit it is closed in order, within :func:`process.exit_timeout`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any
from weakref import WeakSet

from bridgekit.engine import process
from bridgekit.engine.affinity import close_owned_threads
from bridgekit.engine.first_step import FirstSteps
from bridgekit.engine.hosts import AsyncioHost, Letter, current_asyncio_host
from bridgekit.engine.inbox_selector import new_portal_loop
from bridgekit.engine.loop_call import LoopCall, call_on_loop
from bridgekit.engine.process import current
from bridgekit.engine.resources import close_loop_resources, on_loop_close
from bridgekit.errors import PortalClosedError

__all__ = ["LoopCall", "PortalLoop", "call_on_loop", "portal_loop"]

_logger = logging.getLogger("bridgekit")


class PortalLoop:
    """An event loop in a thread of its own.

    Invariant: every accepted call is answered; what is still open when the loop ends is failed.
    """

    def __init__(
        self,
        name: str = "bridgekit-portal",
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._calls: set[LoopCall] = set()
        self._generation = process.generation()
        self._open = True
        self._callers: WeakSet[threading.Thread] = WeakSet()
        # In an empty context: a loop keeps the one that it is made in.
        self._serve_inbox: Callable[[int], None] | None = None
        if loop_factory is not None:
            self.loop = Context().run(loop_factory)
        else:
            self.loop, self._serve_inbox = Context().run(new_portal_loop)
        self._host: AsyncioHost | None = None
        self.first_steps: FirstSteps | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            self._thread.start()
        except BaseException:  # no thread to be had, as at the exit of CPython 3.12
            self.loop.close()
            raise
        self._ready.wait()

    @property
    def is_open(self) -> bool:
        """Whether calls are accepted. A forked child has no thread for its parent's portal."""
        return self._open and self._generation == current.generation

    def call(self, func: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """Run ``func(...)`` as a task of this loop and wait for it on the calling thread.

        :raises PortalClosedError: the portal is closed.
        """
        return self.wait_for(func, args, kwargs)

    def wait_for(
        self, func: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """:meth:`call`, with the arguments in one piece."""
        call = LoopCall(self.loop, func, args, kwargs, self)
        del func, args, kwargs
        if _caller.portal is not self:
            self._remember_caller()
        try:
            call.enter()
            # Known first, then looked whether the portal is open: closing does it the other way
            # round.
            self._calls.add(call)
            host = self._host
            if not self._open or host is None or not host.post(call):
                call.fail(PortalClosedError("the portal has been closed"))
            return call.wait()
        except BaseException:
            call.break_off()
            raise
        finally:
            self._calls.discard(call)
            del call

    def post(self, letter: Letter) -> bool:
        """Have ``letter.arrived()`` called on the loop, after the calls made before.

        Returns False if the portal is closed. Any thread may call this.
        """
        host = self._host
        return self.is_open and host is not None and host.post(letter)

    def _remember_caller(self) -> None:
        _caller.portal = self
        thread = threading.current_thread()
        if not thread.daemon and thread is not threading.main_thread():
            with self._lock:
                self._callers.add(thread)

    def at_close(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Have ``callback()`` awaited on this loop when it closes. Any thread may call this."""

        async def register() -> None:
            on_loop_close(callback)

        if threading.get_ident() == self._thread.ident:
            on_loop_close(callback)
        else:
            self.call(register)

    def close_when_alone(self) -> bool:
        """Close as soon as no thread that the interpreter waits for may still call.

        Returns False, having left the closing to the portal's own thread, while there are such
        threads (not daemons, have called before, alive): they must find the portal in working
        order, and nothing can be started any more when they have ended.
        """
        with self._lock:
            if not self._open or not self._has_foreground_callers():
                return True
            self.loop.call_soon_threadsafe(self._close_later)
            return False

    def _has_foreground_callers(self) -> bool:
        return any(thread.is_alive() for thread in self._callers)

    def _close_later(self) -> None:
        with self._lock:
            wait = self._open and self._has_foreground_callers()
        if wait:
            self.loop.call_later(0.02, self._close_later)
        else:
            self.close()

    def close(self, timeout: float | None = None) -> bool:
        """Cancel what is pending, close asynchronous generators and resources, end the thread.

        :param timeout: seconds to wait for the thread's end; None: as at the interpreter's exit.

        Returns whether the thread has ended in time. Calling it again is harmless.
        """
        with self._lock:
            begin, self._open = self._open, False
            if begin:
                self.loop.call_soon_threadsafe(self._begin_shutdown)
        if threading.get_ident() != self._thread.ident:
            self._thread.join(process.exit_timeout() if timeout is None else timeout)
        return not self._thread.is_alive()

    def _begin_shutdown(self) -> None:
        if self._host is not None:
            self._host.deliver()
        self._shutdown_task = self.loop.create_task(self._shutdown())

    async def _shutdown(self) -> None:
        try:
            pending = asyncio.all_tasks() - {asyncio.current_task()}
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            await close_loop_resources()
            await self.loop.shutdown_asyncgens()
        finally:
            self.loop.stop()

    def _begin(self) -> None:
        self._host = host = current_asyncio_host()
        self.first_steps = FirstSteps(self.loop)
        if self._serve_inbox is not None and host.inbox is not None:
            self._serve_inbox(host.inbox)
        self._ready.set()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._begin)
        try:
            while True:
                try:
                    self.loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    # A task of the user's raised it. The portal serves others too: go on.
                    _logger.exception("a task on the portal loop raised an exit request")
                    continue
                if not self._open:
                    break
                _logger.error("the portal loop was stopped by its own code; it goes on")
        finally:
            asyncio.set_event_loop(None)
            self._ready.set()
            if self.first_steps is not None:
                self.first_steps.end()
                self.first_steps = None
            self.loop.close()
            with self._lock:
                self._open = False
                left = list(self._calls.copy())
            for call in left:
                call.fail(PortalClosedError("the portal was closed during the call"))


class _Caller(threading.local):
    portal: PortalLoop | None = None


_caller = _Caller()
_portal: PortalLoop | None = None
_given_up: PortalLoop | None = None  # it has had its time at exit
_portal_lock = threading.Lock()


def portal_loop() -> PortalLoop:
    """The portal loop of this process; started if there is none."""
    global _portal
    portal = _portal
    if portal is None or not portal.is_open:
        with _portal_lock:
            if _portal is None or not _portal.is_open:
                _portal = PortalLoop()
            portal = _portal
    return portal


def _forget_portal() -> None:
    global _portal, _portal_lock
    _portal = None
    _portal_lock = threading.Lock()


def _close_at_exit() -> None:
    """Called before the interpreter waits for threads, and once more after it."""
    global _given_up
    portal = _portal
    if portal is not None and portal is not _given_up and portal.close_when_alone():
        seconds = process.exit_timeout()
        if not portal.close(seconds):
            _given_up = portal
            _logger.warning("the portal loop did not end within %s seconds", seconds)
    close_owned_threads()


process.after_fork(_forget_portal)
process.at_exit(_close_at_exit)
