"""More ways to start something on a portal's loop: until it says that it is ready, or from a task
of another loop. Either loop may be one of asyncio or a run of trio.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, overload

from bridgekit.adapters.loop_thread import refuse_on_loop_thread
from bridgekit.adapters.portal import BlockingPortal
from bridgekit.engine.hosts import current_host

__all__ = ["TaskStatus", "call_async", "start_task"]

T = TypeVar("T")


class TaskStatus:
    """How a task tells :func:`start_task` that it is ready."""

    def __init__(self, ready: Future[Any]) -> None:
        self._ready = ready

    def started(self, value: object = None) -> None:
        """The task is ready; ``value`` is what :func:`start_task` returns besides the future.

        :raises RuntimeError: called a second time.
        """
        if self._ready.done():
            raise RuntimeError("task_status.started() has been called already")
        self._ready.set_result(value)


def start_task(
    portal: BlockingPortal,
    func: Callable[..., Awaitable[T]],
    /,
    *args: object,
    name: str | None = None,
) -> tuple[Future[T], Any]:
    """Start ``func(*args, task_status=...)`` on the portal's loop; wait until it is ready.

    :returns: a future of the task's result, and the value given to ``task_status.started()``.
    :raises LoopThreadError: called on a thread that is running an event loop.
    :raises RuntimeError: the task ended without calling ``started()``. If it failed before, its
        exception is raised.
    """
    refuse_on_loop_thread(func, "start_task")
    ready: Future[Any] = Future()

    def task_ended(done: Future[T]) -> None:
        if ready.done():
            return
        if done.cancelled():
            ready.cancel()
        else:
            ready.set_exception(
                done.exception()
                or RuntimeError("Task exited without calling task_status.started()")
            )

    call: Any = func
    future: Future[T] = portal.start_task_soon(
        call, *args, name=name, task_status=TaskStatus(ready)
    )
    future.add_done_callback(task_ended)
    return future, portal.call(_result_of, ready)


async def _result_of(future: Future[T]) -> T:
    if asyncio._get_running_loop() is not None:
        return await asyncio.wrap_future(future)
    from bridgekit.adapters.portal_on_trio import future_result

    result: T = await future_result(future)
    return result


class _RemoteTask:
    """A task of the portal's loop that another loop may want cancelled."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._cancel_later: Callable[[], None] | None = None
        self._cancelled = False

    async def run(self) -> Any:
        host = current_host()
        serving = host.current_task()
        self._cancel_later = partial(host.call_soon, serving.cancel)
        if self._cancelled:
            raise asyncio.CancelledError
        if not host.checkpoints:
            return await self._run()
        with serving:
            return await self._run()
        raise asyncio.CancelledError  # which the portal takes for trio's

    async def _run(self) -> Any:
        result = self._call()
        return await result if inspect.isawaitable(result) else result

    def cancel(self) -> None:
        """From any thread. A task that has not begun does not begin."""
        self._cancelled = True
        if self._cancel_later is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._cancel_later()


@overload
async def call_async(
    portal: BlockingPortal,
    func: Callable[..., Awaitable[T]],
    /,
    *args: Any,
    abandon_on_cancel: bool = ...,
    **kwargs: Any,
) -> T: ...


@overload
async def call_async(
    portal: BlockingPortal,
    func: Callable[..., T],
    /,
    *args: Any,
    abandon_on_cancel: bool = ...,
    **kwargs: Any,
) -> T: ...


async def call_async(
    portal: BlockingPortal,
    func: Callable[..., Any],
    /,
    *args: Any,
    abandon_on_cancel: bool = False,
    **kwargs: Any,
) -> Any:
    """Call ``func`` on the portal's loop from a task of another loop, and await its result.

    Cancelling this task cancels the call. It is left only when the call has ended; an exception
    that the call raises while it is being cancelled takes the place of the cancellation.

    :param abandon_on_cancel: leave at once when cancelled; the call ends by itself and its outcome
        is dropped.
    :raises PortalClosedError: the portal is not open.
    """
    remote = _RemoteTask(lambda: func(*args, **kwargs))
    if asyncio._get_running_loop() is None:
        from bridgekit.adapters.portal_on_trio import await_in_trio

        future = portal.start_task_soon(remote.run)
        return await await_in_trio(future, remote.cancel, abandon_on_cancel)
    outcome: asyncio.Future[Any] = asyncio.wrap_future(portal.start_task_soon(remote.run))
    try:
        await asyncio.wait([outcome])
    except asyncio.CancelledError:
        remote.cancel()
        outcome.add_done_callback(_look_at)
        if not abandon_on_cancel:
            await _until_done(outcome)
            if not outcome.cancelled():
                outcome.result()  # an exception of the clean-up is what the caller must see
        raise
    return outcome.result()


class _Undisturbed(asyncio.Future[None]):
    """A future whose waiting task is woken when it is done and not before.

    A cancellation that arrives meanwhile is kept by the task and raised then.
    """

    def cancel(self, msg: Any = None) -> bool:
        return False


async def _until_done(outcome: asyncio.Future[Any]) -> None:
    ended = _Undisturbed()
    outcome.add_done_callback(lambda _: ended.set_result(None))
    # Cancelled again: the cancellation that is under way is raised in the end.
    with suppress(asyncio.CancelledError):
        await ended


def _look_at(outcome: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting an exception of an abandoned call that nobody retrieves."""
    if not outcome.cancelled():
        outcome.exception()
