"""Proxies of asynchronous objects for synchronous code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, cast

from bridgekit.adapters.calls import async_to_sync, refuse_on_loop_thread
from bridgekit.adapters.proxies_classes import Family, Proxy, ProxyClass
from bridgekit.adapters.proxies_rules import Colour, MemberKind, ProxyRules, kind_of

__all__ = ["SyncFamily", "SyncProxy"]


async def _await_call(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call on the loop and await what has to be awaited."""
    result = call(*args, **kwargs)
    if inspect.isawaitable(result):
        result = await result
    return result


async def _next_of(iterator: Any) -> tuple[bool, Any]:
    try:
        return True, await iterator.__anext__()
    except StopAsyncIteration:
        return False, None


class SyncProxy(Proxy):
    """The base of the classes that ``sync_proxy`` makes."""

    __slots__ = ()


class SyncFamily(Family):
    """Proxies whose methods wait for their target's on its event loop."""

    colour: ClassVar[Colour] = "sync"
    base: ClassVar[type[Proxy]] = SyncProxy

    def __init__(self, rules: ProxyRules) -> None:
        super().__init__(rules)
        self._wait = async_to_sync(_await_call)

    def call_raw(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call on the loop, wait, and nothing else."""
        refuse_on_loop_thread(call, "sync_proxy")
        if self.rules.portal is not None:
            return self.rules.portal.call(_await_call, call, args, kwargs)
        return self._wait(call, args, kwargs)

    def call(
        self, proxy: Proxy | None, bound: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call ``bound`` on the loop by the rules, wait, and adopt what it returns."""
        args, kwargs = self.release_all(args, kwargs)
        return self.adopt(self.call_raw(bound, args, kwargs), proxy)

    def function(
        self, kind: MemberKind, member: Any, resolve: Callable[[Proxy | None], Callable[..., Any]]
    ) -> Callable[..., Any]:
        family = self

        def method(proxy: Proxy | None, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = family.release_all(args, kwargs)
            bound = resolve(proxy)
            if kind is MemberKind.ITERATOR:
                return Items(family, proxy, functools.partial(bound, *args, **kwargs))
            if kind is MemberKind.CONTEXT_MANAGER:
                return Manager(family, proxy, functools.partial(bound, *args, **kwargs))
            if kind in (MemberKind.CALL, MemberKind.AWAITED):
                return family.adopt(family.call_raw(bound, args, kwargs), proxy)
            return family.adopt(bound(*args, **kwargs), proxy)

        return method

    def read(self, proxy: Proxy, name: str) -> Any:
        return self.call(proxy, getattr, proxy._bridgekit_target, name)

    def construct(self, cls: ProxyClass, args: Any, kwargs: Any) -> Any:
        return self.call_raw(cls._bridgekit_origin, args, kwargs)

    def special(self, owner: type) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if hasattr(owner, "__iter__"):
            made["__iter__"] = _at_once("__iter__")
        elif hasattr(owner, "__anext__"):
            made["__iter__"], made["__next__"] = _itself, _next_item
        elif hasattr(owner, "__aiter__"):
            made["__iter__"] = _items
        if hasattr(owner, "__next__"):
            made["__next__"] = _at_once("__next__")
        if hasattr(owner, "__aenter__") and hasattr(owner, "__aexit__"):
            made["__enter__"], made["__exit__"] = _enter, _exit
        elif hasattr(owner, "__enter__"):
            made["__enter__"], made["__exit__"] = _at_once("__enter__"), _at_once("__exit__")
        call = inspect.getattr_static(owner, "__call__", None)
        if call is not None:
            kind = kind_of(owner, "__call__", call, self.rules, self.colour)
            made["__call__"] = self.turn_member(kind, "__call__", call)
        return made


def _family(proxy: Proxy) -> SyncFamily:
    return cast(SyncFamily, type(proxy)._bridgekit_family)


def _at_once(name: str) -> Any:
    def method(self: Proxy, *args: Any) -> Any:
        return _family(self).adopt(getattr(self._bridgekit_target, name)(*args), self)

    return method


def _itself(self: Proxy) -> Any:
    return self


def _next_item(self: Proxy) -> Any:
    family = _family(self)
    found, item = family.call_raw(_next_of, (self._bridgekit_target,), {})
    if not found:
        raise StopIteration
    return family.adopt(item, self)


def _items(self: Proxy) -> Any:
    return Items(_family(self), self, self._bridgekit_target.__aiter__)


def _enter(self: Proxy) -> Any:
    return _family(self).call(self, self._bridgekit_target.__aenter__)


def _exit(
    self: Proxy,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
) -> Any:
    return _family(self).call(self, self._bridgekit_target.__aexit__, exc_type, exc, tb)


class Items:
    """Synchronous iteration over what an asynchronous object's method returns."""

    def __init__(self, family: SyncFamily, proxy: Proxy | None, make: Callable[[], Any]) -> None:
        self._family = family
        self._proxy = proxy
        self._make = make
        self._iterator: Any = None

    def __iter__(self) -> Items:
        return self

    async def _step(self) -> tuple[bool, Any]:
        if self._iterator is None:
            made = self._make()
            if inspect.isawaitable(made):
                made = await made
            self._iterator = aiter(made)
        return await _next_of(self._iterator)

    def __next__(self) -> Any:
        found, item = self._family.call_raw(self._step, (), {})
        if not found:
            raise StopIteration
        return self._family.adopt(item, self._proxy)

    def close(self) -> None:
        """Close the iterator, if it can be closed."""
        iterator, self._iterator = self._iterator, _Nothing()
        if hasattr(iterator, "aclose"):
            self._family.call_raw(iterator.aclose, (), {})


class _Nothing:
    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration


class Manager:
    """Synchronous entering of what an asynchronous object's method returns."""

    def __init__(self, family: SyncFamily, proxy: Proxy | None, make: Callable[[], Any]) -> None:
        self._family = family
        self._proxy = proxy
        self._make = make
        self._manager: Any = None

    async def _enter(self) -> Any:
        self._manager = self._make()
        return await self._manager.__aenter__()

    def __enter__(self) -> Any:
        return self._family.adopt(self._family.call_raw(self._enter, (), {}), self._proxy)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> Any:
        return self._family.call_raw(self._manager.__aexit__, (exc_type, exc, tb), {})
