"""The thread's side of a call: claiming it, running it, asking its host for coroutines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from bridgekit.engine import process
from bridgekit.engine.context import ContextMerge
from bridgekit.engine.lane import Lane
from bridgekit.engine.naming import describe
from bridgekit.engine.wish import Wish
from bridgekit.errors import DeadlockError

if TYPE_CHECKING:
    import asyncio

    from bridgekit.engine.hosts import Host
    from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["Call", "current_work", "left_behind", "thread_state"]

_logger = logging.getLogger("bridgekit")


class _ThreadState(threading.local):
    work: Call | None = None


thread_state = _ThreadState()
"""The fast way to :func:`current_work`."""


def current_work() -> Call | None:
    """The work that the current thread is running, if it is running any."""
    return thread_state.work


def _forget_work() -> None:
    thread_state.work = None


process.after_fork(_forget_work)


left_behind: set[Call] = set()
"""The calls that go on in a thread although their task has left."""

process.after_fork(left_behind.clear)


class Call:
    """A call on its way through a thread; see :mod:`~bridgekit.engine.work` for the host's side.

    Made on the host's loop. Exactly one of :meth:`run` (on the thread that claims it), a
    cancellation before the start, and :meth:`fail` gets it. ``ended``, ``wish`` and ``limiter``
    tell what the call waits for.
    """

    __slots__ = (
        "__dict__",  # only for what few calls need: see the defaults below
        "_args",
        "_context",
        "_error",
        "_func",
        "_kwargs",
        "_result",
        "_ticket",
        "_waiter",
        "ended",
        "host",
        "snapshot",
        "wish",
    )

    abandon = False
    grace: float | None = None
    overdue = False  # cancelled, and the grace is over
    shared = False  # runs in its host's own context
    on_abandoned: Callable[[Any, BaseException | None], object] | None = None
    _left_behind = False  # the host has gone without the outcome
    cancelled = False
    cancel_message: Any = None
    cancel_pending = False
    cancel_owed = False  # it was raised in the host, which has not raised it yet
    limiter: object | None = None
    lent: CapacityLimiter | None = None  # for calls below this one, under its token
    merge: ContextMerge | None = None  # what was carried into the host's context
    thread_merge: ContextMerge | None = None  # and into the thread's
    redirect: Callable[[Any], None] | None = None
    asking = False  # the thread waits for a coroutine
    queued_since = 0.0  # when it was found that all threads of the pool are busy
    queued_in: Lane | None = None  # a lane that had other jobs when it was offered this one
    departure: list[None] | None = None  # with one item, if the host may leave the thread behind
    _detached = False
    _interrupted = False
    on_end: list[Callable[[], None]] | None = None
    _orphans: set[asyncio.Task[None]] | None = None
    _serving: Any = None  # the task that serves; under trio, what stands for it

    def __init__(
        self,
        host: Host,
        func: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.host = host
        self._func: Callable[..., Any] | None = func
        self._args = args
        self._kwargs = kwargs or None
        # The thread's when both sides last agreed; copied when a thread begins.
        self.snapshot = self._context = copy_context()
        self._ticket = [None]
        self._waiter: Any = None
        self.wish: Wish | None = None
        self.ended = False
        self._result: Any = None
        self._error: BaseException | None = None

    # -- on the thread -------------------------------------------------------------------------

    def _claim(self) -> bool:
        # list.pop is atomic, with and without a global interpreter lock.
        try:
            self._ticket.pop()
        except IndexError:
            return False
        return True

    def add_end_callback(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called once when the call has ended or has been withdrawn.

        Only by who sends the work to a thread, and before that. The call may be withdrawn at the
        same time, or run by a thread that it was sent to earlier: then the function is dropped
        first and the callbacks are looked for afterwards; here it is the other way round.
        """
        if self.on_end is None:
            self.on_end = []
        self.on_end.append(callback)
        if self._func is None:
            self._call_end_callbacks()

    @property
    def waits_for_thread(self) -> bool:
        """Whether the call has neither begun nor been withdrawn."""
        return bool(self._ticket)

    def run(self) -> None:
        """Run the call in the current thread, unless it has been claimed or withdrawn."""
        try:
            self._ticket.pop()
        except IndexError:
            return
        outer = thread_state.work
        thread_state.work = self
        try:
            context = self._context
            if not self.shared:
                context = self._context = context.copy()
            if self._kwargs:
                self._result = context.run(self._func, *self._args, **self._kwargs)  # type: ignore[arg-type]
            else:
                self._result = context.run(self._func, *self._args)  # type: ignore[arg-type]
        except BaseException as error:
            self._error = error
        finally:
            thread_state.work = outer
            self._end()

    def fail(self, error: BaseException) -> None:
        """End the call with an error if nothing has run it yet."""
        if self._claim():
            self._error = error
            self._end()

    def abort(self, error: BaseException) -> bool:
        """On the thread: :meth:`run` was struck outside the user's function.

        By an exception from outside: a signal handler's, a tracer's. A call that had begun ends
        with it; returns False if it had not begun, and can be run yet.
        """
        if self._ticket:
            return False
        if self.ended:
            self.host.post(self)  # perhaps that was not reached; too often does no harm
        else:
            self._error = error
            self._end()
        return True

    def hand_on(self) -> None:
        """Find another place for the call: the lane that had it has closed."""
        if self._ticket and self.redirect is not None:
            self.redirect(self)

    def _end(self) -> None:
        self._func = self._kwargs = None
        self._args = ()
        if self.on_end is not None:
            self._call_end_callbacks()
        self.ended = True
        if self._waiter is not None:
            self.host.post(self)
        if self._detached and self._settle():
            left_behind.discard(self)
            if self.on_abandoned is not None and self._left_behind:
                self._report_abandoned(self.on_abandoned)
            self._error = None  # nobody will collect it, and it would refer back to this object

    def _settle(self) -> bool:
        """Whether this side is the first to deal with an end and a departure that coincide."""
        try:
            if self.departure is not None:
                self.departure.pop()
        except IndexError:
            return False
        return True

    def _report_abandoned(self, callback: Callable[[Any, BaseException | None], object]) -> None:
        try:
            self._context.run(callback, self._result, self._error)
        except Exception:
            _logger.exception("on_abandoned failed: %s", describe(callback))

    def _call_end_callbacks(self) -> None:
        callbacks = self.on_end
        while callbacks:
            try:
                callback = callbacks.pop()  # by one side only
            except IndexError:
                return
            callback()

    def ask(
        self,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        kind: type[Wish] = Wish,
    ) -> Any:
        """Have the host await ``func(...)``; called on the working thread, inside the work.

        :raises asyncio.CancelledError: the host has been cancelled meanwhile (not for an errand).
        """
        if self.shared:
            raise DeadlockError(
                f"{describe(func)} was wanted by a function that runs in its caller's own context "
                '(context="share"): the caller cannot go on in it meanwhile. Leave the option out.'
            )
        wish = kind(self, func, args, kwargs or {})
        del func, args, kwargs
        try:
            self.asking = True
            wish.enter()
            self._send(wish)
            wish.park(wish.interrupt)
        except BaseException:
            if wish.is_open:
                # A signal handler raised between the request and the wait for it: without this
                # the host would go on with a coroutine that nobody waits for.
                wish.interrupt()
                wish.park(wish.interrupt, again=True)
            wish.forget()
            raise
        finally:
            self.asking = False
        try:
            return wish.collect(self)
        finally:
            self.snapshot = copy_context()
            wish.forget()
            del wish

    def _send(self, wish: Wish) -> None:
        self.wish = wish
        # Looking at both, in the order opposite to that of a host that leaves.
        if (self._waiter is not None or self._detached) and not self.host.post(self):
            self.host_closed()

    @property
    def has_host(self) -> bool:
        """Whether the task (or at least the loop) that started the work can still serve it."""
        return self.host.is_open and not self.ended

    def interrupt(self, wish: Wish) -> None:
        """On the waiting thread, which an exception has struck: ask for the coroutine's end.

        Nearly always the main thread: it serves this work in a lane and was hit by a signal.
        """
        try:
            self.host.call_soon(partial(self._cancel_wish, wish))
        except RuntimeError:
            wish.host_closed()

    # -- the host's side -----------------------------------------------------------------------

    def arrived(self) -> None:
        """The thread has left a message."""
        raise NotImplementedError

    def host_closed(self) -> None:
        """The loop is closed: nobody is left to serve the thread."""
        raise NotImplementedError

    def _cancel_wish(self, wish: Wish) -> None:
        raise NotImplementedError

    def note_cancellation(self, error: BaseException | None = None) -> None:
        """The host has been cancelled."""
        raise NotImplementedError

    def may_leave_on_cancel(self) -> bool:
        """The host is being cancelled while it waits: may it leave at once?"""
        raise NotImplementedError
