"""Random programs under trio, with portals of either library: an alarm exactly when one hangs.

What happens is the judge, as in ``test_deadlocks_random``: in the first test the detector only
writes to the log; a program that is logged must not go on, one that hangs must be logged.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from bridgekit import (
    BlockingPortal,
    CapacityLimiter,
    DeadlockError,
    ThreadSensitiveContext,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.diagnostics import format_waits, set_deadlock_action

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("settings_kept")]

Steps = list[tuple[Any, ...]]
HANGS = 3.0  # seconds without a step


@dataclass
class Program:
    tasks: list[Steps]
    tokens: list[int]
    workers: int
    shared_context: bool
    portal: Any


def random_program(rng: random.Random) -> Program:
    tokens = [rng.choice([1, 1, 1, 2]) for _ in range(rng.randint(1, 3))]

    def async_steps(depth: int) -> Steps:
        steps: Steps = []
        for _ in range(rng.randint(1, 2)):
            kind = rng.choice(["pause", "hold", "hold", "group", "call", "call", "call"])
            if kind == "hold" and depth:
                steps.append(("hold", rng.randrange(len(tokens)), async_steps(depth - 1)))
            elif kind == "group" and depth:
                steps.append(("group", [async_steps(depth - 1) for _ in range(2)]))
            elif kind == "call" and depth:
                limiter = rng.choice([None, None, rng.randrange(len(tokens))])
                affinity = rng.choice(["chain", "chain", "context"])
                steps.append(("call", limiter, affinity, sync_steps(depth - 1)))
            else:
                steps.append(("pause",))
        return steps

    def sync_steps(depth: int) -> Steps:
        kind = rng.choice(["work", "ask", "ask", "portal"])
        return [(kind, async_steps(depth))] if depth and kind != "work" else [("work",)]

    return Program(
        [async_steps(4) for _ in range(rng.randint(2, 5))],
        tokens,
        workers=rng.randint(1, 3),
        shared_context=rng.random() < 0.5,
        portal=rng.choice(["asyncio", "trio"]),
    )


@dataclass
class Running:
    """A program on its way, in a trio run in a thread of its own."""

    program: Program
    portal: BlockingPortal
    steps: int = 0
    outcomes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        to_thread.set_max_workers(self.program.workers)
        self.limiters = [CapacityLimiter(count) for count in self.program.tokens]
        self.thread = threading.Thread(
            target=anyio.run, args=(self.main,), kwargs={"backend": "trio"}, daemon=True
        )
        self.thread.start()

    async def main(self) -> None:
        if self.program.shared_context:
            async with ThreadSensitiveContext():
                await self.run_all()
        else:
            await self.run_all()

    async def run_all(self) -> None:
        async with anyio.create_task_group() as group:
            for steps in self.program.tasks:
                group.start_soon(self.top, steps)

    async def top(self, steps: Steps) -> None:
        await anyio.lowlevel.checkpoint()
        outcome = "ok"
        try:
            await self.run_async(steps)
        except* DeadlockError:
            outcome = "deadlock"
        self.outcomes.append(outcome)

    async def run_async(self, steps: Steps) -> None:
        for kind, *details in steps:
            self.steps += 1
            if kind == "pause":
                await anyio.lowlevel.checkpoint()
            elif kind == "hold":
                async with self.limiters[details[0]]:
                    await anyio.lowlevel.checkpoint()
                    await self.run_async(details[1])
            elif kind == "group":
                async with anyio.create_task_group() as group:
                    for inner in details[0]:
                        group.start_soon(self.run_async, inner)
            else:
                limiter, affinity, inner = details
                await to_thread.run_sync(
                    self.run_sync,
                    inner,
                    limiter=None if limiter is None else self.limiters[limiter],
                    affinity=affinity,
                )

    def run_sync(self, steps: Steps) -> None:
        for kind, *details in steps:
            self.steps += 1
            if kind == "work":
                time.sleep(0.001)
            elif kind == "ask":
                from_thread.run(self.run_async, details[0])
            else:
                self.portal.call(self.run_async, details[0])

    def watch(self, logged: Callable[[], bool]) -> str:
        """Wait for the first of: "done", "logged", "hangs"."""
        steps, since = self.steps, time.monotonic()
        while self.thread.is_alive():
            self.thread.join(0.01)
            if logged():
                return "logged"
            if self.steps != steps:
                steps, since = self.steps, time.monotonic()
            elif time.monotonic() - since > HANGS:
                return "hangs"
        return "done"


def judge(program: Program, caplog: pytest.LogCaptureFixture) -> str:
    """Run the program; an alarm must be right, and a hang must raise one."""
    caplog.clear()
    set_deadlock_action("log")
    with (
        caplog.at_level(logging.ERROR, "bridgekit"),
        start_blocking_portal(program.portal) as portal,
    ):
        running = Running(program, portal)
        found = running.watch(lambda: bool(caplog.records))
        if found == "logged":
            running.thread.join(0.3)
            assert running.thread.is_alive(), f"false alarm: {caplog.text}"
        else:
            assert found == "done", f"not noticed: {format_waits()}\n{program}"
        set_deadlock_action("raise")
        running.thread.join(20)
        assert not running.thread.is_alive(), f"still hangs: {format_waits()}\n{program}"
    assert all(record.message.startswith("deadlock: ") for record in caplog.records), caplog.text
    assert len(running.outcomes) == len(program.tasks)
    return found


def test_an_alarm_exactly_when_a_program_hangs(caplog: pytest.LogCaptureFixture) -> None:
    found = [judge(random_program(random.Random(seed)), caplog) for seed in range(10)]
    assert {"done", "logged"} <= set(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_an_alarm_exactly_when_a_program_hangs_often(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    judge(random_program(random.Random(seed)), caplog)
