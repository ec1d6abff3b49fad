"""Random programs: an alarm exactly when the program hangs.

A program is a handful of tasks that hold tokens, make calls, ask for coroutines from threads and
portals, and await one another. In the first test the detector only writes to the log, and what
happens is the judge: a program that is logged must not go on, a program that hangs must be logged.
Where nothing but tokens and tasks are involved, a search of all interleavings is a second judge.
"""

import asyncio
import functools
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

pytestmark = pytest.mark.usefixtures("settings_kept")

Steps = list[tuple[Any, ...]]
HANGS = 3.0  # seconds without a step


# -- programs ----------------------------------------------------------------------------------


@dataclass
class Program:
    tasks: list[Steps]
    tokens: list[int]
    workers: int = 2
    shared_context: bool = False


def random_program(rng: random.Random, *, only_tokens: bool = False) -> Program:
    tokens = [rng.choice([1, 1, 1, 2]) for _ in range(rng.randint(1, 3))]
    count = rng.randint(2, 5)

    def async_steps(number: int, depth: int, joins: bool) -> Steps:
        steps: Steps = []
        for _ in range(rng.randint(1, 2)):
            kind = rng.choice(["pause", "hold", "hold", "join", "call", "call", "call"])
            if kind == "hold" and depth:
                inner = async_steps(number, depth - 1, joins)
                steps.append(("hold", rng.randrange(len(tokens)), inner))
            elif kind == "join" and joins and number + 1 < count:
                steps.append(("join", rng.randrange(number + 1, count), rng.choice(list(WAYS))))
            elif kind == "call" and depth and not only_tokens:
                limiter = rng.choice([None, None, rng.randrange(len(tokens))])
                affinity = rng.choice(["chain", "chain", "context"])
                steps.append(("call", limiter, affinity, sync_steps(number, depth - 1, joins)))
            else:
                steps.append(("pause",))
        return steps

    def sync_steps(number: int, depth: int, joins: bool) -> Steps:
        kind = rng.choice(["work", "ask", "ask", "ask", "portal"])
        if kind == "ask" and depth:
            return [("ask", async_steps(number, depth, joins))]
        if kind == "portal" and depth:
            return [("portal", async_steps(number, depth, joins=False))]
        return [("work",)]

    return Program(
        [async_steps(number, 4, joins=True) for number in range(count)],
        tokens,
        workers=rng.randint(1, 3),
        shared_context=rng.random() < 0.5,
    )


async def _plain(task: asyncio.Task[Any]) -> None:
    await task


async def _gather(task: asyncio.Task[Any]) -> None:
    await asyncio.gather(task, asyncio.sleep(0), return_exceptions=True)


async def _shield(task: asyncio.Task[Any]) -> None:
    await asyncio.shield(task)


async def _wait(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])


WAYS: dict[str, Callable[[asyncio.Task[Any]], Any]] = {
    "plain": _plain,
    "gather": _gather,
    "shield": _shield,
    "wait": _wait,
}


@dataclass
class Running:
    """A program on its way, in a thread of its own."""

    program: Program
    portal: BlockingPortal
    steps: int = 0
    outcomes: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        to_thread.set_max_workers(self.program.workers)
        self.limiters = [CapacityLimiter(count) for count in self.program.tokens]
        self.thread = threading.Thread(target=asyncio.run, args=(self.main(),), daemon=True)
        self.thread.start()

    async def main(self) -> None:
        if self.program.shared_context:
            async with ThreadSensitiveContext():
                await self.run_all()
        else:
            await self.run_all()

    async def run_all(self) -> None:
        for steps in self.program.tasks:
            self.tasks.append(asyncio.create_task(self.top(steps)))
        await asyncio.gather(*self.tasks)

    async def top(self, steps: Steps) -> None:
        await asyncio.sleep(0)
        try:
            await self.run_async(steps)
        except DeadlockError:
            self.outcomes.append("deadlock")
        else:
            self.outcomes.append("ok")

    async def run_async(self, steps: Steps) -> None:
        for kind, *details in steps:
            self.steps += 1
            if kind == "pause":
                await asyncio.sleep(0)
            elif kind == "hold":
                async with self.limiters[details[0]]:
                    await asyncio.sleep(0)
                    await self.run_async(details[1])
            elif kind == "join":
                await WAYS[details[1]](self.tasks[details[0]])
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
    with caplog.at_level(logging.ERROR, "bridgekit"), start_blocking_portal() as portal:
        running = Running(program, portal)
        found = running.watch(lambda: bool(caplog.records))
        if found == "logged":
            running.thread.join(0.3)
            assert running.thread.is_alive(), f"false alarm: {caplog.text}"
        else:
            assert found == "done", f"not noticed: {format_waits()}\n{program}"
        set_deadlock_action("raise")
        running.thread.join(10)
        assert not running.thread.is_alive(), f"still hangs: {format_waits()}\n{program}"
    assert all(record.message.startswith("deadlock: ") for record in caplog.records), caplog.text
    assert len(running.outcomes) == len(program.tasks)
    assert found == "logged" or "deadlock" not in running.outcomes or self_wait(caplog)
    return found


def self_wait(caplog: pytest.LogCaptureFixture) -> bool:
    """A task asked for its own token: refused at once, without a look."""
    return not caplog.records


@pytest.mark.parametrize("seed", range(16))
def test_an_alarm_exactly_when_a_program_hangs(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    judge(random_program(random.Random(seed)), caplog)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_an_alarm_exactly_when_a_program_hangs_often(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    judge(random_program(random.Random(seed)), caplog)


# -- the model: all interleavings of tokens and tasks --------------------------------------------


def flatten(steps: Steps) -> list[tuple[str, int]]:
    flat: list[tuple[str, int]] = []
    for kind, *details in steps:
        if kind == "hold":
            flat += [("take", details[0]), *flatten(details[1]), ("give", details[0])]
        elif kind == "join":
            flat.append(("join", details[0]))
    return flat


def possible_ends(program: Program) -> set[str]:
    """ "done" and "stuck", as far as some order of steps leads there.

    A task that asks for a token, all of which it holds itself, fails and gives back what it holds.
    """
    scripts = [flatten(steps) for steps in program.tasks]
    ends: set[str] = set()

    @functools.cache
    def explore(places: tuple[int, ...]) -> None:
        held = [_held(script[:at]) for script, at in zip(scripts, places, strict=True)]
        moved = False
        for number, (script, at) in enumerate(zip(scripts, places, strict=True)):
            if at == len(script):
                continue
            kind, what = script[at]
            used = sum(tokens.count(what) for tokens in held) if kind == "take" else 0
            own = held[number].count(what)
            if kind == "join" and places[what] < len(scripts[what]):
                continue
            if kind == "take" and used >= program.tokens[what]:
                if own < used:
                    continue
                after = len(script)  # refused: the task ends
            else:
                after = at + 1
            moved = True
            explore((*places[:number], after, *places[number + 1 :]))
        if not moved:
            finished = all(at == len(script) for script, at in zip(scripts, places, strict=True))
            ends.add("done" if finished else "stuck")

    explore(tuple(0 for _ in scripts))
    return ends


def _held(script: list[tuple[str, int]]) -> list[int]:
    held: list[int] = []
    for kind, what in script:
        if kind == "take":
            held.append(what)
        elif kind == "give":
            held.remove(what)
    return held


# No program is bound to hang: each task, run to its end before those that may await it, ends.
@pytest.mark.parametrize("wanted", [{"done"}, {"done", "stuck"}], ids=["cannot", "may"])
def test_tokens_and_tasks_agree_with_a_search_of_all_interleavings(
    wanted: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(7)
    found = []
    while len(found) < 8:
        program = random_program(rng, only_tokens=True)
        if possible_ends(program) == wanted:
            found.append(judge(program, caplog))
            assert found[-1] == "done" or "stuck" in wanted, program
    assert ("logged" in found) == ("stuck" in wanted)
