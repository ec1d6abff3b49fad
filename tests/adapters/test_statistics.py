"""What `to_thread.statistics` tells."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest

from bridgekit import async_to_sync, from_thread, to_thread
from bridgekit.engine import workers
from bridgekit.engine.workers import WorkerPool

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    """A pool of two threads in place of the process's; no calls left behind by other tests."""
    deadline = time.monotonic() + 10
    while to_thread.statistics().abandoned and time.monotonic() < deadline:
        time.sleep(0.001)
    pool = WorkerPool(2)
    monkeypatch.setattr(workers, "_pool", pool)
    yield pool
    pool.close(10)


async def until(true: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, true.wait, 10)


def test_an_unused_pool(pool: WorkerPool) -> None:
    statistics = to_thread.statistics()
    assert dataclasses.asdict(statistics) == {
        "max_workers": 2,
        "threads": 0,
        "idle": 0,
        "running": 0,
        "queued": 0,
        "longest_wait": 0.0,
        "abandoned": 0,
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.queued = 1  # type: ignore[misc]


def test_running_and_idle_threads(pool: WorkerPool) -> None:
    async def main() -> None:
        begun, release = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            release.wait(10)

        task = asyncio.ensure_future(to_thread.run_sync(work))
        await asyncio.sleep(0)
        await until(begun)
        busy = to_thread.statistics()
        assert (busy.threads, busy.running, busy.idle) == (1, 1, 0)
        assert (busy.queued, busy.longest_wait) == (0, 0.0)
        release.set()
        await task

    asyncio.run(main())
    free = to_thread.statistics()
    assert free.threads == 1
    assert free.idle + free.running == 1


def test_queued_calls_and_the_oldest_ones_wait(pool: WorkerPool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = [threading.Event(), threading.Event()]
        release = threading.Event()

        def work(begun: threading.Event) -> None:
            begun.set()
            release.wait(10)

        running = [asyncio.ensure_future(to_thread.run_sync(work, event)) for event in begun]
        await asyncio.sleep(0)
        for event in begun:
            await until(event)
        before = loop.time()
        first = asyncio.ensure_future(to_thread.run_sync(int))
        await asyncio.sleep(0.05)
        middle = loop.time()
        others = [asyncio.ensure_future(to_thread.run_sync(int)) for _ in range(9)]
        await asyncio.sleep(0.05)
        full = to_thread.statistics()
        assert (full.running, full.queued) == (2, 10)
        assert 0.05 <= full.longest_wait <= loop.time() - before
        for withdrawn in (others[-1], first):
            withdrawn.cancel()  # it waits no longer
            withdrawn.cancel()
        await asyncio.wait([first, others[-1]])
        full = to_thread.statistics()
        assert full.queued == 8
        assert 0.0 < full.longest_wait <= loop.time() - middle
        release.set()
        await asyncio.gather(*running, *others[:-1])
        assert to_thread.statistics().queued == 0
        assert to_thread.statistics().longest_wait == 0.0

    asyncio.run(main())


def test_a_thread_that_waits_for_a_coroutine_counts_as_running(pool: WorkerPool) -> None:
    async def inner() -> int:
        return to_thread.statistics().running

    assert asyncio.run(to_thread.run_sync(async_to_sync(inner))) == 1


@pytest.mark.parametrize("options", [{"abandon_on_cancel": True}, {"cancel_grace": 0.0}])
def test_abandoned_calls_count_until_they_end(pool: WorkerPool, options: dict[str, float]) -> None:
    async def main() -> None:
        begun, release, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            release.wait(10)

        def on_abandoned(result: object, error: BaseException | None) -> None:
            ended.set()

        call = to_thread.run_sync(work, on_abandoned=on_abandoned, **options)  # type: ignore[call-overload]
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        await until(begun)
        assert to_thread.statistics().abandoned == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert to_thread.statistics().abandoned == 1
        release.set()
        await until(ended)
        assert to_thread.statistics().abandoned == 0

    asyncio.run(main())


def test_a_call_that_is_told_of_its_cancellation_is_abandoned_until_it_ends(
    pool: WorkerPool,
) -> None:
    async def main() -> None:
        asked, release, ended = threading.Event(), threading.Event(), threading.Event()

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        def work() -> None:
            with pytest.raises(asyncio.CancelledError):
                from_thread.run(never)
            release.wait(10)
            ended.set()

        task = asyncio.ensure_future(to_thread.run_sync(work, abandon_on_cancel=True))
        await asyncio.sleep(0)
        await until(asked)
        task.cancel()
        await asyncio.sleep(0)
        release.set()
        await asyncio.wait([task])
        await until(ended)

    asyncio.run(main())
    pool.close(10)
    assert to_thread.statistics().abandoned == 0


def test_a_call_that_never_began_is_not_abandoned(pool: WorkerPool) -> None:
    async def main() -> None:
        pool.max_workers = 1
        release = threading.Event()
        running = asyncio.ensure_future(to_thread.run_sync(release.wait, 10))
        await asyncio.sleep(0)
        queued = asyncio.ensure_future(to_thread.run_sync(int, abandon_on_cancel=True))
        await asyncio.sleep(0)
        queued.cancel()
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        assert to_thread.statistics().abandoned == 0
        release.set()
        assert await running

    asyncio.run(main())
