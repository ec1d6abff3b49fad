"""One synchronous call that a task has handed to a thread, and the way back.

The task that awaits the thread is its *host*. A coroutine that the thread asks for is awaited
inside that very task, so ``current_task()``, timeouts, task groups and cancellation are right by
construction.

The thread posts one message at a time (a :class:`Wish` or the end of the work) and sleeps until
the wish is answered; the host waits on a :class:`Waiter`, serves, and waits again. Both sides
strictly alternate, so the message needs no lock.

Cancellation of the host:

* before a thread has taken the work: it never runs;
* while the thread runs: remembered, raised in the host when the thread has ended. The thread can
  ask (``check_cancelled``), and its next request for a coroutine raises ``CancelledError``;
* while the thread waits for a coroutine: delivered into that coroutine, as ordinary cancellation;
* with ``abandon_on_cancel``: the host leaves at once, the thread goes on and its result is dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, Token, copy_context
from typing import Any

from bridgekit.engine import process
from bridgekit.engine.context import ContextMerge
from bridgekit.engine.lane import CURRENT_LANE, Lane

__all__ = ["Wish", "Work", "current_work"]


class _ThreadState(threading.local):
    work: Work | None = None


_state = _ThreadState()


def current_work() -> Work | None:
    """The work that the current thread is running, if it is running any."""
    return _state.work


def _forget_work() -> None:
    _state.work = None


process.after_fork(_forget_work)


class Waiter(asyncio.Future[None]):
    """What the host awaits. Its ``cancel`` decides what cancelling the host means now.

    Returning False makes the task keep the cancellation and raise it when it is next woken.
    """

    _work: Work | None = None

    def cancel(self, msg: Any = None) -> bool:
        if self._work is None:
            return super().cancel(msg)
        if self.done():
            # The thread's message has arrived, but the host has not looked at it yet.
            self._work.remember_cancel()
            return False
        return self._work.may_leave_on_cancel() and super().cancel(msg)


class Wish:
    """A coroutine that a working thread wants awaited by its host."""

    __slots__ = ("_entered", "_error", "_func", "_left", "_merge", "_result", "_seen", "lane")

    def __init__(self, func: Callable[[], Awaitable[Any]], lane: Lane, work: Work) -> None:
        self._func: Callable[[], Awaitable[Any]] | None = func
        self.lane = lane
        self._merge = work.merge
        self._seen = (work.snapshot, copy_context())
        self._entered: Context | None = None
        self._left: Context | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    async def serve(self) -> None:
        """Await the coroutine in the current task and answer. Raises only ``GeneratorExit``."""
        func = self._func
        self._func = None
        assert func is not None
        self._merge.apply(*self._seen)
        token = CURRENT_LANE.set(self.lane)
        self._entered = copy_context()
        try:
            self._result = await func()
        except GeneratorExit:
            # The host is being thrown away, perhaps in another context (so the variable is left
            # alone); the thread must not wait for it.
            self._error = asyncio.CancelledError("the awaiting task was closed")
            raise
        except BaseException as error:
            self._error = error
            self._leave(token)
        else:
            self._leave(token)
        finally:
            del func
            self.lane.answer()

    def _leave(self, token: Token[Lane | None]) -> None:
        self._left = copy_context()
        CURRENT_LANE.reset(token)

    def refuse(self, error: BaseException) -> None:
        """Answer without having awaited anything."""
        self._func = None
        self._error = error
        self.lane.answer()

    def collect(self, merge: ContextMerge) -> Any:
        """On the asking thread, after the answer: the result, or the exception raised again."""
        if self._entered is not None and self._left is not None:
            merge.apply(self._entered, self._left)
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._result


class Work:
    """A call on its way through a thread.

    Made on the host's loop. Exactly one of :meth:`run` (on the thread that claims it), a
    cancellation before the start, and :meth:`fail` gets it.
    """

    __slots__ = (
        "_abandon",
        "_context",
        "_detached",
        "_ended",
        "_error",
        "_func",
        "_interrupted",
        "_loop",
        "_message",
        "_on_end",
        "_orphans",
        "_result",
        "_serving",
        "_ticket",
        "_waiter",
        "cancel_pending",
        "cancelled",
        "limiter",
        "merge",
        "redirect",
        "snapshot",
        "thread_merge",
    )

    def __init__(
        self,
        func: Callable[[], Any],
        *,
        abandon_on_cancel: bool = False,
        limiter: object | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._func: Callable[[], Any] | None = func
        self.snapshot = copy_context()  # the thread's context when both sides last agreed
        self._context: Context = self.snapshot.copy()
        self.merge = ContextMerge()
        self.thread_merge = ContextMerge()
        self._abandon = abandon_on_cancel
        self._on_end: list[Callable[[], None]] = []
        self._ticket = [None]
        self._message: Wish | None = None
        self._ended = False
        self._detached = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._serving: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._orphans: set[asyncio.Task[None]] = set()
        self.cancelled = False
        self.cancel_pending = False
        self.limiter = limiter
        self.redirect: Callable[[Work], None] | None = None
        self._waiter: Waiter | None = self._new_waiter()

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
        self._on_end.append(callback)

    def run(self) -> None:
        """Run the call in the current thread, unless it has been claimed or withdrawn."""
        if not self._claim():
            return
        outer = _state.work
        _state.work = self
        func, context = self._func, self._context
        assert func is not None
        try:
            self._result = context.run(func)
        except BaseException as error:
            self._error = error
        finally:
            self._func = None
            del func, context
            _state.work = outer
            self._end()

    def fail(self, error: BaseException) -> None:
        """End the call with an error if nothing has run it yet."""
        if self._claim():
            self._error = error
            self._end()

    def hand_on(self) -> None:
        """Find another place for the call: the lane that had it has closed."""
        if self._ticket and self.redirect is not None:
            self.redirect(self)

    def _end(self) -> None:
        self._func = None
        self._call_end_callbacks()
        if self._detached:
            self._error = None  # nobody will collect it, and it would refer back to this object
        self._ended = True
        self._post()

    def _call_end_callbacks(self) -> None:
        callbacks, self._on_end = self._on_end, []
        for callback in callbacks:
            callback()

    def _post(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # The loop was closed under the work; nobody is left to tell.
            self._detached = True
            return False
        return True

    def ask(self, func: Callable[[], Awaitable[Any]]) -> Any:
        """Have the host await ``func()``; called on the working thread, inside the work.

        :raises asyncio.CancelledError: the host has been cancelled meanwhile.
        """
        lane = Lane(self)
        wish = Wish(func, lane, self)
        del func
        self._message = wish
        try:
            if not self._post():
                wish.refuse(RuntimeError("the event loop that started this thread has been closed"))
            lane.park(self._interrupt)
        except BaseException:
            if lane.is_open:
                # A signal handler raised between the request and the wait for it: without this
                # the host would go on with a coroutine that nobody waits for.
                self._interrupt()
                lane.park(self._interrupt)
            raise
        try:
            return wish.collect(self.thread_merge)
        finally:
            self.snapshot = copy_context()
            del wish, lane

    @property
    def has_host(self) -> bool:
        """Whether the task (or at least the loop) that started the work can still serve it."""
        return not self._loop.is_closed()

    def _interrupt(self) -> None:
        # Only the main thread gets here: it serves this work in a lane and was hit by a signal.
        self._loop.call_soon_threadsafe(self._cancel_wish)

    # -- on the loop ---------------------------------------------------------------------------

    def _cancel_wish(self) -> None:
        for orphan in list(self._orphans):
            orphan.cancel()
        if self._serving is not None:
            self._interrupted = True
            self._serving.cancel()
        elif self._message is not None:
            wish, self._message = self._message, None
            wish.refuse(asyncio.CancelledError("the waiting thread was interrupted"))

    def _new_waiter(self) -> Waiter:
        waiter = Waiter(loop=self._loop)
        waiter._work = self
        return waiter

    def may_leave_on_cancel(self) -> bool:
        """The host is being cancelled while it waits: may it leave at once?"""
        if self._claim():
            self._detached = True
            self._func = None
            self._call_end_callbacks()
            return True
        self.remember_cancel()
        if self._abandon and not self._ended:
            self._detached = True
            return True
        return False

    def remember_cancel(self) -> None:
        """The host has been cancelled and keeps it until the thread has a say."""
        self.cancelled = True
        self.cancel_pending = True

    def _wake(self) -> None:
        if not self._detached:
            waiter = self._waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        elif self._message is not None:
            wish, self._message = self._message, None
            if self.cancel_pending:
                self.cancel_pending = False
                wish.refuse(asyncio.CancelledError("the awaiting task was cancelled"))
            else:
                task = self._loop.create_task(wish.serve())
                self._orphans.add(task)
                task.add_done_callback(self._orphans.discard)

    async def outcome(self) -> Any:
        """The host's side: serve the thread until the work has ended, then its outcome."""
        try:
            while not self._ended:
                try:
                    assert self._waiter is not None
                    await self._waiter
                except asyncio.CancelledError:
                    if self._detached or self._ended:
                        raise
                    # Remembered while the thread ran; now the thread wants a coroutine.
                    if self.cancel_pending:
                        self.cancel_pending = False
                        self._refuse_cancelled()
                        continue
                await self._serve_message()
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
        finally:
            self._detached = True
            self._error = None
            if self._waiter is not None:
                self._waiter._work = None
                self._waiter = None

    async def _serve_message(self) -> None:
        wish, self._message = self._message, None
        self._waiter = self._new_waiter()
        if wish is None:
            return
        self._serving = asyncio.current_task()
        try:
            await wish.serve()
        finally:
            if self._interrupted and self._serving is not None:
                self._interrupted = False
                self._serving.uncancel()
            self._serving = None

    def _refuse_cancelled(self) -> None:
        wish, self._message = self._message, None
        self._waiter = self._new_waiter()
        if wish is not None:
            wish.refuse(asyncio.CancelledError("the awaiting task was cancelled"))
        if self._abandon:
            self._detached = True
            raise asyncio.CancelledError
