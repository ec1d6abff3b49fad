"""``async_iterator``: synchronous iterators and generators, consumed with ``async for``.

The items are made on worker threads and brought over in batches. A batch begins with one item
and doubles as long as it is made within the time budget, so the first item is as early as
without batches, and a fast generator costs next to nothing per item.

Invariants:

* the source runs only while its consumer waits for it, and on one thread at a time: never beside
  the code of the consumer's loop body;
* at most one batch is computed ahead of the consumer; with ``strict`` nothing is;
* a batch ends where the source changes a context variable, so the consumer sees with each item the
  values that the source had set for it;
* an exception of the source is raised after the items before it;
* a started generator is closed on a worker thread as soon as its consumer closes, is cancelled,
  fails or is collected.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from concurrent.futures import Executor
from types import AsyncGeneratorType, TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from bridgekit.adapters.iterators.batches import (
    DEFAULT_BATCH,
    DEFAULT_BUDGET,
    BatchSize,
    as_exception,
    needs_strict,
)
from bridgekit.adapters.iterators.sync_source import SyncSource
from bridgekit.adapters.steps.on_thread import ThreadSteps
from bridgekit.engine.affinity import Affinity
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["AsyncIteratorAdapter", "async_iterator"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)


async def _consume(source: SyncSource[T, S, R], steps: ThreadSteps) -> AsyncGenerator[T, S]:
    """The asynchronous side, a generator of its own so that the loop's hooks look after it."""
    try:
        items = await steps.run(source.next_batch)
        while True:
            for item in items:
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:
                    items = await steps.run(functools.partial(source.throw, error))
                    break
                if sent is not None:
                    if not source.is_strict:
                        raise needs_strict("asend", "async_iterator")
                    items = await steps.run(functools.partial(source.send, sent))
                    break
            else:
                steps.own.give_back_rest()
                if source.held:
                    items, source.held = source.held, []
                    continue
                if source.ended:
                    source.raise_error()
                    return
                items = await steps.run(source.next_batch)
    finally:
        if not source.ended:
            await steps.run_in_any_case(source.close)


class AsyncIteratorAdapter(AsyncGenerator[T_co, S_contra], Generic[T_co, S_contra, R]):
    """What :func:`async_iterator` returns: an asynchronous generator over a synchronous source.

    ``aclose()`` closes a generator that has been started, on a worker thread. ``athrow()`` raises
    the exception in the generator and discards what was computed ahead. ``asend()`` of a value
    needs ``strict``. It is also an asynchronous context manager that closes it.
    """

    __slots__ = ("_inner", "_source", "_steps")

    def __init__(self, source: SyncSource[T_co, S_contra, R], steps: ThreadSteps) -> None:
        self._source = source
        self._steps = steps
        self._inner = cast("AsyncGeneratorType[T_co, S_contra]", _consume(source, steps))

    @property
    def value(self) -> R | None:
        """What the generator returned (the value of its ``StopIteration``); None before that."""
        return self._source.value

    def __aiter__(self) -> AsyncGenerator[T_co, S_contra]:
        return self._inner  # one Python call less for each item than to go through this object

    async def __anext__(self) -> T_co:
        return await self._inner.__anext__()

    async def asend(self, value: S_contra, /) -> T_co:
        if value is not None and not self._source.is_strict:
            raise needs_strict("asend", "async_iterator")
        return await self._inner.asend(value)

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> T_co:
        error = as_exception(typ, val, tb)
        if self._inner.ag_frame is None:
            raise error  # as an ended generator does; an asynchronous one would say nothing
        return await self._inner.athrow(error)

    async def aclose(self) -> None:
        await self._inner.aclose()
        if self._source.is_unopened:  # then the line above has run nothing
            await self._steps.run_in_any_case(self._source.close)

    async def __aenter__(self) -> AsyncIteratorAdapter[T_co, S_contra, R]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Decorator(Protocol):
    @overload
    def __call__(
        self, source: Callable[P, Generator[T, S, R]], /
    ) -> Callable[P, AsyncIteratorAdapter[T, S, R]]: ...

    @overload
    def __call__(
        self, source: Callable[P, Iterable[T]], /
    ) -> Callable[P, AsyncIteratorAdapter[T, Any, Any]]: ...


@overload
def async_iterator(
    source: Generator[T, S, R],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> AsyncIteratorAdapter[T, S, R]: ...


@overload
def async_iterator(
    source: Iterable[T],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> AsyncIteratorAdapter[T, Any, Any]: ...


@overload
def async_iterator(
    source: Callable[P, Generator[T, S, R]],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> Callable[P, AsyncIteratorAdapter[T, S, R]]: ...


@overload
def async_iterator(
    source: Callable[P, Iterable[T]],
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> Callable[P, AsyncIteratorAdapter[T, Any, Any]]: ...


@overload
def async_iterator(
    source: None = None,
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> _Decorator: ...


def async_iterator(
    source: Any = None,
    /,
    *,
    strict: bool = False,
    batch: int = DEFAULT_BATCH,
    budget: float = DEFAULT_BUDGET,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> Any:
    """Consume a synchronous iterable, iterator or generator from asynchronous code.

    Also for a function that returns one (a generator function above all): the result is then a
    function with the same parameters. The source's code always runs on worker threads, one step
    at a time and all steps in one context; variables that it sets are visible to the consumer and
    the other way round.

    Batches: the source may be up to one batch ahead of the consumer, and an item may be held back
    until the rest of its batch is there. For a source that waits for events, or whose side effects
    must not be early, say ``strict=True``.

    A cancellation while a step runs on a thread is raised when the step has ended, and the
    generator is closed before.

    :param strict: one item at a time; nothing is computed ahead. The same as ``batch=1``.
    :param batch: the most items in a batch.
    :param budget: seconds. No further item is begun in a batch after that time.
    :param affinity: the thread of each step, as for ``to_thread.run_sync``. ``"context"``: one and
        the same thread for all steps.
    :param limiter: a token of it is held while a batch is made, not between batches.
    :param executor: run the steps in this executor's threads instead.
    :raises ValueError: ``batch`` is less than one, or an executor together with an affinity.
    :raises TypeError: ``source`` is not iterable and not a function, or it is asynchronous.
    """
    options: dict[str, Any] = {
        "batch": 1 if strict else batch,
        "budget": budget,
        "affinity": affinity,
        "limiter": limiter,
        "executor": executor,
    }
    if source is None:
        return functools.partial(_adapt, **options)
    return _adapt(source, **options)


def _adapt(source: Any, /, *, batch: int, budget: float, **options: Any) -> Any:
    if isinstance(source, (staticmethod, classmethod)):
        return type(source)(_adapt(source.__func__, batch=batch, budget=budget, **options))

    def adapter(iterable: Any) -> AsyncIteratorAdapter[Any, Any, Any]:
        size = BatchSize(batch, budget)
        # The engine tells by this which steps take long: a batch does, a single item may not.
        kind = getattr(iterable, "gi_code", type(iterable)), size.is_strict
        steps = ThreadSteps(kind, **options)
        return AsyncIteratorAdapter(SyncSource(iterable, size, steps.own), steps)

    if not isinstance(source, type) and isinstance(source, Iterable):
        return adapter(source)
    if isinstance(source, AsyncIterable) or (
        inspect.isasyncgenfunction(source) or inspect.iscoroutinefunction(source)
    ):
        raise TypeError("async_iterator: the source is asynchronous already")
    if not callable(source):
        raise TypeError(f"async_iterator: {type(source).__name__!r} object is not iterable")
    # Options that make no sense fail here, not at the first call.
    BatchSize(batch, budget)
    ThreadSteps(None, **options)
    call = cast("Callable[..., Iterable[Any]]", source)
    makes_generator = inspect.isgeneratorfunction(source)

    @functools.wraps(source)
    def wrapper(*args: Any, **kwargs: Any) -> AsyncIteratorAdapter[Any, Any, Any]:
        if makes_generator:
            # Runs none of its code; wrong arguments are refused here, as by the function itself.
            return adapter(call(*args, **kwargs))
        return adapter(functools.partial(call, *args, **kwargs))

    return wrapper
