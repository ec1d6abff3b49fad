"""Affinity "context": all thread-sensitive calls of a context on one thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import Any

import pytest

from bridgekit import ThreadSensitiveContext, async_to_sync, sync_to_async, to_thread
from bridgekit.adapters.contexts import calling_thread_context
from bridgekit.engine import affinity

ident = sync_to_async(threading.get_ident, thread_sensitive=True)


def test_one_thread_per_context_and_it_is_used_again() -> None:
    async def main() -> None:
        async with ThreadSensitiveContext():
            first = {await ident() for _ in range(3)}
            first |= set(await asyncio.gather(ident(), ident()))
        assert len(first) == 1
        async with ThreadSensitiveContext():
            assert {await ident()} == first

    asyncio.run(main())


def test_open_contexts_have_threads_of_their_own() -> None:
    async def request(barrier: asyncio.Barrier) -> int:
        async with ThreadSensitiveContext():
            thread = await ident()
            await barrier.wait()
            assert await ident() == thread
            return thread

    async def main() -> None:
        barrier = asyncio.Barrier(10)
        threads = await asyncio.gather(*(request(barrier) for _ in range(10)))
        assert len(set(threads)) == 10

    asyncio.run(main())


def test_without_a_context_one_thread_of_the_process() -> None:
    async def main() -> set[int]:
        return {await ident(), *await asyncio.gather(ident(), ident())}

    first, second = asyncio.run(main()), asyncio.run(main())
    assert first == second
    assert len(first) == 1
    assert threading.get_ident() not in first


def test_with_a_synchronous_outermost_caller_it_is_the_caller_s_thread() -> None:
    async def deep() -> set[int]:
        return {await ident(), await to_thread.run_sync(async_to_sync(ident))}

    assert async_to_sync(deep)() == {threading.get_ident()}

    async def in_context() -> int:
        async with ThreadSensitiveContext():
            return await ident()

    assert async_to_sync(in_context)() != threading.get_ident()


def test_calls_nested_on_the_context_thread_itself() -> None:
    def sync(depth: int) -> set[int]:
        here = {threading.get_ident()}
        return here | async_to_sync(native)(depth - 1) if depth else here

    async def native(depth: int) -> set[int]:
        return await to_thread.run_sync(sync, depth, affinity="context")

    async def through_the_pool(depth: int) -> set[int]:
        if not depth:
            return {await ident()}
        return await to_thread.run_sync(async_to_sync(through_the_pool), depth - 1)

    async def main() -> None:
        assert len(await native(20)) == 1
        async with ThreadSensitiveContext():
            threads = await native(20)
            assert threads == {await ident()} == await through_the_pool(3)

    asyncio.run(main())
    assert async_to_sync(native)(20) == {threading.get_ident()}


def test_contexts_nest() -> None:
    async def main() -> None:
        async with ThreadSensitiveContext():
            outer = await ident()
            async with ThreadSensitiveContext():
                assert await ident() != outer
            assert await ident() == outer

    asyncio.run(main())


def test_thread_bound_objects() -> None:
    async def main() -> None:
        async with ThreadSensitiveContext():
            db = await to_thread.run_sync(sqlite3.connect, ":memory:", affinity="context")
            cursor = await to_thread.run_sync(db.execute, "select 1", affinity="context")
            assert await to_thread.run_sync(cursor.fetchone, affinity="context") == (1,)
            await to_thread.run_sync(db.close, affinity="context")

    asyncio.run(main())


def test_work_under_way_keeps_the_thread_after_the_context_has_closed() -> None:
    release = threading.Event()

    async def main() -> None:
        async with ThreadSensitiveContext():
            first = asyncio.create_task(
                to_thread.run_sync(
                    lambda: (release.wait(10), threading.get_ident())[1], affinity="context"
                )
            )
            await asyncio.sleep(0)
        async with ThreadSensitiveContext():
            second = await ident()
        release.set()
        assert await first != second

    asyncio.run(main())


def test_a_task_that_outlives_its_context_uses_the_enclosing_one() -> None:
    async def main() -> None:
        async with ThreadSensitiveContext():
            outer = await ident()
            closed = asyncio.Event()

            async def late() -> int:
                await closed.wait()
                return await ident()

            async with ThreadSensitiveContext():
                task = asyncio.create_task(late())
                await ident()
            closed.set()
            assert await task == outer

    asyncio.run(main())


def test_contexts_beyond_the_bound_wait_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity, "MAX_CONTEXT_THREADS", 2)
    monkeypatch.setattr(affinity, "_threads", affinity._OwnedThreads())

    async def request() -> int:
        async with ThreadSensitiveContext():
            first = await ident()
            await asyncio.sleep(0)
            assert await ident() == first
            return first

    async def main() -> None:
        assert len(set(await asyncio.gather(*(request() for _ in range(50))))) == 2

    asyncio.run(main())
    affinity._threads.close()


def test_the_calling_thread_can_be_the_context() -> None:
    def sync() -> tuple[int, int]:
        return threading.get_ident(), async_to_sync(native)()

    async def native() -> int:
        async with calling_thread_context():
            await asyncio.gather(ident(), ident())
            return await ident()

    async def main() -> None:
        here, context = await to_thread.run_sync(sync)
        assert here == context

    asyncio.run(main())


def test_with_works_too_and_misuse_is_told() -> None:
    async def main() -> None:
        context = ThreadSensitiveContext()
        with context:
            inside = await ident()
            assert await ident() == inside
            with pytest.raises(RuntimeError, match="open already"):
                context.__enter__()
        with pytest.raises(RuntimeError, match="not open"):
            context.__exit__(None, None, None)

    asyncio.run(main())


def test_work_for_the_main_thread_outlives_the_lane_that_it_was_given_to() -> None:
    begun, release = threading.Event(), threading.Event()
    tasks: list[asyncio.Task[Any]] = []

    def busy() -> None:
        begun.set()
        assert release.wait(10)

    async def inner() -> None:
        tasks.append(asyncio.create_task(to_thread.run_sync(busy, affinity="main")))
        while not begun.is_set():  # noqa: ASYNC110 (a thread sets it)
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(to_thread.run_sync(threading.get_ident, affinity="main")))
        for _ in range(3):
            await asyncio.sleep(0)
        # The main thread is released when this coroutine has ended, so the lane in which it waits
        # for it closes with the second call still in it.
        asyncio.get_running_loop().call_soon(release.set)

    async def outer() -> int:
        await to_thread.run_sync(async_to_sync(inner), affinity="main")
        await tasks[0]
        thread: int = await tasks[1]
        return thread

    assert async_to_sync(outer)() == threading.main_thread().ident
