"""What an item costs on its way through an iterator bridge, against what one would write without.

Run as a script it measures these rows alone: the process is pinned to one CPU, a row and its peer
take turns, and the ratio of each round is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from starlette.concurrency import iterate_in_threadpool

from bridgekit import default_portal, to_thread
from bridgekit.adapters.iterators_to_async import async_iterator
from bridgekit.adapters.iterators_to_sync import sync_iterator

BATCHED_ITEMS = 20_000
SINGLE_ITEMS = 300

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Row:
    """A measure and the peer it is compared with; both return seconds for one item."""

    name: str
    ours: Measure
    peer: Measure
    target: float | None


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


async def async_numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def batched_to_async() -> float:
    start = time.perf_counter()
    async for _ in async_iterator(numbers(BATCHED_ITEMS)):
        pass
    return (time.perf_counter() - start) / BATCHED_ITEMS


async def strict_to_async() -> float:
    start = time.perf_counter()
    async for _ in async_iterator(numbers(SINGLE_ITEMS), strict=True):
        pass
    return (time.perf_counter() - start) / SINGLE_ITEMS


async def starlette_to_async() -> float:
    start = time.perf_counter()
    async for _ in iterate_in_threadpool(numbers(SINGLE_ITEMS)):
        pass
    return (time.perf_counter() - start) / SINGLE_ITEMS


def slow_numbers() -> Iterator[int]:
    """Half a millisecond of work for each item."""
    for number in range(1000):
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
        yield number


async def first_item_batched() -> float:
    start = time.perf_counter()
    async with async_iterator(slow_numbers()) as items:
        await anext(items)
        return time.perf_counter() - start


async def first_item_to_thread() -> float:
    start = time.perf_counter()
    await asyncio.to_thread(next, slow_numbers())
    return time.perf_counter() - start


def _consume_batched() -> float:
    start = time.perf_counter()
    for _ in sync_iterator(async_numbers(BATCHED_ITEMS)):
        pass
    return (time.perf_counter() - start) / BATCHED_ITEMS


def _consume_strict() -> float:
    start = time.perf_counter()
    for _ in sync_iterator(async_numbers(SINGLE_ITEMS), strict=True):
        pass
    return (time.perf_counter() - start) / SINGLE_ITEMS


def _consume_run_coroutine_threadsafe(loop: asyncio.AbstractEventLoop) -> float:
    generator = async_numbers(SINGLE_ITEMS)

    async def step() -> int | None:
        return await anext(generator, None)

    start = time.perf_counter()
    while asyncio.run_coroutine_threadsafe(step(), loop).result() is not None:
        pass
    return (time.perf_counter() - start) / SINGLE_ITEMS


async def batched_to_sync() -> float:
    """From a thread that belongs to no loop: the portal's loop makes the items."""
    return await asyncio.to_thread(_consume_batched)


async def strict_to_sync() -> float:
    return await asyncio.to_thread(_consume_strict)


async def run_coroutine_threadsafe_to_sync() -> float:
    loop = await asyncio.to_thread(default_portal().call, asyncio.get_running_loop)
    return await asyncio.to_thread(_consume_run_coroutine_threadsafe, loop)


async def batched_to_sync_in_worker() -> float:
    """On a worker thread: the loop that awaits it makes the items."""
    return await to_thread.run_sync(_consume_batched)


async def strict_to_sync_in_worker() -> float:
    return await to_thread.run_sync(_consume_strict)


async def run_coroutine_threadsafe_in_worker() -> float:
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(_consume_run_coroutine_threadsafe, loop)


ROWS = [
    Row(
        "generator to async, batched / iterate_in_threadpool",
        batched_to_async,
        starlette_to_async,
        0.008,
    ),
    Row(
        "generator to async, strict / iterate_in_threadpool",
        strict_to_async,
        starlette_to_async,
        0.28,
    ),
    Row(
        "first item of a slow generator / asyncio.to_thread",
        first_item_batched,
        first_item_to_thread,
        1.05,
    ),
    Row(
        "async generator to sync, batched / run_coroutine_threadsafe",
        batched_to_sync,
        run_coroutine_threadsafe_to_sync,
        0.015,
    ),
    Row(
        "async generator to sync, strict / run_coroutine_threadsafe",
        strict_to_sync,
        run_coroutine_threadsafe_to_sync,
        None,
    ),
    Row(
        "async generator to sync in a worker, batched / run_coroutine_threadsafe",
        batched_to_sync_in_worker,
        run_coroutine_threadsafe_in_worker,
        0.015,
    ),
    Row(
        "async generator to sync in a worker, strict / run_coroutine_threadsafe",
        strict_to_sync_in_worker,
        run_coroutine_threadsafe_in_worker,
        None,
    ),
]


async def measure(rounds: int) -> dict[str, dict[str, float | None]]:
    """The ratios of every row: median and tenth percentile over the rounds."""
    ratios: dict[str, list[float]] = {row.name: [] for row in ROWS}
    micros: dict[str, list[float]] = {row.name: [] for row in ROWS}
    for number in range(rounds + 2):
        for row in random.sample(ROWS, len(ROWS)):
            pair = [row.ours, row.peer]
            times = {}
            for index in random.sample((0, 1), 2):
                times[index] = await pair[index]()
            if number >= 2:  # the first rounds start threads
                ratios[row.name].append(times[0] / times[1])
                micros[row.name].append(times[0] * 1e6)
    return {
        row.name: {
            "median": statistics.median(ratios[row.name]),
            "p10": sorted(ratios[row.name])[rounds // 10],
            "microseconds": statistics.median(micros[row.name]),
            "target": row.target,
        }
        for row in ROWS
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        results = runner.run(measure(options.rounds))
    missed = 0
    for name, result in results.items():
        target = result["target"]
        median = result["median"]
        assert median is not None
        mark = ""
        if target is not None:
            mark = f"at most {target}" + ("" if median <= target else "  MISSED")
            missed += median > target
        print(
            f"{name:75} {median:8.4f}  p10 {result['p10']:8.4f}"
            f"  {result['microseconds']:9.3f} us  {mark}"
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
