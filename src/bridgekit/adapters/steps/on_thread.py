"""Synchronous code that runs in several steps, each on a worker thread, all in one context."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from bridgekit.adapters import to_thread
from bridgekit.adapters.calls import sync_to_async
from bridgekit.adapters.steps.own_context import OwnContext
from bridgekit.engine.affinity import CURRENT_BINDING, Affinity, ThreadBinding
from bridgekit.engine.hosts import runs_trio
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["ThreadSteps"]

T = TypeVar("T")


class _Step(Generic[T]):
    """One step on its way through a thread.

    Its ``__code__`` is what tells the engine one kind of call from another, to remember which
    ones take long.
    """

    __slots__ = ("__code__", "_func", "_own", "started")

    def __init__(self, func: Callable[[], T], own: OwnContext, kind: object) -> None:
        self.__code__ = kind
        self._func: Callable[[], T] | None = func
        self._own = own
        self.started = False

    def __call__(self) -> T:
        self.started = True
        func, self._func = self._func, None
        assert func is not None
        context = self._own.begin(copy_context())
        try:
            return context.run(func)
        finally:
            self._own.end()
            del func


def _run(step: _Step[T]) -> T:
    return step()


class ThreadSteps:
    """Runs functions on worker threads one after the other, as parts of one whole.

    :param kind: the same for steps that take about as long, such as those of one function.
    :param affinity: as for ``to_thread.run_sync``.
    :param limiter: a token of it is taken for each step, not for the time between steps.
    :param executor: run the steps in this executor's threads; excludes an affinity.
    :param binding: the thread for affinity ``"context"``.
    """

    def __init__(
        self,
        kind: object,
        *,
        affinity: Affinity | None = None,
        limiter: CapacityLimiter | None = None,
        executor: Executor | None = None,
        binding: ThreadBinding | None = None,
    ) -> None:
        self.own = OwnContext()
        self._kind = kind
        self._binding = binding
        self._cross: Callable[[_Step[Any]], Coroutine[Any, Any, Any]]
        if affinity is None and limiter is None and executor is None:
            self._cross = to_thread.run_sync
        else:
            self._cross = sync_to_async(_run, affinity=affinity, limiter=limiter, executor=executor)

    async def run(self, func: Callable[[], T]) -> T:
        """Run ``func()`` and await it, with the promises of ``to_thread.run_sync``.

        Cancelled before a thread has taken it, the step does not run.
        """
        step = _Step(func, self.own, self._kind)
        if self._binding is not None:
            return await self._run(step)
        try:
            result: T = await self._cross(step)
            return result
        finally:
            if step.started:
                self.own.give_back()

    async def _run(self, step: _Step[T], *, give_back: bool = True) -> T:
        token = CURRENT_BINDING.set(self._binding) if self._binding is not None else None
        try:
            result: T = await self._cross(step)
            return result
        finally:
            if token is not None:
                CURRENT_BINDING.reset(token)
            if step.started and give_back:
                self.own.give_back()

    async def run_in_any_case(self, func: Callable[[], T]) -> T:
        """Like :meth:`run`, but the step runs even if the task is cancelled meanwhile.

        For cleaning up. A cancellation is raised after the step has run.
        """
        if runs_trio():
            # Cancellation repeats itself there until its scope is left.
            with sys.modules["trio"].CancelScope(shield=True):
                return await self.run(func)
        step = _Step(func, self.own, self._kind)
        try:
            return await self._run(step)
        except asyncio.CancelledError:
            if step.started:
                raise
        # It was withdrawn before a thread had taken it. A task of its own cannot be cancelled
        # together with this one, by cancel scopes that repeat themselves either.
        again = self._run(_Step(func, self.own, self._kind), give_back=False)
        try:
            await _completed(asyncio.get_running_loop().create_task(again))
        finally:
            self.own.give_back()
        raise asyncio.CancelledError


async def _completed(task: asyncio.Task[Any]) -> None:
    """Wait for a task's end, whatever happens to the current task; then raise its exception."""
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            # The caller raises it when the task has ended.
            continue
    task.result()
