"""A module with proxies and bridged functions of every kind; its stub is checked."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, overload

from bridgekit import async_to_sync, sync_to_async
from bridgekit.adapters.proxies import async_proxy, sync_proxy

if TYPE_CHECKING:
    from decimal import Decimal

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

LIMIT = 3
names = ["a", "b"]
Key = str | int


@dataclass(frozen=True)
class Item:
    key: str
    price: int = 0
    tags: list[str] = field(default_factory=list)


class Store(Generic[T]):
    """A client that blocks."""

    kind: str = "store"

    def __init__(self, url: str, *, factory: Callable[[str], T], timeout: float = 5.0) -> None:
        self.url = url
        self.factory = factory
        self.closed = False

    @overload
    def get(self, key: str) -> T | None: ...

    @overload
    def get(self, key: str, default: T) -> T: ...

    def get(self, key: str, default: T | None = None) -> T | None:
        return default

    def put(self, key: str, value: T, /, *more: T, **options: int) -> Store[T]:
        return self

    def scan(self, prefix: str = "") -> Iterator[tuple[str, T]]:
        yield from ()

    @contextmanager
    def locked(self, key: str) -> Iterator[Lock]:
        yield Lock(key)

    def price(self, of: Decimal) -> Decimal:
        return of

    def now(self) -> float:
        return 0.0

    @property
    def size(self) -> int:
        return 0

    @property
    def remote_size(self) -> int:
        return 0

    @property
    def label(self) -> str:
        return ""

    @label.setter
    def label(self, value: str) -> None: ...

    @classmethod
    def open(cls, url: str) -> Store[str]:
        return Store(url, factory=str)

    @staticmethod
    def version() -> str:
        return "1"

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    def __len__(self) -> int:
        return 0

    def __enter__(self) -> Store[T]:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[str]:
        return iter(())


class Lock:
    def __init__(self, key: str) -> None:
        self.key = key

    def release(self) -> None: ...


class Feed:
    """An asynchronous client."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def read(self, count: int = 1) -> list[bytes]:
        return []

    async def items(self) -> AsyncIterator[Item]:
        yield Item("a")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Feed]:
        yield self

    def peek(self) -> int:
        return 0

    async def __aenter__(self) -> Feed:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    def __aiter__(self) -> AsyncIterator[int]:
        raise NotImplementedError


AsyncStore = async_proxy(
    Store, plain={"now"}, awaited={"remote_size"}, wrap={Lock}, name="AsyncStore"
)
SyncFeed = sync_proxy(Feed, plain={"peek"})
AsyncConnection = async_proxy(sqlite3.Connection, wrap={sqlite3.Cursor}, iterators={"iterdump"})
feed = sync_proxy(Feed("here"), plain={"peek"})


def _fetch(url: str, *, retries: int = 3) -> bytes:
    return b""


async def _send(url: str, body: bytes | None = None) -> int:
    return 0


fetch = sync_to_async(_fetch)
send = async_to_sync(_send)
sleep = async_to_sync(asyncio.sleep)
wait = sync_to_async(time.sleep)
connect = async_proxy(sqlite3.connect, wrap={sqlite3.Connection, sqlite3.Cursor})


@sync_to_async
def load(path: str) -> Item:
    return Item(path)


class Service:
    count = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.feed = Feed(name)

    @sync_to_async(thread_sensitive=True)
    def work(self, n: int) -> str:
        return self.name * n

    @classmethod
    @sync_to_async
    def make(cls, name: str) -> Service:
        return cls(name)

    def plain(self) -> int:
        return 1


if __name__ == "__main__":
    print(LIMIT)
