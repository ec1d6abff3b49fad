"""``sync_iterator``: asynchronous iterators and generators, consumed with ``for``.

The items are made by one task on the event loop and brought over in batches. A batch begins with
one item and doubles as long as it is made within the time budget.

Invariants:

* all steps of the source, its end included, run in one task and one context, so timeouts, cancel
  scopes and task groups that it keeps open across a ``yield`` work;
* the source runs only while its consumer waits for it: never beside the consumer's loop body;
* at most one batch is computed ahead of the consumer; with ``strict`` nothing is;
* a batch ends where the source changes a context variable, so the consumer sees with each item the
  values that the source had set for it;
* an exception of the source is raised after the items before it;
* a started generator is closed on its loop as soon as its consumer closes, fails or is collected.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from contextlib import suppress
from contextvars import Context, copy_context
from itertools import repeat
from time import perf_counter
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from bridgekit.adapters.batches import (
    DEFAULT_BATCH,
    DEFAULT_BUDGET,
    BatchSize,
    as_exception,
    is_unchanged,
    needs_strict,
)
from bridgekit.adapters.collecting import is_collecting
from bridgekit.adapters.own_context import OwnContext
from bridgekit.adapters.task_steps import TaskSteps
from bridgekit.engine.hosts import runs_trio
from bridgekit.errors import PortalClosedError

__all__ = ["SyncIteratorAdapter", "sync_iterator"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)


class _Source(Generic[T, S]):
    """The asynchronous side: all coroutines here run in the task of the source."""

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
            deadline = perf_counter() + size.budget
            for _ in repeat(None, limit):
                append(await take())
                if perf_counter() >= deadline:
                    size.limit = len(items)
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


def _consume(source: _Source[T, S], steps: TaskSteps) -> Generator[T, S, None]:
    """The synchronous side."""
    try:
        items = steps.run(source.next_batch)
        while True:
            for item in items:
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:
                    items = steps.run(functools.partial(source.throw, error))
                    break
                if sent is not None:
                    if not source.is_strict:
                        raise needs_strict("send", "sync_iterator")
                    items = steps.run(functools.partial(source.send, sent))
                    break
            else:
                steps.own.give_back_rest()
                if source.held:
                    items, source.held = source.held, []
                    continue
                if source.ended:
                    source.raise_error()
                    return
                items = steps.run(source.next_batch)
    finally:
        if not source.ended:
            if is_collecting() or asyncio._get_running_loop() is not None or runs_trio():
                # On a thread that must not wait: whatever the collector has interrupted may hold
                # locks that the loop needs.
                steps.finish_soon(source.close)
            else:
                _close(source, steps)


def _close(source: _Source[Any, Any], steps: TaskSteps) -> None:
    # A generator whose loop has ended without having closed it cannot be closed any more.
    with suppress(PortalClosedError):
        steps.run(source.close, last=True)


class SyncIteratorAdapter(Generator[T_co, S_contra, None]):
    """What :func:`sync_iterator` returns: a generator over an asynchronous source.

    ``close()`` closes a generator that has been started, on its loop, and waits for that.
    ``throw()`` raises the exception in the generator and discards what was computed ahead.
    ``send()`` of a value needs ``strict``. It is also a context manager that closes it.
    """

    __slots__ = ("_inner", "_source", "_steps")

    def __init__(self, iterable: Any, size: BatchSize, target: Callable[..., Any]) -> None:
        own = OwnContext()
        source: _Source[T_co, S_contra] = _Source(iterable, size, own)
        self._source = source
        self._steps = TaskSteps("sync_iterator", target, own, source.cancelled, source.has_ended)
        self._inner = _consume(source, self._steps)

    def __iter__(self) -> Generator[T_co, S_contra, None]:
        return self._inner  # one Python call less for each item than to go through this object

    def __next__(self) -> T_co:
        return next(self._inner)

    def send(self, value: S_contra, /) -> T_co:
        if value is not None and not self._source.is_strict:
            raise needs_strict("send", "sync_iterator")
        return self._inner.send(value)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> T_co:
        return self._inner.throw(as_exception(typ, val, tb))

    def close(self) -> None:
        self._inner.close()
        if self._source.is_unopened:  # then the line above has run nothing
            _close(self._source, self._steps)

    def __enter__(self) -> SyncIteratorAdapter[T_co, S_contra]:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


class _Decorator(Protocol):
    @overload
    def __call__(
        self, source: Callable[P, AsyncGenerator[T, S]], /
    ) -> Callable[P, SyncIteratorAdapter[T, S]]: ...

    @overload
    def __call__(
        self, source: Callable[P, AsyncIterable[T]], /
    ) -> Callable[P, SyncIteratorAdapter[T, Any]]: ...

    @overload
    def __call__(
        self, source: Callable[P, Awaitable[AsyncIterable[T]]], /
    ) -> Callable[P, SyncIteratorAdapter[T, Any]]: ...


@overload
def sync_iterator(
    source: AsyncGenerator[T, S],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> SyncIteratorAdapter[T, S]: ...


@overload
def sync_iterator(
    source: AsyncIterable[T],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> SyncIteratorAdapter[T, Any]: ...


@overload
def sync_iterator(
    source: Callable[P, AsyncGenerator[T, S]],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> Callable[P, SyncIteratorAdapter[T, S]]: ...


@overload
def sync_iterator(
    source: Callable[P, AsyncIterable[T]],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> Callable[P, SyncIteratorAdapter[T, Any]]: ...


@overload
def sync_iterator(
    source: Callable[P, Awaitable[AsyncIterable[T]]],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> Callable[P, SyncIteratorAdapter[T, Any]]: ...


@overload
def sync_iterator(
    source: None = None,
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> _Decorator: ...


def sync_iterator(
    source: Any = None,
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
) -> Any:
    """Consume an asynchronous iterable, iterator or generator from synchronous code.

    Also for a function that returns one (an asynchronous generator function above all) or a
    coroutine of one: the result is then a function with the same parameters.

    The source runs in a task of its own on the loop that ``async_to_sync`` would use: the loop
    that awaits this worker thread, the loop that serves the process, or the process's portal
    loop. That task is ``asyncio.current_task()`` for the source from its first step to its end;
    it is not the task that awaits the worker thread, because a timeout that the source keeps open
    across a ``yield`` would then cancel the consumer's code. Cancelling that task, or Ctrl-C,
    while the thread waits cancels the step that the source is in.

    Batches: the source may be up to one batch ahead of the consumer, and an item may be held back
    until the rest of its batch is there. For a source that waits for events, or whose side effects
    must not be early, say ``strict=True``.

    :param strict: one item at a time; nothing is computed ahead. The same as ``batch=1``.
    :param batch: the most items in a batch.
    :param budget: seconds. No further item is begun in a batch after that time.
    :raises LoopThreadError: an item is asked for on a thread that is running an event loop.
    :raises ValueError: ``batch`` is less than one.
    :raises TypeError: ``source`` is neither an asynchronous iterable nor a function.
    """
    options: dict[str, Any] = {"batch": 1 if strict else batch, "budget": budget}
    if source is None:
        return functools.partial(_adapt, **options)
    return _adapt(source, **options)


def _adapt(source: Any, /, *, batch: int, budget: float) -> Any:
    if isinstance(source, (staticmethod, classmethod)):
        return type(source)(_adapt(source.__func__, batch=batch, budget=budget))
    if not isinstance(source, type) and isinstance(source, AsyncIterable):
        return SyncIteratorAdapter(source, BatchSize(batch, budget), cast(Any, source))
    if isinstance(source, Iterable) or inspect.isgeneratorfunction(source):
        raise TypeError("sync_iterator: the source is synchronous already")
    if not callable(source):
        raise TypeError(f"sync_iterator: {type(source).__name__!r} object is not iterable")
    BatchSize(batch, budget)  # options that make no sense fail here, not at the first call
    call: Callable[..., Any] = source
    makes_generator = inspect.isasyncgenfunction(source)

    @functools.wraps(source)
    def wrapper(*args: Any, **kwargs: Any) -> SyncIteratorAdapter[Any, Any]:
        # Calling a generator function runs none of its code, but refuses wrong arguments.
        made = functools.partial(call, *args, **kwargs)
        iterable = made() if makes_generator else made
        return SyncIteratorAdapter(iterable, BatchSize(batch, budget), call)

    for mark in ("_is_coroutine_mark", "_is_coroutine_marker", "_is_coroutine"):
        wrapper.__dict__.pop(mark, None)
    return wrapper
