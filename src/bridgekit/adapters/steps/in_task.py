"""Asynchronous code that runs in several steps, all in one task, asked for by a thread."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

from bridgekit.adapters.calls import run_coroutine
from bridgekit.adapters.loop_thread import Suspend, refuse_on_loop_thread
from bridgekit.adapters.loop_to_loop import await_on_loop
from bridgekit.adapters.steps.own_context import OwnContext
from bridgekit.engine import process
from bridgekit.engine.hosts import runs_trio
from bridgekit.engine.portal import call_on_loop
from bridgekit.engine.work import current_work
from bridgekit.errors import PortalClosedError

__all__ = ["TaskSteps"]

T = TypeVar("T")
StepFunction = Callable[[], Awaitable[Any]]


class _OtherLoop(Exception):
    """The thread's own loop is not the one that the task lives on."""


class _Request:
    """A step on its way through the task, and what it came to.

    An exception is kept here, not raised: it must not end the task.
    """

    __slots__ = ("answer", "error", "func", "last", "replied", "result")

    def __init__(
        self, func: StepFunction, last: bool, answer: asyncio.Future[None] | None = None
    ) -> None:
        self.func: StepFunction | None = func
        self.last = last
        self.answer = answer
        self.replied = False
        self.result: Any = None
        self.error: BaseException | None = None

    def reply(self, result: Any, error: BaseException | None) -> None:
        if not self.replied:
            self.replied = True
            self.func = None
            self.result, self.error = result, error
            if self.answer is not None and not self.answer.done():
                self.answer.set_result(None)


class TaskSteps:
    """Runs coroutine functions one after the other in one task, for a synchronous consumer.

    The task is started with the first step, on the loop that ``async_to_sync`` would use on the
    calling thread. Whoever uses it sees to its end: by a last step, or ``has_ended``. Steps may be
    asked for on any thread that runs no loop, one at a time. Where trio awaits the worker thread,
    there is no such task: the one that awaits the thread runs the steps.

    :param what: names the bridge in error messages.
    :param target: the function or object that is bridged, also for error messages.
    :param own: the context of the task.
    :param on_cancel: awaited in the task when it is cancelled between two steps, by a timeout or
        a cancel scope that a step has left open, or because its loop ends.
    :param has_ended: asked after each step: whether there is nothing left to do in the task.
    """

    def __init__(
        self,
        what: str,
        target: Callable[..., Any],
        own: OwnContext,
        on_cancel: Callable[[asyncio.CancelledError], Awaitable[None]],
        has_ended: Callable[[], bool],
    ) -> None:
        self._what = what
        self._target = target
        self._on_cancel = on_cancel
        self._has_ended = has_ended
        self.own = own
        self._generation = process.generation()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._bell: asyncio.Future[None] | None = None
        self._requests: deque[_Request] = deque()
        self._current: _Request | None = None
        self._forwarded = 0

    # -- on the consumer's thread --------------------------------------------------------------

    def run(
        self,
        func: Callable[[], Awaitable[T]],
        *,
        last: bool = False,
        shield: bool = False,
        cancel_again: bool = False,
    ) -> T:
        """Await ``func()`` in the task and wait for its result.

        If the wait is interrupted (Ctrl-C, or the cancellation of the task that awaits this
        thread), the step is cancelled, and the wait goes on until it has ended.

        :param last: the task ends with this step.
        :param shield: do not cancel the step, but the waiting task again when it has ended.
        :param cancel_again: do so in any case.
        :raises LoopThreadError: this thread is running an event loop.
        :raises PortalClosedError: the task's loop is not running any more.
        """
        suspend = refuse_on_loop_thread(self._target, self._what)
        try:
            ask = functools.partial(self._ask, func, last, shield, cancel_again)
            request = self._on_own_loop(ask, suspend)
        finally:
            self.own.give_back()
        # Taken out of the request, which the engine may hold on to for a while.
        result, error = request.result, request.error
        request.result = request.error = None
        if error is not None:
            try:
                raise error
            finally:
                del error
        return cast(T, result)

    def _on_own_loop(
        self, ask: Callable[[], Coroutine[Any, Any, _Request]], suspend: Suspend | None
    ) -> _Request:
        loop = self._loop
        if loop is None:
            return run_coroutine(ask)
        if self._generation != process.generation():
            raise PortalClosedError("a forked child cannot go on with its parent's iteration")
        if not loop.is_running():
            raise PortalClosedError("the event loop that ran the previous steps has ended")
        if suspend is not None:
            return cast(_Request, suspend(functools.partial(await_on_loop, loop, ask)))
        work = current_work()
        if work is not None and work.has_host:
            try:
                return cast(_Request, work.ask(ask))
            except _OtherLoop:
                pass  # it began elsewhere and has been handed to this thread
        return cast(_Request, call_on_loop(loop, ask))

    def finish(self, func: StepFunction, has_run: Callable[[], bool], *, shield: bool) -> None:
        """Await ``func()`` as the last step, even if the task that awaits this thread is cancelled.

        A thread learns of such a cancellation by the refusal of what it asks for.

        :param has_run: whether the step has been begun.
        :param shield: do not let the step notice, and raise nothing: the cancellation is delivered
            again, to whatever the thread does next.
        """
        refused: asyncio.CancelledError | None = None
        while True:
            try:
                again = shield and refused is not None
                self.run(func, last=True, shield=shield, cancel_again=again)
                break
            except asyncio.CancelledError as error:
                if has_run():
                    raise
                refused = error
        if refused is not None and not shield:
            try:
                raise refused
            finally:
                del refused

    def finish_soon(self, func: StepFunction) -> None:
        """Have ``func()`` awaited as the last step and do not wait. Any thread may call this."""
        loop = self._loop
        if loop is None or loop.is_closed() or self._generation != process.generation():
            return
        try:
            loop.call_soon_threadsafe(self._begin_finish, func)
        except RuntimeError:
            return  # closed in this moment; its end has cancelled the task

    # -- on the loop ---------------------------------------------------------------------------

    async def _ask(
        self, func: StepFunction, last: bool, shield: bool, cancel_again: bool
    ) -> _Request:
        """In the task that stands for the waiting thread: have the step run, await its outcome."""
        if runs_trio():
            # Trio has no tasks outside a nursery: this one, which awaits the thread, runs the step.
            request = _Request(func, last)
            await self._tell(request)
            return request
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise _OtherLoop
        request = _Request(func, last, loop.create_future())
        if self._task is not None and self._task.done() and self._has_ended():
            # It ended by itself after the consumer had looked. Nothing is left to run in the task;
            # the step only tells what has come of it.
            await self._tell(request)
            return request
        self._enqueue(request, self.own.begin(copy_context()))
        passed_over = cancel_again
        while not request.replied:
            assert request.answer is not None
            try:
                await request.answer
            except asyncio.CancelledError:
                if request.replied and not shield:
                    request.error = None
                    raise
                request.answer = loop.create_future()
                if shield:
                    passed_over = True
                elif request is self._current:
                    self._cancel_step()  # its outcome says what became of it
                elif last:
                    passed_over = True  # cleaning up is not left undone
                else:
                    self._requests.remove(request)
                    raise
        if passed_over and shield:
            _cancel_again(loop)
        elif passed_over and request.error is None:
            raise asyncio.CancelledError
        return request

    async def _tell(self, request: _Request) -> None:
        assert request.func is not None
        try:
            request.reply(await request.func(), None)
        except (Exception, asyncio.CancelledError) as error:
            request.reply(None, error)

    def _enqueue(self, request: _Request, context: Context | None) -> None:
        assert self._loop is not None
        if self._task is None:
            self._task = self._loop.create_task(
                self._serve(), name=f"bridgekit-{self._what}", context=context
            )
            self._task.add_done_callback(self._refuse_the_rest)
        elif self._task.done():
            request.reply(None, PortalClosedError("the task of the previous steps has ended"))
            return
        elif self._current is not None and request.last:
            # The consumer was torn away from a step (a second Ctrl-C) and cleans up.
            self._cancel_step()
        self._requests.append(request)
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def _cancel_step(self) -> None:
        assert self._task is not None
        self._forwarded += 1
        self._task.cancel()

    def _begin_finish(self, func: StepFunction) -> None:
        if self._task is not None and not self._task.done():
            self._enqueue(_Request(func, last=True), None)

    async def _serve(self) -> None:
        last = False
        while self._requests or not (last or self._has_ended()):
            if not self._requests:
                await self._idle()
                continue
            request = self._current = self._requests.popleft()
            last = request.last
            assert request.func is not None
            try:
                result = await request.func()
            except GeneratorExit:
                raise  # the loop was closed, and this coroutine is being thrown away
            except BaseException as error:
                self._reply(None, error)
            else:
                self._reply(result, None)
                del result
            del request

    async def _idle(self) -> None:
        self._bell = asyncio.get_running_loop().create_future()
        try:
            await self._bell
        except asyncio.CancelledError as error:
            await self._on_cancel(error)
        finally:
            self._bell = None

    def _reply(self, result: Any, error: BaseException | None) -> None:
        self.own.end()
        request, self._current = self._current, None
        assert request is not None
        assert self._task is not None
        while self._forwarded:
            self._forwarded -= 1
            self._task.uncancel()
        request.reply(result, error)

    def _refuse_the_rest(self, task: asyncio.Task[None]) -> None:
        left = list(self._requests)
        self._requests.clear()
        if self._current is not None:
            left.append(self._current)
            self._current = None
        for request in left:
            request.reply(None, PortalClosedError("the event loop was closed during the call"))


def _cancel_again(loop: asyncio.AbstractEventLoop) -> None:
    task = asyncio.current_task(loop)
    assert task is not None
    if task.cancelling():
        task.uncancel()  # it is the same cancellation
    loop.call_soon(task.cancel)
