"""What tasks of trio sleep in, for news from a thread or for a token.

While a task sleeps in one of these, its ``custom_sleep_data`` is the very object; trio sets it back
when it wakes the task. That is how who looks from outside learns what the task waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import outcome
import trio

from bridgekit.engine.waiter import Sleeper

__all__ = ["RaiseCancel", "TrioTurn", "TrioWaiter"]

RaiseCancel = Callable[[], Any]


class TrioWaiter:
    """What a trio task sleeps in. Its ``Sleeper`` decides what cancelling the task means."""

    __slots__ = ("_fired", "_sleeper", "_task")

    def __init__(self, sleeper: Sleeper) -> None:
        self._sleeper: Sleeper | None = sleeper
        self._task: trio.lowlevel.Task | None = None
        self._fired = False

    def __await__(self) -> Generator[Any, None, None]:
        return self._sleep().__await__()

    async def _sleep(self) -> None:
        if self._fired:
            return
        self._task = task = trio.lowlevel.current_task()
        task.custom_sleep_data = self
        del task
        try:
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        finally:
            self._task = self._sleeper = None

    def _abort(self, raise_cancel: RaiseCancel) -> trio.lowlevel.Abort:
        sleeper = self._sleeper
        assert sleeper is not None
        if self._fired:  # the task is on its way already
            return trio.lowlevel.Abort.FAILED
        sleeper.raise_cancel = raise_cancel  # type: ignore[attr-defined]
        if not sleeper.may_leave_on_cancel():
            return trio.lowlevel.Abort.FAILED
        self._fired = True
        return trio.lowlevel.Abort.SUCCEEDED

    def done(self) -> bool:
        """Whether the task has been woken."""
        return self._fired

    def fire(self) -> None:
        """On trio's thread, outside any task: resume the task. Later calls do nothing."""
        if not self._fired:
            self._fired = True
            if self._task is not None:
                trio.lowlevel.reschedule(self._task)

    def leave(self) -> None:
        """On trio's thread, outside any task: resume the task with its cancellation."""
        if not self._fired and self._task is not None:
            self._fired = True
            raise_cancel: RaiseCancel = self._sleeper.raise_cancel  # type: ignore[union-attr]
            trio.lowlevel.reschedule(self._task, outcome.capture(raise_cancel))


class TrioTurn:
    """One task's turn at a limiter: in all that a limiter needs, a future of that task's loop."""

    __slots__ = ("_done", "_error", "_task", "_token")

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._task: trio.lowlevel.Task | None = None
        self._done = False
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Any, None, None]:
        return self._sleep().__await__()

    async def _sleep(self) -> None:
        if not self._done:
            self._task = task = trio.lowlevel.current_task()
            task.custom_sleep_data = self
            del task
            try:
                await trio.lowlevel.wait_task_rescheduled(self._abort)
            finally:
                self._task = None
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error

    def _abort(self, _: RaiseCancel) -> trio.lowlevel.Abort:
        self._done = True
        return trio.lowlevel.Abort.SUCCEEDED

    def get_loop(self) -> TrioTurn:
        """What takes callbacks for the thread that the task runs on."""
        return self

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        """Have a callback called there. Any thread may call this.

        :raises RuntimeError: the run has ended.
        """
        self._token.run_sync_soon(callback, *args)

    def done(self) -> bool:
        """Whether the turn has come, or nobody waits for it any more."""
        return self._done

    def set_result(self, result: None) -> None:
        """It has. On trio's thread, once."""
        self._done = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    def set_exception(self, error: BaseException) -> None:
        """It will not: the task is to raise the error. On trio's thread, once."""
        self._error = error
        self.set_result(None)
