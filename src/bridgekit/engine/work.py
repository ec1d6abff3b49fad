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
from asyncio import CancelledError
from contextvars import Context
from typing import Any

from bridgekit.engine.call import Call, current_work, left_behind
from bridgekit.engine.context import ContextMerge, same_variables
from bridgekit.engine.naming import describe
from bridgekit.engine.wakers import give_way
from bridgekit.engine.wish import Wish

__all__ = ["Wish", "Work", "current_work"]

_logger = logging.getLogger("bridgekit")


class Work(Call):
    """The host's side."""

    __slots__ = ()

    # -- on the loop ---------------------------------------------------------------------------

    def _cancel_wish(self, wish: Wish) -> None:
        for orphan in list(self._orphans or ()):
            orphan.cancel()
        if self._serving is not None:
            self._interrupted = True
            self._serving.cancel()
        elif not self._orphans and not wish.answered:
            # It is still to be served; or has not even been sent, or not wholly.
            self.wish = None
            wish.refuse(CancelledError("the waiting thread was interrupted"))

    def may_leave_on_cancel(self) -> bool:
        """The host is being cancelled while it waits: may it leave at once?"""
        if self._detached:
            return True  # cancelled once more, on its way out
        if self._claim():
            self._detached = True
            self._func = self._kwargs = None
            self._args = ()
            if self.on_end is not None:
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
        # The thread says first that it has ended and then looks whether it has been left behind.
        if not self.ended:
            self._leave_behind()
            if not self.ended or not self._settle():
                return True
            self._left_behind = self._detached = False
            left_behind.discard(self)
        return False

    def _leave_behind(self) -> None:
        left_behind.add(self)
        self._left_behind = self._detached = True

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
        elif self.wish is None:
            if self.ended:
                self._error = None
        else:
            wish = self.wish
            if self.cancel_pending and not wish.though_cancelled:
                self.cancel_pending = False
                self._refuse_wish()
            else:
                self.wish = None
                self._serve_alone(wish)

    def _serve_alone(self, wish: Wish) -> None:
        if self._orphans is None:
            self._orphans = set()
        orphans = self._orphans
        try:
            task = self.host.spawn(wish.serve())
        except RuntimeError as error:
            wish.refuse(error)
            return
        self._orphans.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            orphans.discard(task)
            if not wish.answered:  # cancelled before the first step
                wish.refuse(CancelledError("the task was cancelled before it began"))

        task.add_done_callback(ended)

    def host_closed(self) -> None:
        """The loop is closed: nobody is left to serve the thread."""
        self._detached = True
        wish, self.wish = self.wish, None
        if wish is not None:
            wish.host_closed()

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
                            self.cancel_owed = self.cancel_pending
                elif host.must_give_way():
                    await self._give_way()
                    continue
                self._waiter = None
                wish = self.wish
                if wish is not None:
                    if self.cancel_owed and self.cancel_pending and not wish.though_cancelled:
                        del wish
                        self._refuse_cancelled()
                        continue
                    try:
                        self.wish = None
                        self._serving = host.current_task()
                        if host.checkpoints:
                            with self._serving:
                                await wish.serve()
                        else:
                            await wish.serve()
                    except BaseException:  # thrown away, or struck from outside
                        if not wish.answered:
                            self.wish = None
                            wish.refuse(CancelledError("the awaiting task was interrupted"))
                        else:
                            wish.answer()  # once more: perhaps the thread was not told
                        raise
                    finally:
                        if self._interrupted and self._serving is not None:
                            self._interrupted = False
                            self._serving.uncancel()
                        self._serving = None
                        del wish
                    if not (self.ended or self.wish or host.ready):
                        # The loop has nothing else to do and would go to sleep. The thread has just
                        # been woken: let it end, or wish again, first.
                        give_way()
            if self.cancel_owed:
                raise host.cancellation(self)
            return self.finish()
        finally:
            self._depart()

    def _depart(self) -> None:
        if self.ended:
            self._detached = True
        elif not self._detached:
            self._leave_behind()
            if self.ended:
                left_behind.discard(self)
        self._error = self._waiter = None
        if self.wish is not None:
            self.arrived()  # its thread saw the host awake and relies on it to look

    def desert(self, error: BaseException) -> None:
        """In the host, struck by an exception from outside: nobody will ask for the outcome.

        A call that has not begun does not begin; one that has is told that it has been cancelled.
        Harmless when the call has ended, or when :meth:`outcome` has dealt with the exception.
        """
        self.fail(error)
        if not self._detached:
            if not self.ended:
                self.cancelled = self.cancel_pending = True
            self._depart()

    async def _give_way(self) -> None:
        # The thread is asking for one coroutine after the other; a cancellation that comes
        # in between is for the one it is asking for now.
        if self.host.checkpoints:  # trio tells of it only what a task sleeps in
            waiter = self.host.waiter(self)
            self.host.call_soon(waiter.fire)
            await waiter
            return
        try:
            await self.host.give_way()
        except CancelledError as cancelled:
            self.note_cancellation(cancelled)
            self.cancel_pending = self.cancel_owed = True

    def _refuse_cancelled(self) -> None:
        self.cancel_pending = self.cancel_owed = False
        if self.abandon:  # first, because the thread may ask again as soon as it is refused
            self._leave_behind()
        self._refuse_wish()
        if self.abandon:
            raise self.host.cancellation(self)

    def _refuse_wish(self) -> None:
        wish = self.wish
        if wish is not None:
            error = self.host.cancellation(self)
            self.wish = None  # before it is answered: the thread may ask again at once
            wish.refuse(error)
