"""The bounds: worker threads, tokens, and what is closed with a loop."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from bridgekit import CapacityLimiter, to_thread
from bridgekit.engine import close_loop_resources, on_loop_close, workers


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> workers.WorkerPool:
    pool = workers.WorkerPool(3, idle_seconds=0.05)
    monkeypatch.setattr(workers, "_pool", pool)
    return pool


def settle(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_threads_are_bounded_named_and_end_when_idle(pool: workers.WorkerPool) -> None:
    lock = threading.Lock()
    running = most = 0
    names: set[str] = set()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
        time.sleep(0.001)
        with lock:
            running -= 1

    async def main() -> None:
        await asyncio.gather(*(to_thread.run_sync(work) for _ in range(60)))

    asyncio.run(main())
    assert most == 3
    assert pool.threads <= 3
    assert all(name.startswith("bridgekit-worker-") for name in names)
    settle(lambda: pool.threads == 0)
    asyncio.run(main())  # and it starts again


def test_the_bound_can_be_changed_under_load(pool: workers.WorkerPool) -> None:
    async def main() -> None:
        release = threading.Event()
        waiting = [asyncio.create_task(to_thread.run_sync(release.wait, 10)) for _ in range(8)]
        for _ in range(2):  # calls of a crowd are handed over at the end of the loop's turn
            await asyncio.sleep(0)
        assert (pool.threads, pool.queued) == (3, 5)
        to_thread.set_max_workers(5)
        assert (pool.threads, pool.queued) == (5, 3)
        to_thread.set_max_workers(1)
        release.set()
        assert await asyncio.gather(*waiting) == [True] * 8

    asyncio.run(main())
    settle(lambda: pool.threads <= 1)
    with pytest.raises(ValueError, match="at least one"):
        to_thread.set_max_workers(0)


def test_closing_ends_the_threads(pool: workers.WorkerPool) -> None:
    async def main() -> None:
        await asyncio.gather(*(to_thread.run_sync(int) for _ in range(9)))

    asyncio.run(main())
    pool.close(10)
    assert not any(worker.thread.is_alive() for worker in pool._workers)
    asyncio.run(main())  # a late call still runs


def test_limiter_under_random_cancellation() -> None:
    rng = random.Random(7)
    limiter = CapacityLimiter(3)
    inside = most = 0

    async def one() -> None:
        nonlocal inside, most
        async with limiter:
            inside += 1
            most = max(most, inside)
            try:
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                inside -= 1

    async def main() -> None:
        for _ in range(200):
            tasks = [asyncio.create_task(one()) for _ in range(8)]
            for _ in range(rng.randrange(8)):
                await asyncio.sleep(0)
                rng.choice(tasks).cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert limiter.statistics().borrowed_tokens == 0
        assert limiter.statistics().tasks_waiting == 0

    asyncio.run(main())
    assert most == 3


def test_limiter_is_shared_by_loops() -> None:
    limiter = CapacityLimiter(1)
    lock = threading.Lock()
    inside = 0
    failures: list[str] = []

    async def one() -> None:
        nonlocal inside
        async with limiter:
            with lock:
                inside += 1
                if inside > 1:
                    failures.append("two inside")
            await asyncio.sleep(0)
            with lock:
                inside -= 1

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(100)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert failures == []
    assert limiter.borrowed_tokens == 0


def test_limiter_arguments_and_growth() -> None:
    for bad in (0, -1, 1.5):
        with pytest.raises(ValueError, match="total_tokens"):
            CapacityLimiter(bad)

    async def main() -> None:
        limiter = CapacityLimiter(1)
        assert limiter.acquire_nowait()
        assert not limiter.acquire_nowait()
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        assert limiter.statistics().tasks_waiting == 2
        limiter.total_tokens = 3
        await asyncio.gather(*waiting)
        assert limiter.available_tokens == 0
        limiter.total_tokens = 1
        for _ in range(3):
            limiter.release()
        assert limiter.available_tokens == 1
        with pytest.raises(RuntimeError, match="without a token"):
            limiter.release()

    asyncio.run(main())


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop])
def test_resources_close_with_their_loop(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def close(name: str) -> None:
        await asyncio.sleep(0)
        closed.append(name)

    async def fail() -> None:
        raise ValueError("stuck")

    async def main() -> None:
        on_loop_close(lambda: close("early"))
        await close_loop_resources()
        assert closed == ["early"]
        on_loop_close(lambda: close("first"))
        on_loop_close(fail)
        on_loop_close(lambda: close("last"))

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
        assert closed == ["early"]
    assert closed == ["early", "last", "first"]
    assert "stuck" in caplog.text
    with pytest.raises(RuntimeError, match="no running event loop"):
        on_loop_close(fail)
