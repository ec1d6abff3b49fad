"""The synchronous side of ``async_iterator``: an iterator that makes its items in batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import Context, copy_context
from itertools import repeat
from time import perf_counter
from typing import Generic, TypeVar, cast

from bridgekit.adapters.iterators.batches import BatchSize, is_unchanged
from bridgekit.adapters.steps.own_context import OwnContext

__all__ = ["SyncSource"]

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")


class SyncSource(Generic[T, S, R]):
    """An iterator, iterable, or function of one. Its methods run on worker threads.

    :param source: is opened by the first step; a function is called then.
    :param own: the context that the steps run in.
    """

    def __init__(
        self,
        source: Iterable[T] | Callable[[], Iterable[T]],
        size: BatchSize,
        own: OwnContext,
    ) -> None:
        self._source: Iterable[T] | Callable[[], Iterable[T]] | None = source
        self._iterator: Iterator[T] | None = None
        self._size = size
        self._own = own
        self.held: list[T] = []
        self.ended = False
        self.error: BaseException | None = None
        self.value: R | None = None

    @property
    def is_strict(self) -> bool:
        return self._size.is_strict

    @property
    def is_unopened(self) -> bool:
        return self._source is not None

    def _opened(self) -> Iterator[T]:
        if self._iterator is None:
            source, self._source = self._source, None
            assert source is not None
            self._iterator = iter(source if isinstance(source, Iterable) else source())
        return self._iterator

    def _collect(self, items: list[T], take: Callable[[], T], limit: int) -> None:
        append, size = items.append, self._size
        before = copy_context()
        try:
            if limit == size.most == 1:
                append(take())
                return
            begun = perf_counter()
            deadline = begun + size.budget
            for _ in repeat(None, limit):
                append(take())
                if (now := perf_counter()) >= deadline:
                    size.out_of_time(len(items), now - begun)
                    break
                if not is_unchanged(before):
                    self._separate_last(items, before)
                    break
            else:
                size.made_in_time(limit)
        except StopIteration as stop:
            self._end(items, before)
            self.value = stop.value
        except BaseException as error:
            self._end(items, before, error)

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

    def next_batch(self) -> list[T]:
        """The next items; fewer than could be, none at the end. Raises nothing."""
        items: list[T] = []
        try:
            take = self._opened().__next__
        except BaseException as error:
            self.ended = True
            self.error = error
        else:
            self._collect(items, take, self._size.limit)
        return items

    def send(self, value: S) -> list[T]:
        """Send a value into the generator; its answer is a batch of one item."""
        items: list[T] = []
        generator = cast("Generator[T, S, R]", self._opened())
        self._collect(items, functools.partial(generator.send, value), 1)
        return items

    def throw(self, error: BaseException) -> list[T]:
        """Raise an exception in the generator; its answer is a batch of one item."""
        self.held.clear()
        items: list[T] = []
        iterator = self._opened()
        if not isinstance(iterator, Generator):
            self.ended = True
            self.error = error
        else:
            self._collect(items, functools.partial(iterator.throw, error), 1)
        return items

    def raise_error(self) -> None:
        """Raise what ended the source, if an exception did. On the consumer's side."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def close(self) -> None:
        """Close the generator. Other iterators are left as they are, as ``for`` leaves them."""
        self.ended = True
        opened, self._source = self._iterator or self._source, None
        if isinstance(opened, Generator):
            opened.close()
