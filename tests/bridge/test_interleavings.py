"""Invariant 12: every order of {complete, cancel, second cancel, loop close} around delivery.

The loop is turned by hand, one iteration at a time, and stands still in between. So a thread's
message can be sent, and stay undelivered, while the next event happens. Nothing is patched: the
message is known to be sent when the only worker has gone on to the next call, or sleeps.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from bridgekit import CapacityLimiter, async_to_sync, default_portal, from_thread, to_thread

pytestmark = pytest.mark.timeout(110)

SECONDS = 10
COMPLETE, CANCEL, CLOSE = "complete", "cancel", "close"


class Planned(Exception):
    pass


def orders(turns: tuple[int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Every order of the events, with every choice of loop turns after each."""
    events = set(itertools.permutations([COMPLETE, CANCEL, CANCEL, CLOSE]))
    events |= set(itertools.permutations([COMPLETE, CANCEL, CANCEL]))
    events |= set(itertools.permutations([COMPLETE, CANCEL]))
    events |= {(COMPLETE,), (COMPLETE, CLOSE), (CLOSE, COMPLETE)}
    seen = set()
    for order in sorted(events):
        for gaps in itertools.product(turns, repeat=len(order)):
            steps: list[str | int] = []
            for event, gap in zip(order, gaps, strict=True):
                steps.append(event)
                if gap and CLOSE not in steps:
                    steps.append(gap)
            if CLOSE in steps:  # nothing but the thread can act on a closed loop
                rest = steps[steps.index(CLOSE) + 1 :]
                steps[steps.index(CLOSE) + 1 :] = [step for step in rest if step == COMPLETE]
            seen.add(tuple(steps))
    yield from sorted(seen, key=repr)


class Scene:
    """One call that is under way on the pool's only thread, and a loop that stands still."""

    def __init__(self, message: str, abandon: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.message = message
        self.abandon = abandon
        self.loop = loop
        self.begun, self.gate, self.asking, self.ended = (threading.Event() for _ in range(4))
        self.limiter = CapacityLimiter(1)
        self.thread = 0
        self.cancels = 0
        self.coroutine = to_thread.run_sync(
            self.work, limiter=self.limiter, abandon_on_cancel=abandon
        )
        self.task = loop.create_task(self.coroutine)
        deadline = time.monotonic() + SECONDS
        while not self.begun.is_set():
            self.turn()
            assert time.monotonic() < deadline

    # -- the thread ----------------------------------------------------------------------------

    def work(self) -> str:
        self.thread = threading.get_ident()
        self.begun.set()
        try:
            assert self.gate.wait(SECONDS)
            if self.message == "error":
                raise Planned
            self.asking.set()
            if self.message == "wish":
                return async_to_sync(self.native)()
            if self.message == "check":
                from_thread.check_cancelled()
            return "result"
        finally:
            self.ended.set()

    async def native(self) -> str:
        await asyncio.sleep(0)
        return "result"

    # -- the events ----------------------------------------------------------------------------

    def turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def play(self, step: str | int) -> None:
        if isinstance(step, int):
            for _ in range(step):
                self.turn()
                self.check()
        elif step == CANCEL:
            self.cancels += self.task.cancel()
        elif step == CLOSE:
            self.loop.close()
        else:
            self.gate.set()
            self.wait_until_sent()
        self.check()

    def wait_until_sent(self) -> None:
        if self.message != "wish":
            assert self.ended.wait(SECONDS)
            default_portal().start_task_soon(to_thread.run_sync, int).result(SECONDS)
            return
        # It has sent its message when it sleeps in wait of the answer, and uses no processor time.
        assert self.asking.wait(SECONDS)
        clock = time.pthread_getcpuclockid(self.thread)
        deadline, used = time.monotonic() + SECONDS, -1.0
        while not self.ended.is_set() and time.monotonic() < deadline:
            before, used = used, time.clock_gettime(clock)
            if used == before:
                return
            time.sleep(0.002)

    def check(self) -> None:
        if not self.abandon and not self.ended.is_set():
            assert not self.task.done(), "the await was left before the function's end"

    # -- the end -------------------------------------------------------------------------------

    def finish(self) -> None:
        self.gate.set()
        if self.loop.is_closed():
            self.task._log_destroy_pending = False  # type: ignore[attr-defined]
            self.coroutine.close()
        else:
            deadline = time.monotonic() + SECONDS
            while not self.task.done() or not self.ended.is_set():
                self.turn()
                assert time.monotonic() < deadline, "the call never ended"
            self.check_outcome()
        assert self.ended.wait(SECONDS), "the thread hangs"
        default_portal().start_task_soon(to_thread.run_sync, int).result(SECONDS)
        assert self.limiter.borrowed_tokens == 0
        assert self.limiter.statistics().tasks_waiting == 0

    def check_outcome(self) -> None:
        if self.cancels:
            assert self.task.cancelled(), "the cancellation was swallowed"
            assert self.task.cancelling() == self.cancels
        elif self.message == "error":
            assert isinstance(self.task.exception(), Planned)
        else:
            assert self.task.result() == "result"


@pytest.fixture(autouse=True)
def _one_worker() -> Iterator[None]:
    before = to_thread.get_max_workers()
    default_portal().call(int)
    to_thread.set_max_workers(1)
    yield
    to_thread.set_max_workers(before)


def play_all(message: str, abandon: bool, factory: Any, turns: tuple[int, ...]) -> None:
    for order in orders(turns):
        loop = factory()
        try:
            scene = Scene(message, abandon, loop)
            try:
                for step in order:
                    scene.play(step)
            finally:
                scene.finish()
        except BaseException as error:
            error.add_note(f"in the order {order}, {message}, abandon={abandon}")
            raise
        finally:
            loop.close()


FACTORIES = pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@FACTORIES
@pytest.mark.parametrize("abandon", [False, True], ids=["wait", "abandon"])
@pytest.mark.parametrize("message", ["result", "error", "wish", "check"])
def test_invariant_12_every_order_around_delivery(
    message: str, abandon: bool, factory: Any
) -> None:
    play_all(message, abandon, factory, (0, 2))


@pytest.mark.slow
@FACTORIES
@pytest.mark.parametrize("abandon", [False, True], ids=["wait", "abandon"])
@pytest.mark.parametrize("message", ["result", "error", "wish", "check"])
def test_every_order_with_every_number_of_turns(message: str, abandon: bool, factory: Any) -> None:
    play_all(message, abandon, factory, (0, 1, 2, 3, 4))
