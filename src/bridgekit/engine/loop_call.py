"""A coroutine that a thread wants of a loop in another thread, in which no task waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from bridgekit.engine.call import thread_state
from bridgekit.engine.context import ContextMerge, same_variables
from bridgekit.engine.first_step import start_task
from bridgekit.engine.hosts import current_asyncio_host, host_of
from bridgekit.engine.lane import CURRENT_LANE, Lane
from bridgekit.engine.wakers import give_way
from bridgekit.errors import PortalClosedError

if TYPE_CHECKING:
    from bridgekit.engine.portal import PortalLoop

__all__ = ["LoopCall", "call_on_loop"]

_NO_CONTEXT = Context()


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
        self._task: Any = None  # of this library's; in a subclass, of another one's
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
