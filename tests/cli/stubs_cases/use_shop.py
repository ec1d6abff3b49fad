"""What type checkers have to see of ``shop`` through its stub. Never run."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from decimal import Decimal
from typing import Any, assert_type

import shop


async def proxies_of_a_blocking_client() -> None:
    store = shop.AsyncStore("db://", factory=int)
    assert_type(store, shop.AsyncStore[int])
    assert_type(await shop.AsyncStore[int].create("db://", factory=int), shop.AsyncStore[int])
    assert_type(await store.get("a"), int | None)
    assert_type(await store.get("a", 3), int)
    assert_type(await store.put("a", 1, 2, ttl=3), shop.AsyncStore[int])
    assert_type(await store.price(Decimal(1)), Decimal)
    assert_type(store.now(), float)
    assert_type(store.size, int)
    assert_type(await store.remote_size, int)
    assert_type(store.label, str)
    store.label = "new"
    assert_type(store.url, str)
    assert_type(store.kind, str)
    assert_type(await shop.AsyncStore.version(), str)
    assert_type(await shop.AsyncStore.open("x"), shop.AsyncStore[str])
    assert_type(await store.call(str.split, "a b", maxsplit=1), list[str])
    assert_type(len(store), int)
    async for key, value in store.scan("p"):
        assert_type((key, value), tuple[str, int])
    async for name in store:
        assert_type(name, str)
    async with store as entered:
        assert_type(entered, shop.AsyncStore[int])
    async with store.locked("a") as lock:
        assert_type(lock.key, str)
        assert_type(await lock.release(), None)
    await store.get(3)  # type: ignore[call-overload]
    await store.put("a", "b")  # type: ignore[arg-type]


def proxies_of_an_asynchronous_client() -> None:
    with shop.SyncFeed("here") as feed:
        assert_type(feed, shop.SyncFeed)
        assert_type(feed.read(count=2), list[bytes])
        assert_type(feed.peek(), int)
        assert_type(feed.items(), Generator[shop.Item, None, None])
        assert_type(list(feed), list[int])
        with feed.session() as inner:
            assert_type(inner, shop.SyncFeed)
    assert_type(shop.feed, shop.SyncFeed)


async def proxies_of_the_standard_library() -> None:
    connection = await shop.AsyncConnection.create(":memory:", timeout=1)
    cursor = await connection.execute("select ?", (1,))
    assert_type(await cursor.fetchall(), list[Any])
    assert_type(await connection.commit(), None)
    assert_type(cursor.connection, shop.AsyncConnection)
    assert_type(connection.total_changes, int)
    async with connection as entered:
        assert_type(entered, shop.AsyncConnection)
    async for line in connection.iterdump():
        assert_type(line, str)
    async for row in cursor:
        print(row)
    other = await shop.connect("file")
    assert_type(await other.close(), None)
    await connection.backup(sqlite3.connect(":memory:"))
    await connection.backup(connection)


async def functions() -> None:
    assert_type(await shop.fetch("u", retries=1), bytes)
    assert_type(shop.send("u", body=b""), int)
    assert_type(shop.sleep(1, "done"), str)
    assert_type(await shop.wait(0.1), None)
    assert_type(await shop.load("p"), shop.Item)
    service = await shop.Service.make("n")
    assert_type(service, shop.Service)
    assert_type(await service.work(2), str)
    assert_type(service.plain(), int)
    assert_type(service.feed, shop.Feed)
    assert_type(shop.Item("k", tags=["a"]).tags, list[str])
    assert_type(shop.LIMIT, int)
    await shop.fetch(1)  # type: ignore[arg-type]
