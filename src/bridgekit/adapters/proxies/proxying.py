"""``async_proxy`` and ``sync_proxy``: whole objects and classes of one colour made into the other.

A proxy stands for its target: ``isinstance`` says so, and what is done to it is done to the
target. Only the colour differs. On an async proxy a method of a blocking client is a coroutine
function that runs the method on a worker thread; on a sync proxy a method of an asynchronous client
waits for it on the event loop. Generator methods, iterators and context managers change sides in
the same way. ``ProxyRules`` says how members are told apart.
"""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from bridgekit.adapters.portal import BlockingPortal
from bridgekit.adapters.proxies.classes import Family, Proxy, target_of
from bridgekit.adapters.proxies.rules import ProxyRules, kind_of
from bridgekit.adapters.proxies.to_async import AsyncFamily, AsyncProxy
from bridgekit.adapters.proxies.to_sync import SyncFamily, SyncProxy
from bridgekit.engine import process
from bridgekit.engine.affinity import Affinity
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["AsyncProxy", "ProxyRules", "SyncProxy", "async_proxy", "sync_proxy", "unwrap"]

_families: weakref.WeakValueDictionary[tuple[type[Family], ProxyRules], Family] = (
    weakref.WeakValueDictionary()
)
_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


process.after_fork(_renew_lock)


def async_proxy(
    target: Any,
    /,
    *,
    rules: ProxyRules | None = None,
    plain: Iterable[str] = (),
    awaited: Iterable[str] = (),
    iterators: Iterable[str] = (),
    context_managers: Iterable[str] = (),
    wrap: Iterable[type | str] = (),
    deep: bool = False,
    strict: bool = False,
    affinity: Affinity | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
    abandon_on_cancel: bool = False,
    serialized: bool = False,
    name: str | None = None,
) -> Any:
    """Turn a synchronous object, class, function or module over to asynchronous code.

    Of a class it makes a class: ``Proxy(...)`` calls the constructor at once and wraps the new
    object; ``await Proxy.create(...)`` does so on a worker thread. Of an object it makes the one
    proxy that the object has under these rules. Nothing is called, and members are looked at only
    when they are first used.

    The parameters are the fields of :class:`ProxyRules`, which see.

    :param rules: all rules at once, instead of the other parameters.
    :param name: the name of a class that is made here.
    :raises TypeError: rules given twice.
    :raises ValueError: contradictory rules.
    """
    given = _rules(
        rules,
        plain=plain,
        awaited=awaited,
        iterators=iterators,
        context_managers=context_managers,
        wrap=wrap,
        deep=deep,
        strict=strict,
        affinity=affinity,
        limiter=limiter,
        executor=executor,
        abandon_on_cancel=abandon_on_cancel,
        serialized=serialized,
    )
    return _proxy(AsyncFamily, target, given, name)


def sync_proxy(
    target: Any,
    /,
    *,
    rules: ProxyRules | None = None,
    plain: Iterable[str] = (),
    awaited: Iterable[str] = (),
    iterators: Iterable[str] = (),
    context_managers: Iterable[str] = (),
    wrap: Iterable[type | str] = (),
    deep: bool = False,
    strict: bool = False,
    portal: BlockingPortal | None = None,
    name: str | None = None,
) -> Any:
    """Turn an asynchronous object, class, function or module over to synchronous code.

    Of a class it makes a class whose constructor calls the original's on the event loop. Methods
    run there too, coroutine functions or not, unless they are declared ``plain``; what has to be
    awaited is awaited. They can be called on any thread that runs no event loop. The loop is the
    one that ``async_to_sync`` finds; where objects are bound to one loop, give its ``portal``.

    No proxy closes anything when it is forgotten: use ``with``, or call the target's closing
    method.

    The parameters are the fields of :class:`ProxyRules`, which see.

    :param rules: all rules at once, instead of the other parameters.
    :param name: the name of a class that is made here.
    :raises TypeError: rules given twice.
    :raises ValueError: contradictory rules.
    """
    given = _rules(
        rules,
        plain=plain,
        awaited=awaited,
        iterators=iterators,
        context_managers=context_managers,
        wrap=wrap,
        deep=deep,
        strict=strict,
        portal=portal,
    )
    return _proxy(SyncFamily, target, given, name)


def unwrap(proxy: Any, /) -> Any:
    """The object, or the class, behind a proxy; anything else as it is."""
    if isinstance(proxy, type) and issubclass(type(proxy), type(Proxy)):
        return getattr(proxy, "_bridgekit_origin", proxy)
    return target_of(proxy)


def _rules(rules: ProxyRules | None, **parts: Any) -> ProxyRules:
    if rules is None:
        return ProxyRules(**parts)
    if any(parts.values()):
        given = ", ".join(sorted(name for name, value in parts.items() if value))
        raise TypeError(f"rules= says it all; {given} was given besides")
    return rules


def _proxy(kind: type[Family], target: Any, rules: ProxyRules, name: str | None) -> Any:
    target = unwrap(target)
    if isinstance(target, type):
        family = _family(kind, replace(rules, wrap=rules.wrap | {target}))
        return family.class_for(target, name, _caller_module())
    if inspect.isroutine(target):
        family = _family(kind, rules)
        owner = type(target)
        title = getattr(target, "__name__", "")
        member = kind_of(owner, title, target, rules, family.colour)
        turned = family.turn(member, None, target)
        turned._bridgekit_family, turned._bridgekit_kind = family, member  # for `bridgekit stubs`
        return turned
    family = _family(kind, replace(rules, wrap=rules.wrap | {type(target)}))
    return family.proxy(target)


def _family(kind: type[Family], rules: ProxyRules) -> Family:
    with _lock:
        family = _families.get((kind, rules))
        if family is None:
            family = _families[(kind, rules)] = kind(rules)
        return family


def _caller_module() -> str:
    frame = sys._getframe(3)
    return str(frame.f_globals.get("__name__", "__main__"))
