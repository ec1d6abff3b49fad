"""Iterators and managers of both directions nested at random, in a small pool, with cancellations.

Every generator and manager that was begun has ended when its task has, nothing hangs, and no task
is left over.
"""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from bridgekit import async_to_sync, to_thread
from bridgekit.adapters.context_managers.to_async import async_context_manager
from bridgekit.adapters.context_managers.to_sync import sync_context_manager
from bridgekit.adapters.iterators.to_async import async_iterator
from bridgekit.adapters.iterators.to_sync import sync_iterator


class Play:
    """A random program, and the count of what it has open."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.begun = 0
        self.open = 0

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def count(self, change: int) -> None:
        with self.lock:
            self.open += change
            self.begun += change > 0

    def synchronous(self, depth: int) -> Iterator[int]:
        self.count(+1)
        try:
            for number in range(self.random.randrange(5)):
                if depth and self.chance(0.5):
                    for _ in sync_iterator(self.asynchronous(depth - 1), strict=self.chance(0.5)):
                        if self.chance(0.2):
                            break
                if self.chance(0.3):
                    async_to_sync(asyncio.sleep)(0)
                yield number
        finally:
            self.count(-1)

    async def asynchronous(self, depth: int) -> AsyncIterator[int]:
        self.count(+1)
        try:
            for number in range(self.random.randrange(5)):
                if depth and self.chance(0.5):
                    source = self.synchronous(depth - 1)
                    async with async_iterator(source, strict=self.chance(0.5)) as items:
                        async for _ in items:
                            if self.chance(0.2):
                                break
                if self.chance(0.3):
                    await asyncio.sleep(0)
                if self.chance(0.3):
                    await to_thread.run_sync(int)
                if depth and self.chance(0.3):
                    async with async_context_manager(self.synchronous_manager)():
                        await asyncio.sleep(0)
                yield number
        finally:
            self.count(-1)

    @contextmanager
    def synchronous_manager(self) -> Iterator[None]:
        self.count(+1)
        try:
            yield
        finally:
            self.count(-1)

    @asynccontextmanager
    async def asynchronous_manager(self) -> AsyncIterator[None]:
        self.count(+1)
        try:
            await asyncio.sleep(0)
            yield
        finally:
            self.count(-1)

    def consume(self, depth: int) -> None:
        with sync_context_manager(self.asynchronous_manager)():
            for _ in sync_iterator(self.asynchronous(depth)):
                pass

    async def act(self) -> None:
        depth = self.random.randrange(4)
        if self.chance(0.5):
            async with async_iterator(self.synchronous(depth)) as items:
                async for _ in items:
                    pass
        else:
            await to_thread.run_sync(self.consume, depth)

    async def run(self, acts: int) -> None:
        before = asyncio.all_tasks()
        for _ in range(acts):
            tasks = [asyncio.create_task(self.act()) for _ in range(self.random.randrange(1, 8))]
            for task in tasks:
                for _ in range(self.random.randrange(12)):
                    await asyncio.sleep(0)
                if self.chance(0.4):
                    task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_begun_is_ended(seed: int, workers: int) -> None:
    play = Play(seed)
    before = to_thread.get_max_workers()
    to_thread.set_max_workers(workers)
    try:
        asyncio.run(asyncio.wait_for(play.run(20), 60))
    finally:
        to_thread.set_max_workers(before)
    gc.collect()
    assert play.begun > 50
    assert play.open == 0
