"""Waiting for a connection, in either colour, for one held by either colour."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy import exc as sa_exc
from sqlalchemy.pool import AssertionPool, AsyncAdaptedQueuePool, NullPool, QueuePool, StaticPool
from sqlalchemy.util.concurrency import greenlet_spawn
from sqlalchemy.util.queue import Empty, Full

from bridgekit.integrations.sqlalchemy import Engine, create_engine
from bridgekit.integrations.sqlalchemy._pool import SharedLock, SharedQueue


def waiting(queue: SharedQueue[int]) -> int:
    return len(queue._takers)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the condition is the pool's own state)
            await asyncio.sleep(0)


class TestSharedQueue:
    def test_order(self) -> None:
        fifo, lifo = SharedQueue[int](), SharedQueue[int](use_lifo=True)
        for queue in (fifo, lifo):
            for item in (1, 2, 3):
                queue.put(item)
        assert [fifo.get(False) for _ in range(3)] == [1, 2, 3]
        assert [lifo.get(False) for _ in range(3)] == [3, 2, 1]

    def test_bounds(self) -> None:
        queue = SharedQueue[int](1)
        with pytest.raises(Empty):
            queue.get(False)
        with pytest.raises(Empty):
            queue.get(True, 0.001)
        queue.put(1)
        assert queue.full()
        with pytest.raises(Full):
            queue.put(2)
        assert queue.qsize() == 1

    def test_a_task_whose_loop_is_closed_is_passed_over(self) -> None:
        queue = SharedQueue[int]()
        loop = asyncio.new_event_loop()
        task = loop.create_task(queue.get_async())
        loop.run_until_complete(asyncio.sleep(0))
        assert waiting(queue) == 1
        loop.close()
        queue.put(1)
        assert queue.get(False) == 1
        task.get_coro().close()  # type: ignore[union-attr]

    @pytest.mark.asyncio
    async def test_a_cancelled_task_hands_its_item_on(self) -> None:
        queue = SharedQueue[int]()
        first = asyncio.create_task(queue.get_async())
        second = asyncio.create_task(queue.get_async())
        await until(lambda: waiting(queue) == 2)
        queue.put(1)
        first.cancel()
        assert await second == 1
        assert first.cancelled()

    @pytest.mark.asyncio
    async def test_a_thread_wakes_a_task_and_a_task_a_thread(self) -> None:
        queue = SharedQueue[int]()
        task = asyncio.create_task(greenlet_spawn(queue.get, True, 10))
        await until(lambda: waiting(queue) == 1)
        await asyncio.to_thread(queue.put, 1)
        assert await task == 1
        thread = asyncio.create_task(asyncio.to_thread(queue.get, True, 10))
        await until(lambda: waiting(queue) == 1)
        queue.put(2)
        assert await thread == 2

    @pytest.mark.asyncio
    async def test_timeout_of_a_task(self) -> None:
        queue = SharedQueue[int]()
        with pytest.raises(Empty):
            await greenlet_spawn(queue.get, True, 0.001)
        assert waiting(queue) == 0

    @pytest.mark.asyncio
    async def test_an_item_handed_to_a_cancelled_task_is_kept(self) -> None:
        queue = SharedQueue[int]()
        task = asyncio.create_task(greenlet_spawn(queue.get, True, 10))
        await until(lambda: waiting(queue) == 1)
        queue.put(1)  # the taker has it, its task has not woken
        assert queue.empty()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert queue.get(False) == 1

    @pytest.mark.asyncio
    async def test_a_cancelled_task_is_passed_over(self) -> None:
        queue = SharedQueue[int]()
        first = asyncio.create_task(greenlet_spawn(queue.get, True, 10))
        await until(lambda: waiting(queue) == 1)
        second = asyncio.create_task(greenlet_spawn(queue.get, True, 10))
        await until(lambda: waiting(queue) == 2)
        first.cancel()
        queue.put(1)
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == 1

    def test_nothing_is_lost_between_many_takers(self) -> None:
        queue = SharedQueue[int](3)
        for item in range(3):
            queue.put(item)
        rounds = 50

        def use() -> int:
            timeouts = 0
            for _ in range(rounds):
                try:
                    item = queue.get(True, 0.0005)
                except Empty:
                    timeouts += 1
                else:
                    queue.put(item)
            return timeouts

        async def use_in_tasks() -> None:
            async def one() -> None:
                await greenlet_spawn(use)

            await asyncio.gather(*(one() for _ in range(4)))

        with ThreadPoolExecutor(5) as threads:
            jobs: list[Any] = [threads.submit(use) for _ in range(4)]
            jobs.append(threads.submit(asyncio.run, use_in_tasks()))
            for job in jobs:
                job.result(60)
        assert sorted(queue.get(False) for _ in range(3)) == [0, 1, 2]
        assert queue.empty()


@pytest.mark.asyncio
async def test_lock_excludes_across_colours() -> None:
    lock = SharedLock()
    inside: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            inside.append("thread")
            entered.set()
            leave.wait(10)
            inside.append("thread left")

    def use() -> None:
        with lock:
            inside.append("task")

    holder = asyncio.create_task(asyncio.to_thread(hold))
    await asyncio.to_thread(entered.wait, 10)
    user = asyncio.create_task(greenlet_spawn(use))
    await until(lambda: waiting(lock._token) == 1)
    leave.set()
    await asyncio.gather(holder, user)
    assert inside == ["thread", "thread left", "task"]


@pytest.mark.parametrize("poolclass", [QueuePool, AsyncAdaptedQueuePool, NullPool, AssertionPool])
def test_pool_classes(poolclass: Any, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db.sqlite'}", poolclass=poolclass)

    async def by_coroutine() -> Any:
        async with engine.aio.connect() as connection:
            return await connection.scalar(text("select 1"))

    with engine.connect() as connection:
        assert connection.scalar(text("select 1")) == 1
    assert asyncio.run(by_coroutine()) == 1
    if poolclass is not QueuePool:
        assert isinstance(engine.pool, poolclass)
    engine.dispose()
    assert asyncio.run(by_coroutine()) == 1  # a disposed engine starts afresh
    engine.dispose()


def test_a_memory_database_is_one_for_all() -> None:
    engine = create_engine("sqlite://")
    assert isinstance(engine.pool, StaticPool)

    async def by_coroutine() -> Any:
        async with engine.aio.connect() as connection:
            return await connection.scalar(text("select x from t"))

    with engine.begin() as connection:
        connection.execute(text("create table t (x integer)"))
        connection.execute(text("insert into t values (5)"))
    assert asyncio.run(by_coroutine()) == 5
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(asyncio.run, by_coroutine()).result(10) == 5
    engine.dispose()


@pytest.fixture
def narrow(tmp_path: Path) -> Any:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'db.sqlite'}", pool_size=1, max_overflow=0, pool_timeout=10
    )
    yield engine
    engine.dispose()


def takers(engine: Engine) -> int:
    pool: Any = engine.pool
    return waiting(pool._pool)


@pytest.mark.asyncio
async def test_a_thread_waits_for_a_coroutine(narrow: Engine) -> None:
    def use() -> Any:
        with narrow.connect() as connection:
            return connection.scalar(text("select 1"))

    async with narrow.aio.connect() as connection:
        thread = asyncio.create_task(asyncio.to_thread(use))
        await until(lambda: takers(narrow) == 1)
        await connection.execute(text("select 1"))
    assert await thread == 1


@pytest.mark.asyncio
async def test_a_coroutine_waits_for_a_thread(narrow: Engine) -> None:
    leave = threading.Event()

    def hold() -> None:
        with narrow.connect() as connection:
            connection.execute(text("select 1"))
            leave.wait(10)

    holder = asyncio.create_task(asyncio.to_thread(hold))
    await until(lambda: narrow.pool.checkedout() == 1)

    async def use() -> Any:
        async with narrow.aio.connect() as connection:
            return await connection.scalar(text("select 1"))

    user = asyncio.create_task(use())
    await until(lambda: takers(narrow) == 1)
    leave.set()
    await holder
    assert await user == 1


@pytest.mark.asyncio
async def test_cancelled_while_waiting(narrow: Engine) -> None:
    async def use() -> None:
        async with narrow.aio.connect():
            pass

    async with narrow.aio.connect():
        user = asyncio.create_task(use())
        await until(lambda: takers(narrow) == 1)
        user.cancel()
        with pytest.raises(asyncio.CancelledError):
            await user
    assert narrow.pool.checkedout() == 0


def test_timeout_says_so(tmp_path: Path) -> None:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'db.sqlite'}", pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with engine.connect(), pytest.raises(sa_exc.TimeoutError):
        engine.connect()
    engine.dispose()


def test_a_loop_closes_what_it_opened(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db.sqlite'}")
    closed: list[Any] = []
    event.listen(engine, "close", lambda connection, record: closed.append(connection))

    async def use() -> Any:
        async with engine.aio.connect() as first, engine.aio.connect() as second:
            await first.execute(text("select 1"))
            return await second.scalar(text("select 1"))

    with engine.connect() as connection:
        mine = connection.connection.dbapi_connection
    assert asyncio.run(use()) == 1
    # One of the two was the connection that this thread had opened and given back.
    assert len(closed) == 1
    assert mine not in closed
    assert asyncio.run(use()) == 1
    engine.dispose()
    assert len(closed) == 3
