"""``functools.lru_cache`` for asynchronous functions."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypedDict, TypeVar, cast, overload
from weakref import WeakKeyDictionary

__all__ = ["AsyncCached", "CacheInfo", "CacheParameters", "async_lru_cache"]

P = ParamSpec("P")
T = TypeVar("T")


class CacheInfo(NamedTuple):
    """As ``functools.lru_cache`` reports it. Joining a call under way counts as a hit."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class CacheParameters(TypedDict):
    """As ``functools.lru_cache`` reports it."""

    maxsize: int | None
    typed: bool


class AsyncCached(Protocol[P, T]):
    """A cached asynchronous function: the interface of ``functools.lru_cache``."""

    __wrapped__: Callable[P, Coroutine[Any, Any, T]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_parameters(self) -> CacheParameters: ...


class _Call(Generic[T]):
    """A call under way, shared by all callers on one loop that want the same key."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class _Cache(Generic[T]):
    """Results are shared by all loops and threads; calls under way belong to one loop.

    Invariant: ``_lock`` is held for every access to the maps and never across an await.
    """

    def __init__(self, func: Callable[..., Coroutine[Any, Any, T]], maxsize: int | None) -> None:
        self._func = func
        self._maxsize = maxsize
        self._lock = threading.Lock()
        self._results: OrderedDict[Hashable, T] = OrderedDict()
        self._calls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Call[T]]] = (
            WeakKeyDictionary()
        )
        self._hits = 0
        self._misses = 0
        self._epoch = 0

    def info(self) -> CacheInfo:
        with self._lock:
            return CacheInfo(self._hits, self._misses, self._maxsize, len(self._results))

    def clear(self) -> None:
        """Forget results and counts. A call under way still answers its own callers."""
        with self._lock:
            self._results.clear()
            self._calls.clear()
            self._hits = self._misses = 0
            self._epoch += 1

    async def get(self, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        loop = asyncio.get_running_loop()
        with self._lock:
            if key in self._results:
                self._hits += 1
                self._results.move_to_end(key)
                return self._results[key]
            calls = self._calls.setdefault(loop, {})
            call = calls.get(key)
            if call is None:
                self._misses += 1
                task = loop.create_task(self._fill(key, args, kwargs, self._epoch))
                call = calls[key] = _Call(task)
                task.add_done_callback(functools.partial(self._ended, calls, key, call))
            else:
                self._hits += 1
        return await self._join(calls, key, call)

    async def _fill(
        self, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any], epoch: int
    ) -> T:
        result = await self._func(*args, **kwargs)
        with self._lock:
            if self._epoch == epoch and self._maxsize != 0:
                self._results[key] = result
                self._results.move_to_end(key)
                if self._maxsize is not None and len(self._results) > self._maxsize:
                    self._results.popitem(last=False)
        return result

    def _ended(
        self,
        calls: dict[Hashable, _Call[T]],
        key: Hashable,
        call: _Call[T],
        task: asyncio.Task[T],
    ) -> None:
        self._drop(calls, key, call)
        if not task.cancelled():
            task.exception()  # the last caller may have gone; then nobody else asks for it

    def _drop(self, calls: dict[Hashable, _Call[T]], key: Hashable, call: _Call[T]) -> None:
        with self._lock:
            if calls.get(key) is call:
                del calls[key]

    async def _join(self, calls: dict[Hashable, _Call[T]], key: Hashable, call: _Call[T]) -> T:
        call.waiting += 1
        try:
            if not call.task.done():
                await asyncio.wait((call.task,))
        finally:
            call.waiting -= 1
            if call.waiting == 0 and not call.task.done():
                # Every caller has been cancelled; a new one must not join a dying call.
                self._drop(calls, key, call)
                call.task.cancel()
        return call.task.result()


@overload
def async_lru_cache(maxsize: Callable[P, Coroutine[Any, Any, T]], /) -> AsyncCached[P, T]: ...


@overload
def async_lru_cache(
    maxsize: int | None = 128, typed: bool = False
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], AsyncCached[P, T]]: ...


def async_lru_cache(
    maxsize: int | Callable[..., Coroutine[Any, Any, Any]] | None = 128, typed: bool = False
) -> Any:
    """Cache what an asynchronous function returns, by its arguments, least recently used first out.

    The interface is that of ``functools.lru_cache``. Results are cached, not coroutines; an
    exception is not cached. Callers that want the same key at the same time on one loop share one
    call, which runs in a task of its own: cancelling one caller does not disturb the others, and
    cancelling all of them cancels the call. Results may be shared by several event loops, so do
    not cache what is bound to one (connections, locks, clients).

    :raises TypeError: the decorated object is not callable, or an argument is not hashable.
    """
    if callable(maxsize):
        return async_lru_cache(128, typed)(maxsize)
    size = None if maxsize is None else max(0, maxsize)

    def decorate(func: Callable[P, Coroutine[Any, Any, T]]) -> AsyncCached[P, T]:
        if not callable(func):
            raise TypeError("async_lru_cache decorates a function")
        cache = _Cache(func, size)

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await cache.get(_key(args, kwargs, typed), args, kwargs)

        functools.update_wrapper(wrapper, func)
        cached = cast(Any, wrapper)
        cached.cache_info = cache.info
        cached.cache_clear = cache.clear
        cached.cache_parameters = lambda: CacheParameters(maxsize=size, typed=typed)
        return cast("AsyncCached[P, T]", cached)

    return decorate


def _key(args: tuple[Any, ...], kwargs: dict[str, Any], typed: bool) -> Hashable:
    # The very keys of functools.lru_cache, so that both caches tell arguments apart alike.
    return functools._make_key(args, kwargs, typed)
