"""What methods of a proxy return to be iterated or entered, with proxies for what comes out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Protocol, cast

from bridgekit.adapters.portal import BlockingPortal

__all__ = [
    "AsyncItems",
    "AsyncManager",
    "Entered",
    "SyncItems",
    "SyncManager",
    "next_of",
    "portal_items",
    "running_task",
]

Adopt = Callable[[Any], Any]


class AsyncItems(AsyncGenerator[Any, Any]):
    """An asynchronous generator whose items pass ``adopt`` on their way out."""

    __slots__ = ("_adopt", "_inner")

    def __init__(self, inner: AsyncGenerator[Any, Any], adopt: Adopt) -> None:
        self._inner = inner
        self._adopt = adopt

    def __aiter__(self) -> AsyncItems:
        return self

    async def __anext__(self) -> Any:
        return self._adopt(await self._inner.__anext__())

    async def asend(self, value: Any, /) -> Any:
        return self._adopt(await self._inner.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return self._adopt(await self._inner.athrow(*error))

    async def aclose(self) -> None:
        await self._inner.aclose()


class SyncItems(Generator[Any, Any, None]):
    """A generator whose items pass ``adopt`` on their way out."""

    __slots__ = ("_adopt", "_inner")

    def __init__(self, inner: Generator[Any, Any, None], adopt: Adopt) -> None:
        self._inner = inner
        self._adopt = adopt

    def __iter__(self) -> SyncItems:
        return self

    def __next__(self) -> Any:
        return self._adopt(next(self._inner))

    def send(self, value: Any, /) -> Any:
        return self._adopt(self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._adopt(self._inner.throw(*error))

    def close(self) -> None:
        self._inner.close()


def portal_items(portal: BlockingPortal, make: Callable[[], Any]) -> Generator[Any, Any, None]:
    """The items of an asynchronous iterable on one portal's loop, each by a call of its own."""
    iterator: Any = None

    async def step() -> tuple[bool, Any]:
        nonlocal iterator
        if iterator is None:
            made = make()
            iterator = aiter(await made if asyncio.iscoroutine(made) else made)
        return await next_of(iterator)

    try:
        while True:
            answer: tuple[bool, Any] = portal.call(cast("Callable[[], Any]", step))
            found, item = answer
            if not found:
                return
            yield item
    finally:
        if hasattr(iterator, "aclose"):
            portal.call(iterator.aclose)


async def next_of(iterator: Any) -> tuple[bool, Any]:
    """Whether there is a next item, and the item; an exception for the end cannot cross."""
    try:
        return True, await iterator.__anext__()
    except StopAsyncIteration:
        return False, None


class _AsyncUse(Protocol):
    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> bool | None: ...


class _SyncUse(Protocol):
    def __enter__(self) -> Any: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> bool | None: ...


class AsyncManager:
    """An asynchronous context manager whose value passes ``adopt``."""

    __slots__ = ("_adopt", "_inner")

    def __init__(self, inner: _AsyncUse, adopt: Adopt) -> None:
        self._inner = inner
        self._adopt = adopt

    async def __aenter__(self) -> Any:
        return self._adopt(await self._inner.__aenter__())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc, tb)


class SyncManager:
    """A context manager whose value passes ``adopt``."""

    __slots__ = ("_adopt", "_inner")

    def __init__(self, inner: _SyncUse, adopt: Adopt) -> None:
        self._inner = inner
        self._adopt = adopt

    def __enter__(self) -> Any:
        return self._adopt(self._inner.__enter__())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        return self._inner.__exit__(exc_type, exc, tb)


class Entered:
    """The uses of one target as a context manager: one object, entered any number of times.

    A use is left by the task or thread that entered it, the last one first; one that leaves
    without having entered (an exit stack that was handed on) leaves the last use of all.
    """

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses: list[tuple[object, Any]] = []

    def push(self, owner: object, use: Any) -> None:
        """Remember a use."""
        self._uses.append((owner, use))

    def pop(self, owner: object) -> Any:
        """The use to leave.

        :raises RuntimeError: there is none.
        """
        uses = self._uses
        for place in range(len(uses) - 1, -1, -1):
            if uses[place][0] == owner:
                return uses.pop(place)[1]
        if not uses:
            raise RuntimeError("this proxy has not been entered")
        return uses.pop()[1]


def running_task() -> object:
    """What tells the current task from others."""
    if asyncio._get_running_loop() is None and "trio" in sys.modules:
        return sys.modules["trio"].lowlevel.current_task()
    return asyncio.current_task()
