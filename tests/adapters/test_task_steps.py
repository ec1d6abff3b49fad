"""TaskSteps in the moments in which its task ends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bridgekit import PortalClosedError, default_portal
from bridgekit.adapters.steps.in_task import TaskSteps
from bridgekit.adapters.steps.own_context import OwnContext


class Steps:
    """Steps that end by themselves when their task is cancelled."""

    def __init__(self) -> None:
        self.ended = False
        self.gone = threading.Event()
        self.task: asyncio.Task[Any] | None = None
        self.log: list[str] = []
        self.steps = TaskSteps("test", Steps, OwnContext(), self.cancelled, lambda: self.ended)

    async def first(self) -> str:
        self.task = asyncio.current_task()
        assert self.task is not None
        self.task.add_done_callback(lambda task: self.gone.set())
        return "first"

    async def cancelled(self, error: asyncio.CancelledError) -> None:
        self.log.append("cancelled")
        self.ended = True

    async def tell(self) -> str:
        self.log.append("told")
        return "what came of it"

    def cancel(self) -> None:
        assert self.task is not None
        self.task.get_loop().call_soon_threadsafe(self.task.cancel)
        assert self.gone.wait(10)


def test_a_step_after_the_end_tells_what_came_of_it() -> None:
    play = Steps()
    assert play.steps.run(play.first) == "first"
    play.cancel()
    assert play.steps.run(play.tell) == "what came of it"
    assert play.log == ["cancelled", "told"]


def test_a_step_that_is_asked_for_while_it_ends_is_run() -> None:
    play = Steps()

    async def cancelled(error: asyncio.CancelledError) -> None:
        play.steps.finish_soon(play.tell)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        play.ended = True

    play.steps = TaskSteps("test", Steps, OwnContext(), cancelled, lambda: play.ended)
    play.steps.run(play.first)
    play.cancel()
    assert play.log == ["told"]


def test_a_task_that_was_ended_from_outside_refuses() -> None:
    play = Steps()

    async def give_up(error: asyncio.CancelledError) -> None:
        raise error

    play.steps = TaskSteps("test", Steps, OwnContext(), give_up, lambda: play.ended)
    play.steps.run(play.first)
    play.cancel()
    with pytest.raises(PortalClosedError):
        play.steps.run(play.tell)


def test_the_exception_of_a_step_does_not_end_the_task() -> None:
    play = Steps()

    async def fail() -> None:
        raise LookupError

    async def current() -> Any:
        return asyncio.current_task()

    play.steps.run(play.first)
    with pytest.raises(LookupError):
        play.steps.run(fail)
    assert play.steps.run(current, last=True) is play.task
    default_portal().call(asyncio.sleep, 0)
    assert play.gone.is_set()
