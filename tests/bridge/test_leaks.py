"""Thousands of calls of every kind leave everything as it was (invariant 8).

Threads, tasks, file descriptors and reference cycles are counted before and after, and the memory
of the process must not grow. With ``-m slow`` a hundred thousand calls of each kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psutil
import pytest

from bridgekit import (
    CapacityLimiter,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)

CALLS = 2_000
SLOW_CALLS = 100_000
WARM_UP = 300
MEGABYTE = 1 << 20


class Planned(Exception):
    pass


def value() -> int:
    return 1


def fail() -> None:
    raise Planned


async def native() -> int:
    await asyncio.sleep(0)
    return 1


async def native_fail() -> None:
    raise Planned


async def nested() -> int:
    return await to_thread.run_sync(async_to_sync(native))


# -- the kinds: each makes about `count` calls -----------------------------------------------------


async def sequential(count: int) -> None:
    for _ in range(count):
        await to_thread.run_sync(value)


async def concurrent(count: int) -> None:
    for _ in range(count // 100):
        await asyncio.gather(*(to_thread.run_sync(value) for _ in range(100)))


async def nested_calls(count: int) -> None:
    for _ in range(count // 2):
        await nested()


async def raising(count: int) -> None:
    for _ in range(count):
        with contextlib.suppress(Planned):
            await to_thread.run_sync(fail)


async def raising_nested(count: int) -> None:
    for _ in range(count // 2):
        with contextlib.suppress(Planned):
            await to_thread.run_sync(async_to_sync(native_fail))


async def limited(count: int) -> None:
    limiter = CapacityLimiter(2)
    for _ in range(count // 50):
        calls = (to_thread.run_sync(value, limiter=limiter) for _ in range(50))
        await asyncio.gather(*calls)


async def in_contexts(count: int) -> None:
    for _ in range(count // 3):
        async with ThreadSensitiveContext():
            for _ in range(3):
                await sync_to_async(value, thread_sensitive=True)()


async def cancelled(count: int) -> None:
    def wait() -> None:
        async_to_sync(asyncio.Event().wait)()

    for number in range(count // 3):
        for work in (value, wait, fail):
            task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=bool(number % 2)))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Planned):
                await task


async def asked_from_thread(count: int) -> None:
    def ask() -> None:
        for _ in range(10):
            from_thread.run(native)
            from_thread.run_sync(value)

    for _ in range(count // 20):
        await to_thread.run_sync(ask)


def from_plain_code(count: int) -> None:
    call = async_to_sync(native)
    for _ in range(count):
        call()


def raising_from_plain_code(count: int) -> None:
    call = async_to_sync(native_fail)
    for _ in range(count):
        with contextlib.suppress(Planned):
            call()


def nested_from_plain_code(count: int) -> None:
    call = async_to_sync(nested)
    for _ in range(count // 3):
        call()


def through_portals(count: int) -> None:
    portal = default_portal()
    for _ in range(count // 2):
        portal.call(value)
        portal.start_task_soon(native).result()


def through_new_portals(count: int) -> None:
    for _ in range(max(count // 300, 3)):
        with start_blocking_portal() as portal:
            portal.call(native)
            portal.start_task_soon(nested)


def from_new_threads(count: int) -> None:
    for _ in range(count // 100):
        threads = [threading.Thread(target=async_to_sync(nested)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def on_new_loops(count: int) -> None:
    for _ in range(count // 100):
        asyncio.run(nested())


ON_A_LOOP: list[Callable[[int], Awaitable[None]]] = [
    sequential,
    concurrent,
    nested_calls,
    raising,
    raising_nested,
    limited,
    in_contexts,
    cancelled,
    asked_from_thread,
]
PLAIN: list[Callable[[int], None]] = [
    from_plain_code,
    raising_from_plain_code,
    nested_from_plain_code,
    through_portals,
    through_new_portals,
    from_new_threads,
    on_new_loops,
]


# -- counting --------------------------------------------------------------------------------------


def descriptors() -> int:
    return psutil.Process().num_fds() if os.name == "posix" else 0


def threads() -> int:
    # The monitor that looks for deadlocks comes and goes with the calls that wait.
    monitors = [thread for thread in threading.enumerate() if "deadlock" in thread.name]
    return psutil.Process().num_threads() - len(monitors)


def thread_names() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def eventually(measure: Callable[[], int], at_most: int) -> int:
    """Measure until it is low enough: threads and loops end in their own time."""
    deadline = time.monotonic() + 10
    while (now := measure()) > at_most and time.monotonic() < deadline:
        time.sleep(0.002)
    return now


@pytest.fixture(autouse=True)
def _small_pool() -> Iterator[None]:
    before = to_thread.get_max_workers()
    to_thread.set_max_workers(4)
    yield
    to_thread.set_max_workers(before)


async def fill_the_pool() -> None:
    """Start every thread that the calls may use, so that none is new afterwards."""
    barrier = threading.Barrier(4)
    await asyncio.gather(*(to_thread.run_sync(barrier.wait, 10) for _ in range(4)))
    for _ in range(2):
        async with ThreadSensitiveContext():
            await sync_to_async(value, thread_sensitive=True)()
    await sync_to_async(value, thread_sensitive=True)()


def check(play: Callable[[int], None], count: int) -> None:
    asyncio.run(fill_the_pool())
    play(WARM_UP)
    gc.collect()
    gc.collect()
    settle()
    before, names = (threads(), descriptors()), thread_names()
    memory = psutil.Process().memory_info().rss
    gc.disable()
    try:
        play(count)
        settle()
        cycles = gc.collect()
    finally:
        gc.enable()
    growth = psutil.Process().memory_info().rss - memory
    assert eventually(threads, before[0]) <= before[0], f"left of {names}: {thread_names()}"
    assert eventually(descriptors, before[1]) <= before[1], "file descriptors are left"
    # asyncio's own loops, runners and cancelled futures may leave some; a call must not.
    assert cycles < count // 20, f"{cycles} objects in reference cycles"
    assert growth < 8 * MEGABYTE + count * 40, f"memory grew by {growth / MEGABYTE:.1f} MB"
    assert tasks_of_the_portal() == 0, "tasks are left"


def tasks_of_the_portal() -> int:
    async def others() -> int:
        return len(asyncio.all_tasks()) - 1

    return eventually(lambda: default_portal().call(others), 0)


def settle() -> None:
    for _ in range(3):
        default_portal().call(asyncio.sleep, 0)


def on_a_loop(calls: Callable[[int], Awaitable[None]], count: int) -> None:
    with asyncio.Runner() as runner:

        async def main(number: int) -> None:
            await calls(number)
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1, "tasks are left"

        check(lambda number: runner.run(main(number)), count)


def name(kind: Any) -> str:
    return str(kind.__name__)


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("calls", ON_A_LOOP, ids=name)
def test_calls_on_a_loop_leave_nothing(calls: Callable[[int], Awaitable[None]]) -> None:
    on_a_loop(calls, CALLS)


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("calls", PLAIN, ids=name)
def test_calls_from_plain_code_leave_nothing(calls: Callable[[int], None]) -> None:
    check(calls, CALLS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("calls", ON_A_LOOP, ids=name)
def test_a_hundred_thousand_calls_on_a_loop(calls: Callable[[int], Awaitable[None]]) -> None:
    on_a_loop(calls, SLOW_CALLS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("calls", PLAIN, ids=name)
def test_a_hundred_thousand_calls_from_plain_code(calls: Callable[[int], None]) -> None:
    check(calls, SLOW_CALLS)
