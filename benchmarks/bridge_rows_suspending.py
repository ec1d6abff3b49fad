"""Call stacks that are suspended on the loop's own thread, and calls from tasks of trio.

Suspending happens in one thread, so its CPU time is measured: what else the machine does is left
out. greenback has rows if it is installed.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from bridge_row import Measure, Row
from sqlalchemy.util import await_only, greenlet_spawn

from bridgekit import async_to_sync, to_thread
from bridgekit.adapters import suspending

CALLS = 300
TRIO_CALLS = 100

Spawn = Callable[..., Awaitable[Any]]
Wait = Callable[[], Any]


def nothing() -> None:
    """The trivial function: all that is measured is the way there and back."""


async def at_once() -> None:
    """A coroutine that need not wait."""


async def one_turn() -> None:
    """A coroutine that waits for the loop to turn once."""
    await asyncio.sleep(0)


def waits(wait: Wait, times: int) -> None:
    for _ in range(times):
        wait()


def entering(spawn: Spawn, *args: Any) -> Measure:
    """A stack for each call."""

    async def measure() -> float:
        start = time.thread_time()
        for _ in range(CALLS):
            await spawn(*args)
        return (time.thread_time() - start) / CALLS

    return measure


def waiting(spawn: Spawn, wait: Wait) -> Measure:
    """One stack that waits for each call."""

    async def measure() -> float:
        start = time.thread_time()
        await spawn(waits, wait, CALLS)
        return (time.thread_time() - start) / CALLS

    return measure


def rows_against(name: str, spawn: Spawn, await_: Callable[[Awaitable[Any]], Any]) -> list[Row]:
    ours = suspending.run_sync
    our_at_once, our_turn = async_to_sync(at_once), async_to_sync(one_turn)

    def their_at_once() -> None:
        await_(at_once())

    def their_turn() -> None:
        await_(one_turn())

    return [
        Row(
            f"suspended stack that never waits / {name}",
            entering(ours, nothing),
            entering(spawn, nothing),
            None,
        ),
        Row(
            f"suspended stack that waits once / {name}",
            entering(ours, waits, our_turn, 1),
            entering(spawn, waits, their_turn, 1),
            None,
        ),
        Row(
            f"await in a suspended stack, nothing to wait for / {name}",
            waiting(ours, our_at_once),
            waiting(spawn, their_at_once),
            None,
        ),
        Row(
            f"await in a suspended stack, one turn of the loop / {name}",
            waiting(ours, our_turn),
            waiting(spawn, their_turn),
            None,
        ),
    ]


def greenback_rows() -> list[Row]:
    try:
        greenback: Any = importlib.import_module("greenback")
    except ModuleNotFoundError:
        return []
    return rows_against("greenback", greenback.with_portal_run_sync, greenback.await_)


def under_trio(call: Callable[[], Awaitable[object]]) -> Measure:
    """Sequential calls from one task of trio."""

    async def calls() -> float:
        await call()  # starts the thread
        start = time.perf_counter()
        for _ in range(TRIO_CALLS):
            await call()
        return (time.perf_counter() - start) / TRIO_CALLS

    return lambda: trio.run(calls)


def nested_under_trio(run: Callable[..., Awaitable[float]], ask: Wait) -> Measure:
    """One worker that asks its task for a coroutine again and again."""

    def asks() -> float:
        start = time.perf_counter()
        for _ in range(TRIO_CALLS):
            ask()
        return (time.perf_counter() - start) / TRIO_CALLS

    return lambda: trio.run(run, asks)


ROWS = [
    *rows_against("SQLAlchemy greenlet_spawn", greenlet_spawn, await_only),
    *greenback_rows(),
    Row(
        "to_thread under trio, sequential / trio.to_thread",
        under_trio(functools.partial(to_thread.run_sync, nothing)),
        under_trio(functools.partial(trio.to_thread.run_sync, nothing)),
        None,
    ),
    Row(
        "async from sync in a worker under trio / trio.from_thread",
        nested_under_trio(to_thread.run_sync, async_to_sync(at_once)),
        nested_under_trio(
            trio.to_thread.run_sync, functools.partial(trio.from_thread.run, at_once)
        ),
        None,
    ),
]
