"""Proxies of asynchronous objects for synchronous code."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, cast

from bridgekit.adapters.calls import async_to_sync, refuse_on_loop_thread
from bridgekit.adapters.context_managers.to_sync import sync_context_manager
from bridgekit.adapters.iterators.to_sync import sync_iterator
from bridgekit.adapters.proxies.classes import Family, Proxy, ProxyClass
from bridgekit.adapters.proxies.iteration import (
    SyncItems,
    SyncManager,
    next_of,
    portal_items,
)
from bridgekit.adapters.proxies.rules import (
    Colour,
    MemberKind,
    ProxyRules,
    defines,
    kind_of,
    static_member,
)

__all__ = ["SyncFamily", "SyncProxy"]


async def _await_call(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call on the loop and await what has to be awaited."""
    result = call(*args, **kwargs)
    if inspect.isawaitable(result):
        result = await result
    return result


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
                return family.iterate(proxy, functools.partial(bound, *args, **kwargs))
            if kind is MemberKind.CONTEXT_MANAGER:
                return family.manage(proxy, functools.partial(bound, *args, **kwargs))
            if kind in (MemberKind.CALL, MemberKind.AWAITED):
                return family.adopt(family.call_raw(bound, args, kwargs), proxy)
            return family.adopt(bound(*args, **kwargs), proxy)

        return method

    def iterate(self, proxy: Proxy | None, source: Any) -> SyncItems:
        """The items of an asynchronous iterable, or of what a function returns."""
        if self.rules.portal is not None:
            make = source if isinstance(source, functools.partial) else lambda: source
            items: Any = portal_items(self.rules.portal, make)
        else:
            made: Any = sync_iterator(source, strict=self.rules.strict)
            items = made() if callable(made) else made
        return SyncItems(items, lambda item: self.adopt(item, proxy))

    def manage(self, proxy: Proxy | None, source: Any) -> SyncManager:
        """One use of an asynchronous context manager, or of what a function returns."""
        if self.rules.portal is not None:
            manager = source
            if isinstance(source, functools.partial):  # a method's call, not the target itself
                manager = self.call_raw(source, (), {})
            use: Any = self.rules.portal.wrap_async_context_manager(manager)
        else:
            made: Any = sync_context_manager(source)
            use = made() if callable(made) else made
        return SyncManager(use, lambda value: self.adopt(value, proxy))

    def read(self, proxy: Proxy, name: str) -> Any:
        return self.call(proxy, getattr, proxy._bridgekit_target, name)

    def construct(self, cls: ProxyClass, args: Any, kwargs: Any) -> Any:
        return self.call_raw(cls._bridgekit_origin, args, kwargs)

    def special(self, owner: type) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if defines(owner, "__iter__"):
            made["__iter__"] = _at_once("__iter__")
        elif defines(owner, "__anext__"):
            made["__iter__"], made["__next__"] = _itself, _next_item
        elif defines(owner, "__aiter__"):
            made["__iter__"] = _items
        if defines(owner, "__next__"):
            made["__next__"] = _at_once("__next__")
        if defines(owner, "__aenter__") and defines(owner, "__aexit__"):
            made["__enter__"], made["__exit__"] = _enter, _exit
        elif defines(owner, "__enter__"):
            made["__enter__"], made["__exit__"] = _at_once("__enter__"), _at_once("__exit__")
        if defines(owner, "__call__"):
            call = static_member(owner, "__call__")
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
    found, item = family.call_raw(next_of, (self._bridgekit_target,), {})
    if not found:
        raise StopIteration
    return family.adopt(item, self)


def _items(self: Proxy) -> Any:
    return _family(self).iterate(self, self._bridgekit_target)


def _enter(self: Proxy) -> Any:
    family = _family(self)
    use = family.manage(self, self._bridgekit_target)
    value = use.__enter__()
    family.entered(self).push(threading.get_ident(), use)
    return value


def _exit(
    self: Proxy,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
) -> Any:
    use = _family(self).entered(self).pop(threading.get_ident())
    return use.__exit__(exc_type, exc, tb)
