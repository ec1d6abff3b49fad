"""Proxies of synchronous objects for asynchronous code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import CoroutineType, TracebackType
from typing import Any, ClassVar, cast

from bridgekit.adapters.calls import sync_to_async
from bridgekit.adapters.context_managers.to_async import async_context_manager
from bridgekit.adapters.iterators.to_async import async_iterator
from bridgekit.adapters.proxies.classes import Family, Proxy, ProxyClass
from bridgekit.adapters.proxies.iteration import AsyncItems, AsyncManager, running_task
from bridgekit.adapters.proxies.rules import (
    Colour,
    MemberKind,
    ProxyRules,
    defines,
    kind_of,
    static_member,
)
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["AsyncFamily", "AsyncProxy"]

_END: Any = object()


def _apply(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return call(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Turn:
    """How calls cross, and the limiter that orders them."""

    limiter: CapacityLimiter | None
    call: Callable[..., Coroutine[Any, Any, Any]]


class AsyncProxy(Proxy):
    """The base of the classes that ``async_proxy`` makes."""

    __slots__ = ()


class AsyncFamily(Family):
    """Proxies whose methods run their target's on a worker thread."""

    colour: ClassVar[Colour] = "async"
    base: ClassVar[type[Proxy]] = AsyncProxy

    def __init__(self, rules: ProxyRules) -> None:
        super().__init__(rules)
        self._shared = self._turn(rules.limiter)

    def _turn(self, limiter: CapacityLimiter | None) -> _Turn:
        rules = self.rules
        call = sync_to_async(
            _apply,
            affinity=rules.affinity,
            limiter=limiter,
            executor=rules.executor,
            abandon_on_cancel=rules.abandon_on_cancel,
        )
        return _Turn(limiter, call)

    def _turn_of(self, proxy: Proxy | None) -> _Turn:
        if not self.rules.serialized or proxy is None:
            return self._shared
        turn: _Turn = self.state(proxy, lambda: self._turn(CapacityLimiter(1)))
        return turn

    def _limiter_of(self, proxy: Proxy | None) -> CapacityLimiter | None:
        return self._turn_of(proxy).limiter

    def relate(self, proxy: Proxy, parent: Proxy) -> None:
        if self.rules.serialized:
            self._turn_of(parent)
            super().relate(proxy, parent)

    async def call(
        self, proxy: Proxy | None, bound: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call ``bound`` on a worker thread by the rules; adopt what it returns."""
        args, kwargs = self.release_all(args, kwargs)
        result = await self.call_raw(proxy, bound, args, kwargs)
        return self.adopt(result, proxy)

    def call_raw(
        self,
        proxy: Proxy | None,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Coroutine[Any, Any, Any]:
        """Call on a worker thread by the rules, and nothing else."""
        return self._turn_of(proxy).call(call, args, kwargs)

    def function(
        self, kind: MemberKind, member: Any, resolve: Callable[[Proxy | None], Callable[..., Any]]
    ) -> Callable[..., Any]:
        family = self
        if kind in (MemberKind.CALL, MemberKind.AWAITED):

            async def call(proxy: Proxy | None, /, *args: Any, **kwargs: Any) -> Any:
                args, kwargs = family.release_all(args, kwargs)
                result = await family.call_raw(proxy, resolve(proxy), args, kwargs)
                if type(result) is CoroutineType:
                    result = await result
                return family.adopt(result, proxy)

            return call
        if kind is MemberKind.NATIVE and inspect.iscoroutinefunction(member):

            async def native(proxy: Proxy | None, /, *args: Any, **kwargs: Any) -> Any:
                args, kwargs = family.release_all(args, kwargs)
                return family.adopt(await resolve(proxy)(*args, **kwargs), proxy)

            return native

        def straight(proxy: Proxy | None, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = family.release_all(args, kwargs)
            bound = resolve(proxy)
            if kind is MemberKind.ITERATOR:
                return family.iterate(proxy, functools.partial(bound, *args, **kwargs))
            if kind is MemberKind.CONTEXT_MANAGER:
                return family.manage(proxy, functools.partial(bound, *args, **kwargs))
            return family.adopt(bound(*args, **kwargs), proxy)

        return straight

    def iterate(self, proxy: Proxy | None, source: Any) -> AsyncItems:
        """The items of an iterable, or of what a function returns."""
        rules = self.rules
        made: Any = async_iterator(
            source,
            strict=rules.strict,
            affinity=rules.affinity,
            limiter=self._limiter_of(proxy),
            executor=rules.executor,
        )
        items: Any = made() if callable(made) else made
        return AsyncItems(items, lambda item: self.adopt(item, proxy))

    def manage(self, proxy: Proxy | None, source: Any) -> AsyncManager:
        """One use of a context manager, or of what a function returns."""
        rules = self.rules
        made: Any = async_context_manager(
            source,
            # Any thread will do elsewhere; here it has to be one, which is the default's promise.
            affinity=None if rules.affinity == "chain" else rules.affinity,
            limiter=self._limiter_of(proxy),
            executor=rules.executor,
        )
        use: Any = made() if callable(made) else made
        return AsyncManager(use, lambda value: self.adopt(value, proxy))

    def read(self, proxy: Proxy, name: str) -> Any:
        return self.call(proxy, getattr, proxy._bridgekit_target, name)

    def construct(self, cls: ProxyClass, args: Any, kwargs: Any) -> Any:
        return cls._bridgekit_origin(*args, **kwargs)

    def special(self, owner: type) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if defines(owner, "__aiter__"):
            made["__aiter__"] = _at_once("__aiter__")
        elif defines(owner, "__next__"):
            # The target is its own iterator: nothing may be fetched ahead of the one item asked
            # for, because other methods of the target go on where the iteration stops.
            made["__aiter__"], made["__anext__"] = _itself, _next_item
        elif defines(owner, "__iter__"):
            made["__aiter__"] = _items
        if defines(owner, "__anext__"):
            made["__anext__"] = _awaited("__anext__")
        if defines(owner, "__aenter__"):
            made["__aenter__"], made["__aexit__"] = _awaited("__aenter__"), _awaited("__aexit__")
        elif defines(owner, "__enter__") and defines(owner, "__exit__"):
            made["__aenter__"], made["__aexit__"] = _enter, _exit
        if defines(owner, "__call__"):
            call = static_member(owner, "__call__")
            kind = kind_of(owner, "__call__", call, self.rules, self.colour)
            made["__call__"] = self.turn_member(kind, "__call__", call)
        if not defines(owner, "create"):
            made["create"] = classmethod(cast(Any, _create))
        return made


async def _create(cls: ProxyClass, /, *args: Any, **kwargs: Any) -> Any:
    """Call the constructor on a worker thread."""
    family = cls._bridgekit_family
    assert isinstance(family, AsyncFamily)
    args, kwargs = family.release_all(args, kwargs)
    target = await family.call_raw(None, cls._bridgekit_origin, args, kwargs)
    return family.proxy(target, cls)


def _family(proxy: Proxy) -> AsyncFamily:
    return cast(AsyncFamily, type(proxy)._bridgekit_family)


def _at_once(name: str) -> Any:
    def method(self: Proxy, *args: Any) -> Any:
        return _family(self).adopt(getattr(self._bridgekit_target, name)(*args), self)

    return method


def _awaited(name: str) -> Any:
    async def method(self: Proxy, *args: Any) -> Any:
        return _family(self).adopt(await getattr(self._bridgekit_target, name)(*args), self)

    return method


def _itself(self: Proxy) -> Any:
    return self


async def _next_item(self: Proxy) -> Any:
    item = await _family(self).call(self, next, self._bridgekit_target, _END)
    if item is _END:
        raise StopAsyncIteration
    return item


def _items(self: Proxy) -> Any:
    return _family(self).iterate(self, self._bridgekit_target)


async def _enter(self: Proxy) -> Any:
    family = _family(self)
    use = family.manage(self, self._bridgekit_target)
    value = await use.__aenter__()
    family.entered(self).push(running_task(), use)
    return value


async def _exit(
    self: Proxy,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
) -> Any:
    use = _family(self).entered(self).pop(running_task())
    return await use.__aexit__(exc_type, exc, tb)
