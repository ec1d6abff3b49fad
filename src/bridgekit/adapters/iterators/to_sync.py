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
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from contextlib import suppress
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from bridgekit.adapters.iterators.async_source import AsyncSource
from bridgekit.adapters.iterators.batches import (
    DEFAULT_BATCH,
    DEFAULT_BUDGET,
    BatchSize,
    as_exception,
    needs_strict,
)
from bridgekit.adapters.steps.collecting import is_collecting
from bridgekit.adapters.steps.in_task import TaskSteps
from bridgekit.adapters.steps.own_context import OwnContext
from bridgekit.engine.hosts import runs_trio
from bridgekit.errors import PortalClosedError

__all__ = ["SyncIteratorAdapter", "sync_iterator"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)


def _consume(source: AsyncSource[T, S], steps: TaskSteps) -> Generator[T, S, None]:
    """The synchronous side."""
    shield = False
    try:
        items = steps.run(source.next_batch)
        while True:
            for item in items:
                try:
                    sent = yield item
                except GeneratorExit:
                    shield = not source.closed_by_call
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
                # Dropped, as by leaving a loop, it has no way to raise a cancellation.
                _close(source, steps, shield=shield)


def _close(source: AsyncSource[Any, Any], steps: TaskSteps, *, shield: bool = False) -> None:
    # A generator whose loop has ended without having closed it cannot be closed any more.
    with suppress(PortalClosedError):
        steps.finish(source.close, source.has_ended, shield=shield)


class SyncIteratorAdapter(Generator[T_co, S_contra, None]):
    """What :func:`sync_iterator` returns: a generator over an asynchronous source.

    ``close()`` closes a generator that has been started, on its loop, and waits for that.
    ``throw()`` raises the exception in the generator and discards what was computed ahead.
    ``send()`` of a value needs ``strict``. It is also a context manager that closes it.
    """

    __slots__ = ("_inner", "_source", "_steps")

    def __init__(self, iterable: Any, size: BatchSize, target: Callable[..., Any]) -> None:
        own = OwnContext()
        source: AsyncSource[T_co, S_contra] = AsyncSource(iterable, size, own)
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
        self._source.closed_by_call = True
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
