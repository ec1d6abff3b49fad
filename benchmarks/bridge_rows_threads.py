"""Synchronous functions called from a task, through worker threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import anyio.to_thread
import asgiref.sync
from bridge_row import Measure, Row

from bridgekit import ThreadSensitiveContext, sync_to_async, to_thread

CALLS = 150
Call = Callable[[], Awaitable[object]]


def nothing() -> None:
    """The trivial function: all that is measured is the way there and back."""


_variable = ContextVar("variable", default=0)


def changes_context() -> None:
    _variable.set(_variable.get() + 1)


def through_bridgekit() -> Awaitable[object]:
    return to_thread.run_sync(nothing)


def through_asyncio() -> Awaitable[object]:
    return asyncio.to_thread(nothing)


def through_anyio() -> Awaitable[object]:
    return anyio.to_thread.run_sync(nothing)


def with_context_back() -> Awaitable[object]:
    return to_thread.run_sync(changes_context)


through_sync_to_async = sync_to_async(nothing)
through_asgiref = asgiref.sync.sync_to_async(nothing)
through_asgiref_pool = asgiref.sync.sync_to_async(nothing, thread_sensitive=False)
sensitive = sync_to_async(nothing, thread_sensitive=True)


async def through_context() -> None:
    async with ThreadSensitiveContext():
        await sensitive()


async def through_asgiref_context() -> None:
    async with asgiref.sync.ThreadSensitiveContext():
        await through_asgiref()


def sequential(call: Call, calls: int = CALLS) -> Measure:
    async def measure() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            await call()
        return (time.perf_counter() - start) / calls

    return measure


def concurrent(call: Call, tasks: int) -> Measure:
    batches = max(1, 300 // tasks)

    async def measure() -> float:
        start = time.perf_counter()
        for _ in range(batches):
            await asyncio.gather(*(call() for _ in range(tasks)))
        return (time.perf_counter() - start) / batches / tasks

    return measure


def row(name: str, ours: Call, peer: Call, target: float | None) -> Row:
    return Row(name, sequential(ours), sequential(peer), target)


ROWS = [
    row("to_thread, sequential / asyncio.to_thread", through_bridgekit, through_asyncio, 0.22),
    Row(
        "to_thread, sequential, uvloop / asyncio.to_thread",
        sequential(through_bridgekit),
        sequential(through_asyncio),
        0.32,
        loop="uvloop",
    ),
    *(
        Row(
            f"to_thread, {tasks} concurrent / asyncio.to_thread",
            concurrent(through_bridgekit, tasks),
            concurrent(through_asyncio, tasks),
            target,
        )
        for tasks, target in ((10, 0.55), (100, 0.42), (1000, 0.38))
    ),
    Row(
        "to_thread, 100 concurrent, uvloop / asyncio.to_thread",
        concurrent(through_bridgekit, 100),
        concurrent(through_asyncio, 100),
        None,
        loop="uvloop",
    ),
    row("to_thread, sequential / anyio.to_thread", through_bridgekit, through_anyio, 0.22),
    Row(
        "to_thread, 100 concurrent / anyio.to_thread",
        concurrent(through_bridgekit, 100),
        concurrent(through_anyio, 100),
        0.20,
    ),
    row("sync_to_async, sequential / asgiref", through_sync_to_async, through_asgiref, 0.22),
    row(
        "sync_to_async, sequential / asgiref, thread_sensitive=False",
        through_sync_to_async,
        through_asgiref_pool,
        None,
    ),
    row(
        "to_thread, a variable set in the thread / asyncio.to_thread (which loses it)",
        with_context_back,
        through_asyncio,
        None,
    ),
    Row(
        "a ThreadSensitiveContext with one call / asgiref",
        sequential(through_context, 30),
        sequential(through_asgiref_context, 30),
        None,
    ),
]
