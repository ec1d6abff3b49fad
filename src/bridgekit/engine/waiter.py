"""What a task of an asyncio loop sleeps in until a thread has news for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol, TypeAlias

__all__ = ["Sleeper", "Waiter"]


class Sleeper(Protocol):
    """Whose task sleeps in a waiter; decides what cancelling that task means now."""

    cancel_message: Any  # of the last cancellation; scopes of anyio know theirs by it

    def may_leave_on_cancel(self) -> bool:
        """Whether the task may leave at once; otherwise it is told when it is next resumed."""
        ...


Callbacks: TypeAlias = tuple[tuple[Callable[[Any], object], Context | None], ...]


class Waiter:
    """What a task awaits: a future in all that a task needs of one, but resumed directly.

    ``cancel`` returning False makes the task keep the cancellation until it is resumed.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancel_kept",
        "_context",
        "_fired",
        "_loop",
        "_message",
        "_more",
        "_sleeper",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sleeper: Sleeper) -> None:
        self._loop = loop
        self._sleeper: Sleeper | None = sleeper
        # Nearly always one in the end; thousands of waiters should be small.
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._more: Callbacks = ()
        self._fired = False
        self._cancel_kept = False
        self._message: tuple[Any] | None = None
        self._asyncio_future_blocking = False

    # Its own iterator: thousands of tasks may be waiting, and a generator for each takes memory.

    def __await__(self) -> Waiter:
        return self

    __iter__ = __await__

    def __next__(self) -> Waiter:
        if not self._fired:
            self._asyncio_future_blocking = True
            return self
        self.result()
        raise StopIteration

    def fire(self) -> None:
        """On the loop's thread, outside any task: resume the task now. Later calls do nothing."""
        if self._fired:
            return
        self._fired = True
        self._sleeper = None
        callback, context, more = self._callback, self._context, self._more
        self._callback = self._context = None
        self._more = ()
        if callback is not None:
            if context is None:
                callback(self)
            else:
                context.run(callback, self)
        # An exception that the task keeps refers to this frame, which must not refer back.
        del callback, context
        for callback, context in more:
            if context is None:
                callback(self)
            else:
                context.run(callback, self)
            del callback, context
        del more

    def cancel(self, msg: Any = None) -> bool:
        """Called when the task is cancelled."""
        sleeper = self._sleeper
        if self._fired or sleeper is None:
            return False
        sleeper.cancel_message = msg
        if not sleeper.may_leave_on_cancel():
            self._cancel_kept = True
            return False
        if self._message is None:
            self._message = (msg,)
            self._loop.call_soon(self.fire)
        return True

    def leave(self) -> None:
        """On the loop's thread, outside any task: resume the task with a cancellation."""
        if not self._fired and self._message is None:
            if not self._cancel_kept and self._sleeper is not None:
                self._message = (self._sleeper.cancel_message,)
            self.fire()

    # The rest of a future's interface, for tasks and for who looks at what a task awaits.

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Have ``callback(self)`` called when the waiter fires."""
        if self._fired:
            self._loop.call_soon(callback, self, context=context)
        elif self._callback is None and not self._more:
            self._callback, self._context = callback, context
        else:
            self._more = (*self._more, (callback, context))

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget a callback; returns how many there were."""
        known = self._callbacks
        kept = tuple(entry for entry in known if entry[0] != callback)
        self._callback, self._context = kept[0] if kept else (None, None)
        self._more = kept[1:]
        return len(known) - len(kept)

    @property
    def _callbacks(self) -> Callbacks:
        # By this name who looks at futures from outside knows them.
        callback = self._callback
        return self._more if callback is None else ((callback, self._context), *self._more)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop whose tasks may await this."""
        return self._loop

    def done(self) -> bool:
        """Whether it has fired."""
        return self._fired

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._message is not None

    def result(self) -> None:
        """None, or the cancellation."""
        if self._message is not None:
            raise asyncio.CancelledError(*filter(None, self._message))

    def exception(self) -> None:
        """None, or the cancellation."""
        self.result()
