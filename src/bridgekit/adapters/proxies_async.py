"""Proxies of synchronous objects for asynchronous code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ClassVar, cast

from bridgekit.adapters.calls import sync_to_async
from bridgekit.adapters.proxies_classes import Family, Proxy, ProxyClass
from bridgekit.adapters.proxies_rules import Colour, MemberKind, ProxyRules, kind_of
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["AsyncFamily", "AsyncProxy"]

_END: Any = object()


def _apply(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return call(*args, **kwargs)


class AsyncProxy(Proxy):
    """The base of the classes that ``async_proxy`` makes."""

    __slots__ = ()


class AsyncFamily(Family):
    """Proxies whose methods run their target's on a worker thread."""

    colour: ClassVar[Colour] = "async"
    base: ClassVar[type[Proxy]] = AsyncProxy

    def __init__(self, rules: ProxyRules) -> None:
        super().__init__(rules)
        self._shared = self._caller(rules.limiter)

    def _caller(self, limiter: CapacityLimiter | None) -> Callable[..., Coroutine[Any, Any, Any]]:
        rules = self.rules
        return sync_to_async(
            _apply,
            affinity=rules.affinity,
            limiter=limiter,
            executor=rules.executor,
            abandon_on_cancel=rules.abandon_on_cancel,
        )

    def _caller_of(self, proxy: Proxy | None) -> Callable[..., Coroutine[Any, Any, Any]]:
        if not self.rules.serialized or proxy is None:
            return self._shared
        state: Any = proxy._bridgekit_state
        if state is None:
            state = self._caller(CapacityLimiter(1))
            object.__setattr__(proxy, "_bridgekit_state", state)
        return state  # type: ignore[no-any-return]

    def relate(self, proxy: Proxy, parent: Proxy) -> None:
        if self.rules.serialized:
            self._caller_of(parent)
            super().relate(proxy, parent)

    async def call(
        self, proxy: Proxy | None, bound: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call ``bound`` on a worker thread by the rules; adopt what it returns."""
        args, kwargs = self.release_all(args, kwargs)
        result = await self.call_raw(proxy, bound, args, kwargs)
        if inspect.iscoroutine(result):
            result = await result
        return self.adopt(result, proxy)

    def call_raw(
        self,
        proxy: Proxy | None,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Coroutine[Any, Any, Any]:
        """Call on a worker thread by the rules, and nothing else."""
        return self._caller_of(proxy)(call, args, kwargs)

    def function(
        self, kind: MemberKind, member: Any, resolve: Callable[[Proxy | None], Callable[..., Any]]
    ) -> Callable[..., Any]:
        family = self
        if kind in (MemberKind.CALL, MemberKind.AWAITED):

            async def call(proxy: Proxy | None, /, *args: Any, **kwargs: Any) -> Any:
                return await family.call(proxy, resolve(proxy), *args, **kwargs)

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
                return Items(family, proxy, functools.partial(bound, *args, **kwargs))
            if kind is MemberKind.CONTEXT_MANAGER:
                return Manager(family, proxy, functools.partial(bound, *args, **kwargs))
            return family.adopt(bound(*args, **kwargs), proxy)

        return straight

    def read(self, proxy: Proxy, name: str) -> Any:
        return self.call(proxy, getattr, proxy._bridgekit_target, name)

    def construct(self, cls: ProxyClass, args: Any, kwargs: Any) -> Any:
        return cls._bridgekit_origin(*args, **kwargs)

    def special(self, owner: type) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if hasattr(owner, "__aiter__"):
            made["__aiter__"] = _at_once("__aiter__")
        elif hasattr(owner, "__next__"):
            # The target is its own iterator: nothing may be fetched ahead of the one item asked
            # for, because other methods of the target go on where the iteration stops.
            made["__aiter__"], made["__anext__"] = _itself, _next_item
        elif hasattr(owner, "__iter__"):
            made["__aiter__"] = _items
        if hasattr(owner, "__anext__"):
            made["__anext__"] = _awaited("__anext__")
        if hasattr(owner, "__aenter__"):
            made["__aenter__"], made["__aexit__"] = _awaited("__aenter__"), _awaited("__aexit__")
        elif hasattr(owner, "__enter__") and hasattr(owner, "__exit__"):
            made["__aenter__"], made["__aexit__"] = _enter, _exit
        call = inspect.getattr_static(owner, "__call__", None)
        if call is not None:
            kind = kind_of(owner, "__call__", call, self.rules, self.colour)
            made["__call__"] = self.turn_member(kind, "__call__", call)
        if not hasattr(owner, "create"):
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
    return Items(_family(self), self, functools.partial(iter, self._bridgekit_target))


async def _enter(self: Proxy) -> Any:
    return await _family(self).call(self, self._bridgekit_target.__enter__)


async def _exit(
    self: Proxy,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
) -> Any:
    return await _family(self).call(self, self._bridgekit_target.__exit__, exc_type, exc, tb)


class Items:
    """Asynchronous iteration over what a synchronous call returns; the call is the first step."""

    def __init__(self, family: AsyncFamily, proxy: Proxy | None, make: Callable[[], Any]) -> None:
        self._family = family
        self._proxy = proxy
        self._make = make
        self._iterator: Any = None

    def __aiter__(self) -> Items:
        return self

    def _step(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._make())
        return next(self._iterator, _END)

    async def __anext__(self) -> Any:
        item = await self._family.call(self._proxy, self._step)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Close the iterator, if it can be closed; it then has no more items."""
        iterator, self._iterator = self._iterator, iter(())
        if hasattr(iterator, "close"):
            await self._family.call(self._proxy, iterator.close)


class Manager:
    """Asynchronous entering of what a synchronous call returns; the call is part of it."""

    def __init__(self, family: AsyncFamily, proxy: Proxy | None, make: Callable[[], Any]) -> None:
        self._family = family
        self._proxy = proxy
        self._make = make
        self._manager: Any = None

    def _enter(self) -> Any:
        self._manager = self._make()
        return self._manager.__enter__()

    async def __aenter__(self) -> Any:
        return await self._family.call(self._proxy, self._enter)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> Any:
        return await self._family.call(self._proxy, self._manager.__exit__, exc_type, exc, tb)
