"""The types of iterator and context-manager bridges. For type checkers; it is never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, assert_type

from bridgekit.adapters.context_managers.to_async import (
    AsyncContextManagerAdapter,
    async_context_manager,
)
from bridgekit.adapters.context_managers.to_sync import (
    SyncContextManagerAdapter,
    sync_context_manager,
)
from bridgekit.adapters.iterators.to_async import AsyncIteratorAdapter, async_iterator
from bridgekit.adapters.iterators.to_sync import SyncIteratorAdapter, sync_iterator


def generator(count: int, *, name: str = "") -> Generator[int, str, float]:
    yield count
    return 1.0


def iterator(count: int) -> Iterator[int]:
    yield count


async def async_generator(count: int, *, name: str = "") -> AsyncGenerator[int, str]:
    yield count


async def async_iterable(count: int) -> AsyncIterator[int]:
    yield count


async def coroutine(count: int) -> AsyncIterator[int]:
    return async_iterable(count)


async def to_async() -> None:
    assert_type(async_iterator(generator(1)), AsyncIteratorAdapter[int, str, float])
    assert_type(async_iterator(generator(1)).value, float | None)
    assert_type(await async_iterator(generator(1)).asend("x"), int)
    async for item in async_iterator(iterator(1)):
        assert_type(item, int)
    async for letter in async_iterator("text", strict=True):
        assert_type(letter, str)
    async for number in async_iterator(generator)(1, name="x"):
        assert_type(number, int)
    async for number in async_iterator(iterator, affinity="context")(1):
        assert_type(number, int)
    async_iterator(generator)("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    decorated = async_iterator(strict=True)(generator)
    assert_type(decorated(1, name="x"), AsyncIteratorAdapter[int, str, float])


def to_sync() -> None:
    assert_type(sync_iterator(async_generator(1)), SyncIteratorAdapter[int, str])
    assert_type(sync_iterator(async_generator(1)).send("x"), int)
    for item in sync_iterator(async_iterable(1)):
        assert_type(item, int)
    for number in sync_iterator(async_generator)(1, name="x"):
        assert_type(number, int)
    for number in sync_iterator(coroutine)(1):
        assert_type(number, int)
    sync_iterator(async_generator)("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@contextmanager
def manager(name: str) -> Iterator[int]:
    yield 1


@asynccontextmanager
async def async_manager(name: str) -> AsyncIterator[int]:
    yield 1


async def manager_to_async() -> None:
    async with async_context_manager(manager)("x") as value:
        assert_type(value, int)
    async with async_context_manager(manager("x")) as value:
        assert_type(value, int)
    async with async_context_manager(affinity="context")(manager)(name="x") as value:
        assert_type(value, int)
    assert_type(async_context_manager(manager("x")), AsyncContextManagerAdapter[int])
    async_context_manager(manager)(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def manager_to_sync() -> None:
    with sync_context_manager(async_manager)("x") as value:
        assert_type(value, int)
    with sync_context_manager(asyncio.TaskGroup()) as group:
        assert_type(group, asyncio.TaskGroup)
    assert_type(sync_context_manager(async_manager("x")), SyncContextManagerAdapter[int])
    make: Callable[..., Any] = sync_context_manager(async_manager)
    make()
