"""Coroutines called from synchronous code: from the main thread, and from worker threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import anyio.from_thread
import anyio.to_thread
import asgiref.sync
from bridge_row import Measure, Row

from bridgekit import async_to_sync, to_thread

CALLS = 100


async def trivial() -> None:
    """Ends without having waited."""


async def turning() -> None:
    """Waits for one turn of the loop."""
    await asyncio.sleep(0)


_loop: list[asyncio.AbstractEventLoop] = []


def loop_in_a_thread() -> asyncio.AbstractEventLoop:
    if not _loop:
        _loop.append(asyncio.new_event_loop())
        threading.Thread(target=_loop[0].run_forever, daemon=True).start()
    return _loop[0]


through_bridgekit = async_to_sync(trivial)
turning_through_bridgekit = async_to_sync(turning)
through_asgiref = asgiref.sync.async_to_sync(trivial)


def through_asyncio_run() -> None:
    asyncio.run(trivial())


def threadsafe() -> None:
    asyncio.run_coroutine_threadsafe(trivial(), loop_in_a_thread()).result()


def turning_threadsafe() -> None:
    asyncio.run_coroutine_threadsafe(turning(), loop_in_a_thread()).result()


def through_anyio_from_thread() -> None:
    anyio.from_thread.run(trivial)


def repeat(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def plain(call: Callable[[], object], calls: int = CALLS) -> Measure:
    return lambda: repeat(call, calls)


def nested(
    call: Callable[[], object], in_thread: Callable[..., object] = to_thread.run_sync
) -> Measure:
    async def measure() -> float:
        seconds: float = await in_thread(repeat, call, CALLS)  # type: ignore[misc]
        return seconds

    return measure


def asgiref_thread(func: Callable[..., float], *args: object) -> object:
    return asgiref.sync.sync_to_async(func)(*args)


ROWS = [
    Row(
        "async_to_sync, trivial / asgiref",
        plain(through_bridgekit),
        plain(through_asgiref, 15),
        0.05,
    ),
    Row(
        "async_to_sync, trivial / asyncio.run",
        plain(through_bridgekit),
        plain(through_asyncio_run, 15),
        0.12,
    ),
    Row(
        "async_to_sync, trivial / run_coroutine_threadsafe",
        plain(through_bridgekit),
        plain(threadsafe),
        0.33,
    ),
    Row(
        "async_to_sync, one turn of the loop / run_coroutine_threadsafe",
        plain(turning_through_bridgekit),
        plain(turning_threadsafe),
        None,
    ),
    Row(
        "nested: worker thread calls async / anyio.from_thread",
        nested(through_bridgekit),
        nested(through_anyio_from_thread, anyio.to_thread.run_sync),
        0.30,
    ),
    Row(
        "nested: worker thread calls async / asgiref",
        nested(through_bridgekit),
        nested(through_asgiref, asgiref_thread),
        0.30,
    ),
    Row(
        "nested, uvloop: worker thread calls async / anyio.from_thread",
        nested(through_bridgekit),
        nested(through_anyio_from_thread, anyio.to_thread.run_sync),
        None,
        loop="uvloop",
    ),
]
