"""A coroutine that a thread wants of a trio run, in which no task waits for the thread.

It runs as a task of a nursery. Invariant: every call that the run has accepted is answered; a run
looks at all that it has accepted before it ends, and a nursery at all its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from bridgekit.engine.loop_call import LoopCall
from bridgekit.engine.trio_host import TrioHost
from bridgekit.errors import PortalClosedError

__all__ = ["TrioCall", "is_cancellation"]


def is_cancellation(error: BaseException) -> bool:
    """Whether this is trio's cancellation, and nothing else besides."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


class TrioCall(LoopCall):
    """Made by the waiting thread; also the lane that it waits in.

    A call that has been cancelled ends with ``asyncio.CancelledError``, as on every other loop:
    ``trio.Cancelled`` means something only within the run that raised it.

    :param under_way: holds the call from its arrival to its end.
    :param name: of the task, or a function to be named after.
    """

    __slots__ = ("_name", "_nursery", "_scope", "_trio", "_under_way")

    def __init__(
        self,
        host: TrioHost,
        nursery: trio.Nursery,
        under_way: set[Any],
        func: Callable[[], Awaitable[Any]],
        name: object,
    ) -> None:
        LoopCall.__init__(self, None, func, (), {})  # type: ignore[arg-type]  # see the overrides
        self._name = name
        self._trio = host
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self._under_way = under_way

    def arrived(self) -> None:
        """On trio's thread, outside the tasks of the program: begin."""
        if self._answered or self._func is None:
            return
        try:
            start = partial(self._nursery.start_soon, self._run_as_task, name=self._name)
            self._context.run(start)
        except RuntimeError:  # closed
            self.fail(PortalClosedError("the portal was closed before the call began"))
        else:
            self._under_way.add(self)

    async def _run_as_task(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._context = self._task.context
        try:
            with self._scope:
                await self._run()
        finally:
            self._task = None
            self._under_way.discard(self)
            self.fail(asyncio.CancelledError())  # unless it has been answered

    def fail(self, error: BaseException) -> None:
        """Answer with an error unless the call has been answered."""
        if is_cancellation(error):
            error = asyncio.CancelledError("the call was cancelled")
        super().fail(error)

    def cancel(self) -> None:
        """On trio's thread, after the arrival."""
        self._scope.cancel()

    def is_of(self, task: trio.lowlevel.Task) -> bool:
        """Whether this is the task that the coroutine runs in."""
        return self._task is task

    def is_deserted(self) -> bool:
        """Whether the run that has to answer has ended, as far as is known."""
        return not self._trio.is_open

    def interrupt(self) -> None:
        """On the calling thread: a signal handler raised; ask for the coroutine's end."""
        try:
            self._trio.call_soon(self._cancel)
        except RuntimeError:
            self.host_closed()

    def _cancel(self) -> None:
        if self._func is None or self in self._under_way:
            self._scope.cancel()
        else:
            self.fail(asyncio.CancelledError())  # and never begin

    def wait_in(self) -> Any:
        """On the calling thread: send the call and park until there is an answer."""
        try:
            self.enter()
            if not self._trio.post(self):
                self.fail(PortalClosedError("the portal has been closed"))
            return self.wait()
        except BaseException:
            self.break_off()
            raise
