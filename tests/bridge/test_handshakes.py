"""The engine's handshakes between two threads, in every order with up to two switches.

Two real threads take turns: only one runs at a time, and at every line of the engine's code the
other one may take over. The places at which it does are tried one after the other, all of them. A
thread that goes to sleep lets the other one run; if that one sleeps too, or has ended, and nobody
has rung, a wake-up was lost.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import bridgekit
from bridgekit import from_thread
from bridgekit.engine import lane as lane_module
from bridgekit.engine import process, wakers, workers
from bridgekit.engine.lane import Lane
from bridgekit.engine.owned_thread import OwnedThread
from bridgekit.engine.waiter import Waiter
from bridgekit.engine.work import Work
from bridgekit.engine.workers import WorkerPool, _PoolWorker

pytestmark = pytest.mark.timeout(110)

ENGINE = str(Path(bridgekit.__file__).parent / "engine")
SECONDS = 20


class LostWakeUp(AssertionError):
    pass


class Stage:
    """Two actors, and the steps at which the one that is running has to give way."""

    def __init__(self, switches: tuple[int, ...]) -> None:
        self._switches = switches
        self.steps = 0
        self._batons = (threading.Semaphore(0), threading.Semaphore(0))
        self._running = 0
        self._ended = [False, False]
        self._asleep: list[Bell | None] = [None, None]
        self.errors: list[BaseException] = []

    def play(self, *actors: Callable[[], None]) -> None:
        threads = [
            threading.Thread(target=self._act, args=(number, actor), daemon=True)
            for number, actor in enumerate(actors)
        ]
        for thread in threads:
            thread.start()
        self._batons[0].release()
        for thread in threads:
            thread.join(SECONDS)
        if self.errors:
            raise self.errors[0]
        assert not any(thread.is_alive() for thread in threads)

    def _act(self, number: int, actor: Callable[[], None]) -> None:
        self._batons[number].acquire()
        sys.settrace(self._trace)
        try:
            actor()
        except BaseException as error:
            self.errors.append(error)
        finally:
            sys.settrace(None)
            self._ended[number] = True
            if self._can_run(1 - number):
                self._running = 1 - number
                self._batons[1 - number].release()
            elif not self._ended[1 - number]:
                self._give_up(1 - number)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(ENGINE) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            self.steps += 1
            if self.steps in self._switches:
                self._switch()
        return self._line

    def _can_run(self, number: int) -> bool:
        bell = self._asleep[number]
        return not self._ended[number] and (bell is None or bell.rung)

    def _switch(self) -> None:
        here = self._running
        if self._can_run(1 - here):
            self._running = 1 - here
            self._batons[1 - here].release()
            self._batons[here].acquire()

    def sleep(self, bell: Bell) -> None:
        """The actor that is running sleeps until the bell rings."""
        here = self._running
        while not bell.rung:
            self._asleep[here] = bell
            if not self._can_run(1 - here):
                self._asleep[here] = None
                raise LostWakeUp(f"after {self.steps} steps, switches at {self._switches}")
            self._running = 1 - here
            self._batons[1 - here].release()
            self._batons[here].acquire()
            self._asleep[here] = None
            if bell.lost:
                raise LostWakeUp(f"switches at {self._switches}")
        bell.rung = False

    def _give_up(self, number: int) -> None:
        bell = self._asleep[number]
        assert bell is not None
        bell.rung = bell.lost = True
        self._running = number
        self._batons[number].release()


class Bell:
    """What a thread sleeps on, in the place of a pipe."""

    lane: Any = None

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.rung = self.lost = False

    def wait(self) -> None:
        self._stage.sleep(self)

    def ring(self) -> None:
        self.rung = True


@pytest.fixture(autouse=True)
def _nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lane_module, workers):
        monkeypatch.setattr(module, "watch", lambda place: None)


def every_order(scene: Callable[[Stage], None], switches: int = 2) -> int:
    """Play the scene once for every choice of at most so many switches; how often."""
    plain = Stage(())
    scene(plain)
    longest = plain.steps + 10
    played = 1
    for number in range(1, switches + 1):
        for choice in itertools.combinations(range(1, longest), number):
            scene(Stage(choice))
            played += 1
    return played


class Job:
    """In all that a lane or a thread needs, a call."""

    queued_in: Any = None
    queued_since = 0.0

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def run(self) -> None:
        self.outcomes.append("run")

    def abort(self, error: BaseException) -> bool:
        raise error

    def hand_on(self) -> None:
        self.outcomes.append("handed on")


def test_a_lane_answers_and_loses_no_job() -> None:
    def scene(stage: Stage) -> None:
        job = Job()
        lanes: list[Lane] = []
        accepted: list[bool] = []

        def waits() -> None:
            lanes[0].park(lambda: None)

        def offers() -> None:
            accepted.append(lanes[0].offer(job)[0])  # type: ignore[arg-type]
            lanes[0].answer()

        lane = Lane(None)
        lane._waker = Bell(stage)  # type: ignore[assignment]
        lanes.append(lane)
        stage.play(waits, offers)
        assert len(job.outcomes) == accepted[0]

    assert every_order(scene) > 100


def test_a_lane_that_closes_takes_a_job_or_refuses_it() -> None:
    def scene(stage: Stage) -> None:
        job = Job()
        accepted: list[bool] = []
        lane = Lane(None)
        lane._waker = Bell(stage)  # type: ignore[assignment]
        lane.answer()

        def offers() -> None:
            accepted.append(lane.offer(job)[0])  # type: ignore[arg-type]

        stage.play(lambda: lane.park(lambda: None), offers)
        assert len(job.outcomes) == accepted[0]

    assert every_order(scene) > 100


def test_a_thread_of_its_owner_sees_what_is_put(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(stage: Stage) -> None:
        thread = OwnedThread.__new__(OwnedThread)
        thread._queue = deque()
        thread._parked = False
        thread._generation = process.generation()
        thread._waker = None
        jobs = [Job(), Job()]

        def serves() -> None:
            wakers.own.waker = Bell(stage)  # type: ignore[assignment]
            thread._serve_queue()

        def puts() -> None:
            for job in jobs:
                thread.submit(job)  # type: ignore[arg-type]
            thread.stop()

        stage.play(serves, puts)
        assert [job.outcomes for job in jobs] == [["run"], ["run"]]

    assert every_order(scene) > 100


def test_a_worker_of_the_pool_sees_what_is_submitted() -> None:
    def scene(stage: Stage) -> None:
        pool = WorkerPool(1)
        first, last = Job(), Job()
        worker = _PoolWorker(pool, 1, first)  # type: ignore[arg-type]
        pool._workers.add(worker)

        def run_last() -> None:
            last.outcomes.append("run")
            worker.leaving = True  # to end after it

        last.run = run_last  # type: ignore[method-assign]

        def serves() -> None:
            wakers.own.waker = Bell(stage)  # type: ignore[assignment]
            worker._serve_pool(process.generation())

        stage.play(serves, lambda: pool.submit(last))  # type: ignore[arg-type]
        assert (first.outcomes, last.outcomes) == (["run"], ["run"])

    assert every_order(scene) > 100


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield


class Loop:
    """A loop in all that a waiter and a call need of one; its thread is an actor."""

    ready = ()
    checkpoints = False
    is_open = True
    gives_way = False
    loop = None

    def __init__(self, stage: Stage) -> None:
        self.bell = Bell(stage)
        self.letters: list[Any] = []
        self.soon: list[Callable[[], object]] = []

    def post(self, letter: Any) -> bool:
        self.letters.append(letter)
        self.bell.ring()
        return True

    def call_soon(self, callback: Callable[[], object], *args: Any, **kwargs: Any) -> None:
        self.soon.append(callback)
        self.bell.ring()

    def waiter(self, sleeper: Any) -> Waiter:
        return Waiter(self, sleeper)  # type: ignore[arg-type]

    def current_task(self) -> None:
        return None

    def must_give_way(self) -> bool:
        return self.gives_way

    async def give_way(self) -> None:
        await _turn()

    def cancellation(self, sleeper: Any) -> BaseException:
        return asyncio.CancelledError()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Any:
        with pytest.raises(StopIteration):
            coroutine.send(None)

        class Task:
            def add_done_callback(self, callback: Callable[[Any], object]) -> None:
                callback(self)

        return Task()

    def turn(self, until: Callable[[], bool]) -> None:
        """What is posted is handed out until the condition is true."""
        while not until():
            if self.soon:
                self.soon.pop(0)()
            elif self.letters:
                self.letters.pop(0).arrived()
            else:
                self.bell.wait()


@pytest.mark.parametrize("switches", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "ending", ["waits", "leaves at once", "is struck", "is struck awake", "is cancelled"]
)
def test_a_thread_that_asks_is_served_whatever_its_host_does(ending: str, switches: int) -> None:
    async def native() -> str:
        return "answer"

    def scene(stage: Stage) -> None:
        told: list[object] = []
        ended = threading.Event()

        def asks() -> None:
            wakers.own.waker = Bell(stage)  # type: ignore[assignment]
            work.run()
            ended.set()
            loop.bell.ring()

        def function() -> None:
            try:
                for _ in range(asks_for):
                    answer = from_thread.run(native)
                told.append(answer)
            except asyncio.CancelledError:
                told.append("cancelled")

        def hosts() -> None:
            coroutine = work.outcome()
            try:
                while True:
                    waiter = coroutine.send(None)
                    if waiter is None:
                        coroutine.throw(KeyboardInterrupt())
                    if ending == "leaves at once" or (ending == "is cancelled" and not cancels):
                        cancels.append(1)
                        if not waiter.cancel() and ending == "is cancelled":
                            loop.turn(waiter.done)
                            coroutine.throw(asyncio.CancelledError())
                    if ending == "is struck":
                        coroutine.throw(KeyboardInterrupt())
                    loop.turn(waiter.done)
            except (StopIteration, asyncio.CancelledError, KeyboardInterrupt):
                pass
            loop.turn(ended.is_set)  # the loop goes on when the task has left

        loop = Loop(stage)
        loop.gives_way = ending == "is struck awake"
        asks_for = 2 if loop.gives_way else 1
        cancels: list[int] = []
        work = Work(loop, function)  # type: ignore[arg-type]
        if ending == "leaves at once":
            work.abandon = True
            work.departure = [None]
        stage.play(asks, hosts)
        if told:
            assert ended.is_set()
            assert told in (["answer"], ["cancelled"])
            assert work.ended
        else:
            assert ending != "waits"  # withdrawn before the thread came
            assert not work.ended

    assert every_order(scene, switches) > 30
