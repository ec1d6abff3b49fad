"""Iterators across the bridge: what an item costs on its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from bridge_row import Row
from starlette.concurrency import iterate_in_threadpool

from bridgekit import default_portal, to_thread
from bridgekit.adapters.iterators.to_async import async_iterator
from bridgekit.adapters.iterators.to_sync import sync_iterator

BATCHED_ITEMS = 20_000
SINGLE_ITEMS = 300


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
        "generator to async, batched / iterate_in_threadpool, uvloop",
        batched_to_async,
        starlette_to_async,
        0.008,
        loop="uvloop",
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
