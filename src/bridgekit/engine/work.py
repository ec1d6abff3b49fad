"""One synchronous call that a task has handed to a thread, and the way back.

The task that awaits the thread is its *host*. A coroutine that the thread asks for is awaited
inside that very task, so ``current_task()``, timeouts, task groups and cancellation are right by
construction.

The thread leaves one message at a time (a :class:`Wish` or the end of the work) and sleeps until
the wish is answered; the host sleeps in a waiter, serves, and sleeps again. Both sides strictly
alternate, so the message needs no lock. The thread leaves the message first and then looks
whether the host sleeps; the host says that it sleeps first and then looks for a message. So a
host that finds the message there does not go to sleep at all.

Cancellation of the host:

* before a thread has taken the work: it never runs;
* while the thread runs: remembered, raised in the host when the thread has ended. The thread can
  ask (``check_cancelled``), and its next request for a coroutine raises ``CancelledError``;
* while the thread waits for a coroutine: delivered into that coroutine, as ordinary cancellation;
* with ``abandon``: the host leaves at once, the thread goes on and its result is dropped;
* with a ``grace``: remembered, and after so many seconds as with ``abandon``;
* of a task that cancels itself and then makes a call which completes before the task would have
  slept: raised at the task's next await that does sleep, as with any await that need not.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextvars import Context, Token, copy_context
from typing import TYPE_CHECKING, Any

from bridgekit.engine import process
from bridgekit.engine.context import ContextMerge, same_variables
from bridgekit.engine.lane import CURRENT_LANE, Lane
from bridgekit.engine.naming import describe
from bridgekit.errors import DeadlockError

if TYPE_CHECKING:
    from bridgekit.engine.hosts import Host

__all__ = ["Wish", "Work", "current_work"]

_logger = logging.getLogger("bridgekit")


class _ThreadState(threading.local):
    work: Work | None = None


_state = _ThreadState()


def current_work() -> Work | None:
    """The work that the current thread is running, if it is running any."""
    return _state.work


def _forget_work() -> None:
    _state.work = None


process.after_fork(_forget_work)


class Wish(Lane):
    """A coroutine that a working thread wants awaited by its host, and the lane it waits in."""

    __slots__ = ("_args", "_entered", "_error", "_func", "_kwargs", "_left", "_result", "_seen")

    def __init__(
        self,
        work: Work,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        Lane.__init__(self, work)
        self._func: Callable[..., Awaitable[Any]] | None = func
        self._args = args
        self._kwargs = kwargs
        self._seen: Context | None = copy_context()
        self._entered: Context | None = None
        self._left: Context | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    async def serve(self) -> None:
        """Await the coroutine in the current task and answer. Raises only ``GeneratorExit``."""
        func, args, kwargs = self._func, self._args, self._kwargs
        assert func is not None
        self._forget_call()
        self._carry_context()
        token = CURRENT_LANE.set(self)
        self._entered = copy_context()
        try:
            self._result = await func(*args, **kwargs)
        except GeneratorExit:
            # The host is being thrown away, perhaps in another context (so the variable is left
            # alone); the thread must not wait for it.
            self._error = CancelledError("the awaiting task was closed")
            raise
        except BaseException as error:
            self._error = error
            self._leave(token)
            work = self.work
            if work is not None and work.grace is not None and not isinstance(error, Exception):
                work.note_cancellation(error)
            del work
        else:
            self._leave(token)
        finally:
            del func, args, kwargs
            self.answer()

    def _carry_context(self) -> None:
        work, seen, self._seen = self.work, self._seen, None
        assert work is not None
        assert seen is not None
        if not same_variables(work.snapshot, seen):
            if work.merge is None:
                work.merge = ContextMerge()
            work.merge.apply(work.snapshot, seen)

    def _leave(self, token: Token[Lane | None]) -> None:
        self._left = copy_context()
        CURRENT_LANE.reset(token)

    def _forget_call(self) -> None:
        self._func = None
        self._args = ()
        self._kwargs = {}

    def refuse(self, error: BaseException) -> None:
        """Answer without having awaited anything."""
        self._forget_call()
        self._error = error
        self.answer()

    def collect(self, work: Work) -> Any:
        """On the asking thread, after the answer: the result, or the exception raised again."""
        entered, left = self._entered, self._left
        if entered is not None and left is not None and not same_variables(entered, left):
            if work.thread_merge is None:
                work.thread_merge = ContextMerge()
            work.thread_merge.apply(entered, left)
        del entered, left
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._result

    def forget(self) -> None:
        """On the asking thread, at the end. These contexts refer to this lane, and a task that
        outlives the call may refer to it as well.
        """
        self._seen = self._entered = self._left = self._result = None


class Work:
    """A call on its way through a thread.

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
    limiter: object | None = None
    merge: ContextMerge | None = None  # what was carried into the host's context
    thread_merge: ContextMerge | None = None  # and into the thread's
    redirect: Callable[[Work], None] | None = None
    asking = False  # the thread waits for a coroutine
    queued_in: Lane | None = None  # a lane that had other jobs when it was offered this one
    _detached = False
    _interrupted = False
    _on_end: list[Callable[[], None]] | None = None
    _orphans: set[asyncio.Task[None]] | None = None
    _serving: asyncio.Task[Any] | None = None

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

        Only before the work is sent to a thread.
        """
        if self._on_end is None:
            self._on_end = []
        self._on_end.append(callback)

    def run(self) -> None:
        """Run the call in the current thread, unless it has been claimed or withdrawn."""
        try:
            self._ticket.pop()
        except IndexError:
            return
        outer = _state.work
        _state.work = self
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
            _state.work = outer
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
        if self._on_end is not None:
            self._call_end_callbacks()
        self.ended = True
        if self._waiter is not None:
            self.host.post(self)
        if self._detached:
            if self.on_abandoned is not None and self._left_behind:
                self._report_abandoned(self.on_abandoned)
            self._error = None  # nobody will collect it, and it would refer back to this object

    def _report_abandoned(self, callback: Callable[[Any, BaseException | None], object]) -> None:
        try:
            self._context.run(callback, self._result, self._error)
        except Exception:
            _logger.exception("on_abandoned failed: %s", describe(callback))

    def _call_end_callbacks(self) -> None:
        callbacks, self._on_end = self._on_end, None
        for callback in callbacks or ():
            callback()

    def ask(
        self,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Have the host await ``func(...)``; called on the working thread, inside the work.

        :raises asyncio.CancelledError: the host has been cancelled meanwhile.
        """
        if self.shared:
            raise DeadlockError(
                f"{describe(func)} was wanted by a function that runs in its caller's own context "
                '(context="share"): the caller cannot go on in it meanwhile. Leave the option out.'
            )
        wish = Wish(self, func, args, kwargs or {})
        del func, args, kwargs
        try:
            self.asking = True
            wish.enter()
            self._send(wish)
            wish.park(self._interrupt)
        except BaseException:
            if wish.is_open:
                # A signal handler raised between the request and the wait for it: without this
                # the host would go on with a coroutine that nobody waits for.
                self._interrupt()
                wish.park(self._interrupt, again=True)
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
        return self.host.is_open

    def _interrupt(self) -> None:
        # Only the main thread gets here: it serves this work in a lane and was hit by a signal.
        self.host.call_soon(self._cancel_wish)

    # -- on the loop ---------------------------------------------------------------------------

    def _cancel_wish(self) -> None:
        for orphan in list(self._orphans or ()):
            orphan.cancel()
        if self._serving is not None:
            self._interrupted = True
            self._serving.cancel()
        elif self.wish is not None:
            wish, self.wish = self.wish, None
            wish.refuse(CancelledError("the waiting thread was interrupted"))

    def may_leave_on_cancel(self) -> bool:
        """The host is being cancelled while it waits: may it leave at once?"""
        if self._claim():
            self._detached = True
            self._func = self._kwargs = None
            self._args = ()
            if self._on_end is not None:
                self._call_end_callbacks()
            return True
        self.note_cancellation()
        self.cancel_pending = True
        return self.abandon and self._detach_unless_ended()

    def note_cancellation(self, error: BaseException | None = None) -> None:
        """The host has been cancelled: from now on the grace runs."""
        if error is not None:
            self.cancel_message = next(iter(error.args), None)
        if self.grace is not None and not self.cancelled:
            self.host.call_later(self.grace, self._grace_over)
        self.cancelled = True

    def _detach_unless_ended(self) -> bool:
        # The thread says first that it has ended and then looks whether it has been abandoned.
        if not self.ended:
            self._left_behind = self._detached = True
            if not self.ended:
                return True
            self._left_behind = self._detached = False
        return False

    def _grace_over(self) -> None:
        if self.ended or self._detached:
            return
        _logger.warning(
            "%s goes on in its thread %s s after its task was cancelled; the task leaves it behind",
            describe(self._func) if self._func is not None else "a function",
            self.grace,
        )
        self.abandon = self.overdue = True
        if self._waiter is not None and self.wish is None and self._detach_unless_ended():
            self._waiter.leave()

    def share(self, context: Context) -> None:
        """Run in the host's own context. Only before the work is sent, and once the host sleeps.

        Nobody else can run in that context meanwhile, so the host has to sleep to the end.
        """
        self.shared = True
        self._context = self.snapshot = context

    def arrived(self) -> None:
        """The thread has left a message (or had, and it has been dealt with already)."""
        if not self._detached:
            waiter = self._waiter
            if waiter is not None and (self.ended or self.wish is not None):
                waiter.fire()
        elif self.ended:
            self._error = None
        elif self.wish is not None:
            wish, self.wish = self.wish, None
            if self.cancel_pending:
                self.cancel_pending = False
                wish.refuse(self.host.cancellation(self))
            else:
                self._serve_alone(wish)

    def _serve_alone(self, wish: Wish) -> None:
        if self._orphans is None:
            self._orphans = set()
        try:
            task = self.host.spawn(wish.serve())
        except RuntimeError as error:
            wish.refuse(error)
            return
        self._orphans.add(task)
        task.add_done_callback(self._orphans.discard)

    def host_closed(self) -> None:
        """The loop is closed: nobody is left to serve the thread."""
        self._detached = True
        wish, self.wish = self.wish, None
        if wish is not None:
            wish.refuse(RuntimeError("the event loop that started this thread has been closed"))

    def finish(self) -> Any:
        """In the host, when the work has ended: the result, or the exception raised again."""
        if not same_variables(self.snapshot, self._context):
            if self.merge is None:
                self.merge = ContextMerge()
            self.merge.apply(self.snapshot, self._context)
        if self._error is not None:
            error, self._error = self._error, None
            try:
                if isinstance(error, StopIteration):
                    raise RuntimeError("the function raised StopIteration") from error
                raise error
            finally:
                del error
        return self._result

    async def give_way_and_finish(self) -> Any:
        """:meth:`finish`, after the loop has turned once."""
        try:
            await self.host.give_way()
            return self.finish()
        finally:
            self._error = None

    async def outcome(self) -> Any:
        """The host's side: serve the thread until the work has ended, then its outcome."""
        host = self.host
        try:
            while not self.ended:
                if self.overdue and self._detach_unless_ended():
                    self._refuse_wish()  # a thread that saw the host awake relies on it to look
                    await host.leave(self)
                if self.wish is None:
                    waiter = self._waiter = host.waiter(self)
                    if self.ended:
                        break
                    if self.wish is None:
                        try:
                            await waiter
                        except CancelledError:
                            if self._detached or self.ended:
                                raise
                            # Remembered while the thread ran; now the thread wants a coroutine.
                            if self.cancel_pending:
                                self.cancel_pending = False
                                self._refuse_cancelled()
                                continue
                elif host.must_give_way():
                    await self._give_way()
                    continue
                self._waiter = None
                wish, self.wish = self.wish, None
                if wish is not None:
                    self._serving = host.current_task()
                    try:
                        await wish.serve()
                    finally:
                        if self._interrupted and self._serving is not None:
                            self._interrupted = False
                            self._serving.uncancel()
                        self._serving = None
                        del wish
            return self.finish()
        finally:
            if not self.ended:
                self._left_behind = True
            self._detached = True
            self._error = self._waiter = None

    async def _give_way(self) -> None:
        # The thread is asking for one coroutine after the other; a cancellation that comes
        # in between is for the one it is asking for now.
        try:
            await self.host.give_way()
        except CancelledError as cancelled:
            self.note_cancellation(cancelled)
            self._refuse_cancelled()

    def _refuse_cancelled(self) -> None:
        if self.abandon:  # first, because the thread may ask again as soon as it is refused
            self._left_behind = self._detached = True
        self._refuse_wish()
        if self.abandon:
            raise self.host.cancellation(self)

    def _refuse_wish(self) -> None:
        wish, self.wish = self.wish, None
        if wish is not None:
            wish.refuse(self.host.cancellation(self))
