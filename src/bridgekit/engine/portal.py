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
from contextvars import Context, copy_context
from typing import Any
from weakref import WeakSet

from bridgekit.engine import process
from bridgekit.engine.affinity import close_owned_threads
from bridgekit.engine.call import thread_state
from bridgekit.engine.context import ContextMerge, same_variables
from bridgekit.engine.first_step import FirstSteps, start_task
from bridgekit.engine.hosts import AsyncioHost, Letter, current_asyncio_host, host_of
from bridgekit.engine.inbox_selector import new_portal_loop
from bridgekit.engine.lane import CURRENT_LANE, Lane
from bridgekit.engine.process import current
from bridgekit.engine.resources import close_loop_resources, on_loop_close
from bridgekit.engine.wakers import give_way
from bridgekit.errors import PortalClosedError

__all__ = ["PortalLoop", "call_on_loop", "portal_loop"]

_NO_CONTEXT = Context()
_logger = logging.getLogger("bridgekit")


class LoopCall(Lane):
    """A coroutine wanted by a thread that no task is waiting for; runs in a task of its own.

    Made by the waiting thread; also the lane that it waits in.
    """

    __slots__ = (
        "_args",
        "_before",
        "_context",
        "_error",
        "_func",
        "_kwargs",
        "_loop",
        "_result",
        "_task",
        "portal",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        portal: PortalLoop | None = None,
    ) -> None:
        Lane.__init__(self, thread_state.work)
        self._func: Callable[..., Awaitable[Any]] | None = func
        self._args = args
        self._kwargs = kwargs
        self._loop = loop
        self._context = self._before = copy_context()
        self._task: asyncio.Task[None] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self.portal = portal

    def arrived(self) -> None:
        """On the loop, outside any task: begin, and run to the first suspension."""
        if self._answered or self._func is None:
            return
        if self.portal is not None and not self.portal._open:
            self.fail(PortalClosedError("the portal was closed before the call began"))
            return
        steps = None if self.portal is None else self.portal.first_steps
        if steps is not None:
            task = steps.start(self._run(), self._context)
        else:
            task = start_task(self._loop, self._run(), self._context)
        self._task = task
        if self._answered:
            self._task = None  # freed here, not by the waiting thread
        else:
            task.add_done_callback(self._task_ended)

    def is_deserted(self) -> bool:
        """Whether the loop that has to answer is closed."""
        return self._loop.is_closed()

    def host_closed(self) -> None:
        """The loop is closed. Called on any thread, perhaps more than once."""
        when = "before the call began" if self._func is not None else "during the call"
        self._task = None
        self.fail(PortalClosedError(f"the event loop was closed {when}"))

    async def _run(self) -> None:
        func, args, kwargs = self._func, self._args, self._kwargs
        self._forget_call()
        assert func is not None
        CURRENT_LANE.set(self)  # in the context of the call, which nobody else uses
        self._before = copy_context()
        try:
            result = await func(*args, **kwargs)
        except GeneratorExit:
            self.fail(PortalClosedError("the event loop was closed during the call"))
            raise
        except BaseException as error:
            self.fail(error)
        else:
            if not self._answered:
                self._result = result
                self.answer()
        finally:
            del func, args, kwargs

    def _forget_call(self) -> None:
        self._func = None
        self._args = ()
        self._kwargs = {}

    def fail(self, error: BaseException) -> None:
        """Answer with an error unless the call has been answered."""
        if not self._answered:
            self._forget_call()
            self._error = error
            self.answer()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        # A task that was cancelled before its first step has run no code of _run.
        self._task = None
        self.fail(asyncio.CancelledError())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self.fail(asyncio.CancelledError())  # and never begin

    def interrupt(self) -> None:
        """On the calling thread: a signal handler raised; ask for the coroutine's end."""
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            self.host_closed()

    def wait(self) -> Any:
        """On the calling thread: park until there is an answer."""
        if not self._answered:
            # The loop's thread has more to do for a call than this one, so the system does not
            # let it run at once when it is woken, as it does a worker. One more chance, then,
            # before this thread goes to sleep and has to be woken in turn.
            give_way()
        if self._answered and not self._jobs:
            self._close()
        else:
            self.park(self.interrupt)
        before, context, result = self._before, self._context, self._result
        self._forget_outcome()
        if not same_variables(before, context):
            ContextMerge().apply(before, context)
        del before, context
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return result

    def break_off(self) -> None:
        """On the calling thread, when an exception leaves the call: have the coroutine end first.

        A signal handler may have raised before the wait had begun.
        """
        if self.is_open:
            self.interrupt()
            self.park(self.interrupt, again=True)
        self._forget_outcome()

    def _forget_outcome(self) -> None:
        # The contexts refer to this lane, and so may a task that outlives the call.
        self._before = self._context = _NO_CONTEXT
        self._result = None


class _FirstCall:
    """Begins the first call on a loop, before the loop has a host.

    A closed loop drops what it has not run; nothing else says so.
    """

    __slots__ = ("_call",)

    def __init__(self, call: LoopCall) -> None:
        self._call: LoopCall | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            current_asyncio_host()  # later calls find it
            call.arrived()

    def __del__(self) -> None:
        if self._call is not None:
            self._call.host_closed()


def call_on_loop(
    loop: asyncio.AbstractEventLoop,
    func: Callable[..., Awaitable[Any]],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Run ``func(...)`` as a task of a loop that runs in another thread, and wait for it.

    :raises PortalClosedError: the loop is closed, or was before the call began.
    """
    call = LoopCall(loop, func, args, kwargs)
    del func, args, kwargs
    try:
        call.enter()
        host = host_of(loop)
        if host is None or not host.post(call):
            try:
                loop.call_soon_threadsafe(_FirstCall(call))
            except RuntimeError as error:
                call.fail(PortalClosedError(f"the event loop cannot take the call: {error}"))
        return call.wait()
    except BaseException:
        call.break_off()
        raise
    finally:
        del call


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
        self._thread.start()
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
