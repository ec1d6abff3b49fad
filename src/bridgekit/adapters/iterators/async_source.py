"""The asynchronous side of ``sync_iterator``: an iterator that makes its items in batches."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextvars import Context, copy_context
from itertools import repeat
from time import perf_counter
from typing import Any, Generic, TypeVar, cast

from bridgekit.adapters.iterators.batches import BatchSize, is_unchanged
from bridgekit.adapters.steps.own_context import OwnContext

__all__ = ["AsyncSource"]

T = TypeVar("T")
S = TypeVar("S")


class AsyncSource(Generic[T, S]):
    """An asynchronous iterator, iterable, or function of one. Its coroutines run in one task.

    :param source: is opened by the first step; a function is called then, a coroutine awaited.
    :param own: the context that the steps run in.
    """

    def __init__(
        self,
        source: AsyncIterable[T] | Callable[[], AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
        size: BatchSize,
        own: OwnContext,
    ) -> None:
        self._source: Any = source
        self._iterator: AsyncIterator[T] | None = None
        self._size = size
        self._own = own
        self._early: list[T] = []
        self.held: list[T] = []
        self.closed_by_call = False
        self.ended = False
        self.error: BaseException | None = None

    @property
    def is_strict(self) -> bool:
        return self._size.is_strict

    @property
    def is_unopened(self) -> bool:
        return self._source is not None

    def has_ended(self) -> bool:
        return self.ended

    async def _opened(self) -> AsyncIterator[T]:
        if self._iterator is None:
            source, self._source = self._source, None
            if not isinstance(source, AsyncIterable):
                source = source()
                if inspect.isawaitable(source):
                    source = await source
            self._iterator = aiter(source)
        return self._iterator

    async def _collect(
        self, items: list[T], take: Callable[[], Awaitable[T]], limit: int
    ) -> list[T]:
        append, size = items.append, self._size
        before = copy_context()
        try:
            if limit == size.most == 1:
                append(await take())
                return items
            begun = perf_counter()
            deadline = begun + size.budget
            for _ in repeat(None, limit):
                append(await take())
                if (now := perf_counter()) >= deadline:
                    size.out_of_time(len(items), now - begun)
                    break
                if not is_unchanged(before):
                    self._separate_last(items, before)
                    break
            else:
                size.made_in_time(limit)
        except StopAsyncIteration:
            self._end(items, before)
        except GeneratorExit:
            raise  # the loop was closed, and this coroutine is being thrown away
        except BaseException as error:
            self._end(items, before, error)
        return items

    def _separate_last(self, items: list[T], before: Context) -> None:
        self._size.limit = 1
        if len(items) > 1:
            # The change came with the last item. The consumer must not see it with the others.
            self.held.append(items.pop())
            self._own.hold_back(before)

    def _end(self, items: list[T], before: Context, error: BaseException | None = None) -> None:
        self.ended = True
        self.error = error
        if items and not is_unchanged(before):
            # The consumer has not come to the end yet, and must not see what the end changes.
            self._own.hold_back(before)

    async def next_batch(self) -> list[T]:
        """The next items; fewer than could be, none at the end."""
        if self._early or self.ended:
            items, self._early = self._early, []
            return items
        try:
            take = (await self._opened()).__anext__
        except BaseException:
            self.ended = True
            raise
        return await self._collect([], take, self._size.limit)

    async def send(self, value: S) -> list[T]:
        """Send a value into the generator; its answer is a batch of one item."""
        generator = cast("AsyncGenerator[T, S]", await self._opened())
        return await self._collect([], functools.partial(generator.asend, value), 1)

    async def throw(self, error: BaseException) -> list[T]:
        """Raise an exception in the generator; its answer is a batch of one item."""
        self.held.clear()
        iterator = await self._opened()
        if self.ended or not isinstance(iterator, AsyncGenerator):
            self.ended = True
            self.error = error
            return []
        return await self._collect([], functools.partial(iterator.athrow, error), 1)

    async def cancelled(self, error: asyncio.CancelledError) -> None:
        """The task was cancelled between two steps: a matter of the generator's.

        A timeout that it has left open makes it a ``TimeoutError``. What the generator makes of
        it, an exception or an item, is kept for the next step.
        """
        if self._iterator is None or self.ended:
            return
        self._early += await self.throw(error)
        task = asyncio.current_task()
        if not self.ended and task is not None and task.cancelling():
            # It was no timeout of the generator's, which would have taken its cancellation back:
            # the task itself is to end.
            self.error = error
            await self.close()

    async def close(self) -> None:
        """Close the generator. Other iterators are left as they are, as ``for`` leaves them."""
        self.ended = True
        self._early.clear()
        opened = self._iterator or self._source
        self._source = None
        if isinstance(opened, AsyncGenerator):
            await opened.aclose()

    def raise_error(self) -> None:
        """Raise what ended the source, if an exception did. On the consumer's side."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
