"""By which rules the members of an object or class are turned over: data, and one decision."""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from typing import Any, Literal

from bridgekit.adapters.portal import BlockingPortal
from bridgekit.engine.affinity import Affinity
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["Colour", "MemberKind", "ProxyRules", "defines", "kind_of", "static_member"]

Colour = Literal["async", "sync"]
"""What the proxy is; its target has the other colour."""

_NAMES = ("plain", "awaited", "iterators", "context_managers")
_MUST_RETURN_AT_ONCE = frozenset(
    {"__len__", "__bool__", "__contains__", "__hash__", "__eq__", "__repr__", "__str__", "__iter__"}
)


class MemberKind(enum.Enum):
    """What a member of the target is on its proxy."""

    CALL = "call"
    """A method: a coroutine function on an async proxy, a blocking one on a sync proxy."""
    NATIVE = "native"
    """A method that has the proxy's colour already; it is called as it is."""
    PLAIN = "plain"
    """A method that neither blocks nor needs the loop; it is called as it is."""
    ITERATOR = "iterator"
    """A method whose result is iterated: with ``async for`` on an async proxy, with ``for``
    on a sync one."""
    CONTEXT_MANAGER = "context manager"
    """A method whose result is entered: with ``async with``, or with ``with``."""
    ATTRIBUTE = "attribute"
    """Data: read at once."""
    AWAITED = "awaited"
    """Data that takes I/O to read: ``await proxy.name``; a sync proxy waits for the value."""
    CLASS = "class"
    """A class inside the class."""


@dataclass(frozen=True)
class ProxyRules:
    """How a proxy treats the members and the results of its target. Equal rules share classes.

    Members are named ``"name"``, or ``"Class.name"`` where only one of the wrapped classes is
    meant (subclasses included).

    :param plain: methods that never block (on a sync proxy: that do not need the loop).
    :param awaited: attributes and properties that do I/O, and ``"__getitem__"`` and its like.
    :param iterators: methods that are no generator functions but whose result is iterated.
    :param context_managers: methods not made by ``contextlib`` whose result is entered.
    :param wrap: results of these classes become proxies too: classes (their subclasses with them),
        or names of modules and packages, meaning every class defined there except exceptions and
        enumerations. The target's own class always is among them.
    :param deep: look for such results in the lists, tuples and dictionaries that calls return, and
        for proxies in those that they are given, one level down.
    :param strict: iterators hand over one item at a time, so that the target's other methods may be
        called in the loop; by default up to a batch is fetched ahead.
    :param affinity, limiter, executor, abandon_on_cancel: of async proxies, as for
        ``sync_to_async``.
    :param serialized: of async proxies: calls on one target and on what it returned never overlap.
    :param portal: of sync proxies: the loop to use, rather than the one ``async_to_sync`` finds.
    :raises ValueError: contradictory rules.
    """

    plain: frozenset[str] = frozenset()
    awaited: frozenset[str] = frozenset()
    iterators: frozenset[str] = frozenset()
    context_managers: frozenset[str] = frozenset()
    wrap: frozenset[type | str] = frozenset()
    deep: bool = False
    strict: bool = False
    affinity: Affinity | None = None
    limiter: CapacityLimiter | None = None
    executor: Executor | None = None
    abandon_on_cancel: bool = False
    serialized: bool = False
    portal: BlockingPortal | None = None

    def __post_init__(self) -> None:
        for field in (*_NAMES, "wrap"):
            value: Iterable[Any] = getattr(self, field)
            if isinstance(value, str):
                raise TypeError(f"{field} must be a collection of names, not the string {value!r}")
            object.__setattr__(self, field, frozenset(value))
        seen: dict[str, str] = {}
        for field in _NAMES:
            for name in getattr(self, field):
                if name in seen:
                    raise ValueError(f"{name!r} is declared both {seen[name]} and {field}")
                seen[name] = field
        refused = sorted(n for n in self.awaited if n.rpartition(".")[2] in _MUST_RETURN_AT_ONCE)
        if refused:
            raise ValueError(f"{', '.join(refused)}: Python does not await what this returns")
        if self.serialized and self.limiter is not None:
            raise ValueError("serialized=True makes a limiter for each target; another was given")

    @classmethod
    def field_names(cls) -> frozenset[str]:
        """The names of all rules."""
        return frozenset(field.name for field in fields(cls))

    def names(self, declared: frozenset[str], owner: type, name: str) -> bool:
        """Whether ``name`` of ``owner`` is in ``declared``, in the short or the qualified form."""
        return name in declared or any(f"{c.__name__}.{name}" in declared for c in owner.__mro__)

    def wraps(self, cls: type) -> bool:
        """Whether results of class ``cls`` become proxies."""
        for entry in self.wrap:
            if isinstance(entry, str):
                module = cls.__module__
                if (module == entry or module.startswith(f"{entry}.")) and not issubclass(
                    cls, (BaseException, enum.Enum)
                ):
                    return True
            elif issubclass(cls, entry):
                return True
        return False


def static_member(owner: type, name: str) -> Any:
    """What ``owner`` or a base defines under ``name``, without binding it.

    A metaclass is not asked: what it defines is no member of the objects.

    :raises AttributeError: none of them does; instances may still have it.
    """
    for cls in owner.__mro__:
        if name in cls.__dict__:
            return cls.__dict__[name]
    raise AttributeError(f"type object {owner.__name__!r} has no attribute {name!r}")


def defines(owner: type, name: str) -> bool:
    """Whether objects of ``owner`` have ``name``; a special method that is None is refused."""
    try:
        return static_member(owner, name) is not None
    except AttributeError:
        return False


def _function(member: Any) -> Any:
    while True:
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        elif isinstance(member, (functools.partialmethod, functools.partial)):
            member = member.func
        else:
            return member


def _is_method(member: Any) -> bool:
    if isinstance(member, (staticmethod, classmethod, functools.partialmethod)):
        return True
    # isroutine also says yes to descriptors such as functools.cached_property.
    return inspect.isroutine(member) and callable(member)


# A function that contextlib.contextmanager made, by the code object it shares with all others.
_MANAGER_CODE = {
    contextlib.contextmanager(iter).__code__,
    contextlib.asynccontextmanager(iter).__code__,  # type: ignore[arg-type]
}


def _is_manager_function(function: Callable[..., Any]) -> bool:
    return getattr(function, "__code__", None) in _MANAGER_CODE


def kind_of(owner: type, name: str, member: Any, rules: ProxyRules, colour: Colour) -> MemberKind:
    """What ``member``, found under ``name`` on ``owner`` or on an instance, is on the proxy."""
    if rules.names(rules.awaited, owner, name):
        return MemberKind.AWAITED
    if rules.names(rules.iterators, owner, name):
        return MemberKind.ITERATOR
    if rules.names(rules.context_managers, owner, name):
        return MemberKind.CONTEXT_MANAGER
    if isinstance(member, type):
        return MemberKind.CLASS
    if not _is_method(member):
        return MemberKind.ATTRIBUTE
    if rules.names(rules.plain, owner, name):
        return MemberKind.PLAIN
    function = _function(member)
    is_manager = _is_manager_function(function)
    # What contextlib made keeps the generator function under it.
    inner = inspect.unwrap(function) if is_manager else function
    is_async = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
    if colour == "async" and is_async:
        return MemberKind.NATIVE
    if colour == "sync" and inspect.isgeneratorfunction(inner):
        return MemberKind.NATIVE
    if is_manager:
        return MemberKind.CONTEXT_MANAGER
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        return MemberKind.ITERATOR
    return MemberKind.CALL
