"""The detector is silent about calls that cannot deadlock, however many and however intertwined."""

import random
import time

import anyio
import pytest

from bridgekit import (
    BlockingPortal,
    CapacityLimiter,
    ThreadSensitiveContext,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.engine.waits import monitor

pytestmark = [
    pytest.mark.usefixtures("settings_kept"),
    pytest.mark.parametrize("backend", ["asyncio", "trio"]),
]


class Traffic:
    """Calls of all kinds that cannot deadlock.

    A thread comes before the tokens: who waits for a thread holds none, but one of a limiter that
    nothing within a thread wants. Tokens are taken in order, and the tasks of a group take none:
    on the lane they share, one of them could hold what the other, which has the thread, wants.
    """

    def __init__(self, seed: int, portal: BlockingPortal) -> None:
        self.rng = random.Random(seed)
        self.portal = portal
        self.outer = CapacityLimiter(2)
        self.limiters = [CapacityLimiter(count) for count in (1, 2, 4)]
        self.calls = 0

    async def client(self, until: int) -> None:
        while self.calls < until:
            self.calls += 1
            dice = self.rng.random()
            if dice < 0.4:
                await to_thread.run_sync(self.work)
            elif dice < 0.5:
                await to_thread.run_sync(self.work, affinity="context")
            elif dice < 0.6:
                await to_thread.run_sync(self.work, limiter=self.outer)
            elif dice < 0.605:
                await anyio.sleep(0.3)
            elif dice < 0.65:
                await to_thread.run_sync(self.portal.call, self.nested, 0)
            else:
                await to_thread.run_sync(self.ask, 0)

    async def nested(self, first: int) -> None:
        """What a thread asks for; takes tokens of the limiters from ``first`` on."""
        self.calls += 1
        dice = self.rng.random()
        number = self.rng.randrange(first, len(self.limiters)) if first < 3 else None
        if dice < 0.2 and number is not None:
            await to_thread.run_sync(self.work, limiter=self.limiters[number])
        elif dice < 0.4 and number is not None:
            async with self.limiters[number]:
                await to_thread.run_sync(self.ask, number + 1)
        elif dice < 0.6:
            await to_thread.run_sync(self.ask, first)
        elif dice < 0.7:
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(self.nested, len(self.limiters))
        elif dice < 0.75:
            with anyio.move_on_after(self.rng.choice([0.0001, 0.01])):
                await to_thread.run_sync(self.work)
        else:
            await to_thread.run_sync(self.work)

    def work(self) -> None:
        if self.rng.random() < 0.0005:
            time.sleep(0.3)  # long enough for the detector to look at what waits behind it

    def ask(self, first: int) -> None:
        from_thread.run(self.nested, first)


def traffic(calls: int, seed: int, backend: str) -> int:
    async def main() -> int:
        load = Traffic(seed, portal)
        async with ThreadSensitiveContext(), anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(load.client, calls)
        return load.calls

    to_thread.set_max_workers(3)
    with start_blocking_portal(backend) as portal:
        return anyio.run(main, backend=backend)


def test_of_thousands_of_calls(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    calls = 8_000 if backend == "trio" else 20_000
    assert traffic(calls, 1, backend) >= calls
    assert not caplog.records


def test_of_a_detector_that_never_rests(
    backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0
    look = monitor.Monitor.look

    def counted(self: monitor.Monitor) -> None:
        nonlocal looks
        looks += 1
        look(self)

    monkeypatch.setattr(monitor, "INTERVAL", 0.0005)
    monkeypatch.setattr(monitor, "SECOND_LOOK", 0.0)
    monkeypatch.setattr(monitor.Monitor, "look", counted)
    calls = 3_000 if backend == "trio" else 5_000
    assert traffic(calls, 2, backend) >= calls
    assert not caplog.records
    assert looks > 5  # a look at a large process costs more, and the pause after it grows with that


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_a_million_calls(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    calls = 300_000 if backend == "trio" else 1_000_000
    assert traffic(calls, 3, backend) >= calls
    assert not caplog.records
