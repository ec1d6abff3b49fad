"""What a working thread asks of its host: to await a coroutine."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextvars import Context, Token, copy_context
from typing import TYPE_CHECKING, Any

from bridgekit.engine.context import ContextMerge, same_variables
from bridgekit.engine.lane import CURRENT_LANE, Lane

if TYPE_CHECKING:
    from bridgekit.engine.call import Call

__all__ = ["Errand", "Wish"]


class Wish(Lane):
    """A coroutine that a working thread wants awaited by its host, and the lane it waits in."""

    though_cancelled = False  # to be served even if the host has been cancelled before

    __slots__ = ("_args", "_entered", "_error", "_func", "_kwargs", "_left", "_result", "_seen")

    def __init__(
        self,
        work: Call,
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

    def interrupt(self) -> None:
        """On the asking thread, which an exception has struck: ask for the coroutine's end."""
        work = self.work
        assert work is not None
        work.interrupt(self)

    def is_deserted(self) -> bool:
        """Whether the loop that has to answer is closed."""
        return self.work is not None and not self.work.host.is_open

    def host_closed(self) -> None:
        """The loop is closed. Called on any thread, perhaps more than once."""
        if self.work is not None:
            self.work._serving = None  # nothing but this thread need keep that task
        if not self._answered:
            self.refuse(RuntimeError("the event loop that started this thread has been closed"))

    def collect(self, work: Call) -> Any:
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


class Errand(Wish):
    """A function that a working thread wants called in its host; nothing is awaited in it.

    There is nothing in it that a cancellation could end, and a thread that has to clean up may
    depend on it. So it is served whatever has been done to the host.
    """

    though_cancelled = True

    __slots__ = ()
