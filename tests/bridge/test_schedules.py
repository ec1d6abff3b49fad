"""Hundreds of seeded schedules (with ``-m slow`` thousands), each with delays inside the bridge.

A failure names its seed; ``BRIDGEKIT_SEED=17 pytest tests/bridge/test_schedules.py`` plays that
one again, many times, because threads never meet twice in quite the same way.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from tests.bridge.perturbation import Perturbation

from bridgekit import (
    CapacityLimiter,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    from_thread,
    to_thread,
)

SECONDS = 20
DEFAULT_SEEDS = range(250)
SLOW_SEEDS = range(1_000, 4_000)
REPEATS = 200


class Planned(Exception):
    pass


class Scenario:
    """A random program of calls, cancellations and foreign threads, and what must hold of it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.perturbation = Perturbation(seed)
        self.size = self.rng.randint(1, 3)
        self.limiter = CapacityLimiter(self.rng.randint(1, 2))
        self.lock = threading.Lock()
        self.running = 0
        self.threads: set[int] = set()
        self.context_threads: dict[object, set[int]] = {}
        self.failures: list[str] = []

    def unraisable(self, what: Any) -> None:
        self.failures.append("unraisable: " + "".join(traceback.format_exception(what.exc_value)))

    # -- functions of the program --------------------------------------------------------------

    def sync(self, plan: list[int], label: object) -> int:
        self.perturbation.here()
        with self.lock:
            self.running += 1
            if label is None:
                self.threads.add(threading.get_ident())
            else:
                self.context_threads.setdefault(label, set()).add(threading.get_ident())
        try:
            if not plan:
                return 1
            kind, rest = plan[0], plan[1:]
            if kind == 0:
                return 1 + async_to_sync(self.native)(rest)
            if kind == 1:
                return 1 + from_thread.run(self.native, rest)
            if kind == 2:
                from_thread.check_cancelled()
                return 1 + async_to_sync(self.native)(rest)
            if kind == 3:
                raise Planned
            return 1 + default_portal().call(self.native, rest)
        finally:
            with self.lock:
                self.running -= 1

    async def native(self, plan: list[int]) -> int:
        if not plan:
            await asyncio.sleep(0)
            return 1
        kind, rest = plan[0], plan[1:]
        if kind == 0:
            # With return_exceptions: without, a failed child may win over a cancellation.
            first, _ = await asyncio.gather(
                to_thread.run_sync(self.sync, rest, None),
                to_thread.run_sync(self.sync, [], None),
                return_exceptions=True,
            )
            if isinstance(first, BaseException):
                raise first
            return 1 + first
        if kind == 1:
            label = object()
            async with ThreadSensitiveContext():
                call = to_thread.run_sync(self.sync, rest, label, affinity="context")
                return 1 + await call
        return 1 + await to_thread.run_sync(self.sync, rest, None)

    # -- the program ---------------------------------------------------------------------------

    def plan(self) -> list[int]:
        return [self.rng.randint(0, 5) for _ in range(self.rng.randint(0, 5))]

    async def client(self, plan: list[int], options: dict[str, Any], cancels: list[int]) -> None:
        task = asyncio.create_task(to_thread.run_sync(self.sync, plan, None, **options))
        accepted = 0
        for turns in cancels:
            for _ in range(turns):
                await asyncio.sleep(0)
            accepted += task.cancel()
        await asyncio.wait([task])
        if accepted and not task.cancelled():
            self.failures.append(f"a cancellation was swallowed: {plan} {options}")
        elif not task.cancelled() and not isinstance(task.exception(), Planned):
            self.expect(task.result(), plan)

    def expect(self, result: int, plan: list[int]) -> None:
        if result != len(plan) + 1:
            self.failures.append(f"{plan} returned {result}")

    def foreign(self, plan: list[int]) -> None:
        self.perturbation.here()
        try:
            self.expect(async_to_sync(self.native)(plan), plan)
        except Planned:
            return

    async def main(self) -> None:
        clients = []
        for _ in range(self.rng.randint(1, 6)):
            options = {
                "abandon_on_cancel": self.rng.random() < 0.25,
                "limiter": self.limiter if self.rng.random() < 0.5 else None,
            }
            cancels = [self.rng.randint(0, 8) for _ in range(self.rng.choice((0, 1, 1, 2)))]
            clients.append(self.client(self.plan(), options, cancels))
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*clients)

    def play(self) -> None:
        to_thread.set_max_workers(self.size)
        plans = [self.plan() for _ in range(self.rng.randint(0, 2))]
        factory: Callable[[], Any] = self.rng.choice(
            (asyncio.new_event_loop, uvloop.new_event_loop)
        )
        with self.perturbation.active():
            threads = [threading.Thread(target=self.foreign, args=(plan,)) for plan in plans]
            for thread in threads:
                thread.start()
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self.main())
            for thread in threads:
                thread.join(SECONDS)
                assert not thread.is_alive(), "a thread hangs"
        deadline = time.monotonic() + SECONDS
        while (self.running or self.limiter.borrowed_tokens) and time.monotonic() < deadline:
            time.sleep(0.0005)
        self.check({thread.ident for thread in threads})

    def check(self, foreign: set[int | None]) -> None:
        assert not self.failures, self.failures
        assert self.running == 0, "a call never ended"
        assert self.limiter.borrowed_tokens == 0, "a token is lost"
        assert self.limiter.statistics().tasks_waiting == 0
        assert all(len(threads) == 1 for threads in self.context_threads.values()), "affinity"
        bound = foreign.union(*self.context_threads.values())
        assert len(self.threads - bound) <= self.size, "more threads than the pool may have"


def play(seeds: range | list[int]) -> None:
    seed = os.environ.get("BRIDGEKIT_SEED")
    if seed is not None:
        seeds = [int(seed)] * REPEATS
    for number in seeds:
        faulthandler.dump_traceback_later(SECONDS * 2)
        scenario = Scenario(number)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "unraisablehook", scenario.unraisable)
                scenario.play()
        except BaseException as error:
            error.add_note(f"BRIDGEKIT_SEED={number}")
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _pool() -> Iterator[None]:
    before = to_thread.get_max_workers()
    default_portal().call(int)
    yield
    to_thread.set_max_workers(before)


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_hundreds_of_perturbed_schedules() -> None:
    play(DEFAULT_SEEDS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_perturbed_schedules() -> None:
    play(SLOW_SEEDS)
