"""The machinery under ``async_proxy`` and ``sync_proxy``: proxy classes, made member by member.

A *family* is all proxy classes of one colour and one set of rules; it keeps one proxy class for
each exact class of target and one proxy for each target. A proxy class starts with little more
than the special methods that its target's class has (Python looks those up on the class only).
Every other member is turned over when it is first asked for and then stays on the class.
"""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, cast

from bridgekit.adapters.proxies.iteration import Entered
from bridgekit.adapters.proxies.rules import (
    Colour,
    MemberKind,
    ProxyRules,
    defines,
    kind_of,
    static_member,
)
from bridgekit.adapters.proxies.special import PASSED_ON, PROTOCOL, passed_on
from bridgekit.engine import process

__all__ = ["Family", "Proxy", "ProxyClass", "target_of"]

_SIMPLE = (type(None), bool, int, float, str, bytes)

_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


process.after_fork(_renew_lock)


class Family:
    """The proxy classes of one colour and one set of rules, and their proxies."""

    colour: ClassVar[Colour]
    base: ClassVar[type[Proxy]]

    def __init__(self, rules: ProxyRules) -> None:
        self.rules = rules
        # A short cut for the results that most methods have.
        self._plain_results = frozenset(cls for cls in _SIMPLE if not rules.wraps(cls))
        self._classes: dict[type, ProxyClass] = {}
        self._proxies: dict[int, weakref.ref[Proxy]] = {}

    # What the two colours do differently. ``proxy`` is None for members of classes.

    def function(
        self, kind: MemberKind, member: Any, resolve: Callable[[Proxy | None], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """A function of a proxy and the arguments, for the method that ``resolve(proxy)`` gives.

        :param member: the method as its class defines it, or as it was read.
        """
        raise NotImplementedError

    def turn(self, kind: MemberKind, proxy: Proxy | None, bound: Callable[..., Any]) -> Any:
        """The method ``bound`` of a target in the proxy's colour."""
        function = self.function(kind, bound, lambda _: bound)
        turned = functools.partial(function, proxy)
        return functools.update_wrapper(turned, bound, updated=())

    def turn_member(self, kind: MemberKind, name: str, member: Any) -> Any:
        """A function for a proxy class: :meth:`turn` of the target's ``name``, at each call."""
        function = self.function(kind, member, lambda proxy: getattr(target_of(proxy), name))
        functools.update_wrapper(function, member, updated=())
        function.__name__ = name
        return function

    def read(self, proxy: Proxy, name: str) -> Any:
        """The attribute ``name``, declared ``awaited``."""
        raise NotImplementedError

    def special(self, owner: type) -> dict[str, Any]:
        """The special methods of a proxy class that this colour makes in its own way."""
        raise NotImplementedError

    def construct(self, cls: ProxyClass, args: Any, kwargs: Any) -> Any:
        """A new target, for ``ProxyClass(...)``."""
        raise NotImplementedError

    def entered(self, proxy: Proxy) -> Entered:
        """The uses of the proxy's target as a context manager."""
        uses: Entered = self._once(proxy, "_bridgekit_entered", Entered)
        return uses

    def state(self, proxy: Proxy, make: Callable[[], Any]) -> Any:
        """What the proxy shares with those that it returns; made on first use."""
        return self._once(proxy, "_bridgekit_state", make)

    def _once(self, proxy: Proxy, slot: str, make: Callable[[], Any]) -> Any:
        found = object.__getattribute__(proxy, slot)
        if found is None:
            with _lock:
                found = object.__getattribute__(proxy, slot)
                if found is None:
                    found = make()
                    object.__setattr__(proxy, slot, found)
        return found

    # Classes and identities.

    def class_for(self, origin: type, name: str | None = None, module: str | None = None) -> Any:
        """The proxy class of ``origin``."""
        with _lock:
            known = self._classes.get(origin)
            if known is not None:
                return known
            title = name or f"{self.colour.capitalize()}{origin.__name__}"
            namespace: dict[str, Any] = {
                "__slots__": (),
                "__module__": module or origin.__module__,
                "__qualname__": title,
                "__doc__": origin.__doc__,
                "_bridgekit_origin": origin,
                "_bridgekit_family": self,
                **self._special_methods(origin),
            }
            made = ProxyClass(title, (self.base,), namespace)
            self._classes[origin] = made
            return made

    def _special_methods(self, origin: type) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in PASSED_ON:
            if not defines(origin, name):
                if hasattr(origin, name) and getattr(origin, name) is None:
                    found[name] = None  # refused on purpose
                continue
            if self.rules.names(self.rules.awaited, origin, name):
                found[name] = self.turn_member(MemberKind.CALL, name, static_member(origin, name))
            else:
                found[name] = passed_on(name)
        found.update(self.special(origin))
        return found

    def proxy(self, target: Any, cls: ProxyClass | None = None) -> Any:
        """The proxy of ``target``: the one that is alive, else a new one, of class ``cls``."""
        with _lock:
            key = id(target)
            reference = self._proxies.get(key)
            known = reference() if reference is not None else None
            if known is not None:
                return known
            made: Proxy = object.__new__(cast(Any, cls or self.class_for(type(target))))
            object.__setattr__(made, "_bridgekit_target", target)
            object.__setattr__(made, "_bridgekit_state", None)
            object.__setattr__(made, "_bridgekit_entered", None)
            proxies = self._proxies

            def forget(dead: weakref.ref[Proxy]) -> None:
                if proxies.get(key) is dead:
                    del proxies[key]

            proxies[key] = weakref.ref(made, forget)
            return made

    # What crosses.

    def adopt(self, value: Any, parent: Proxy | None) -> Any:
        """A result on its way to the caller: a proxy where the rules say so."""
        if type(value) in self._plain_results:
            return value
        if parent is not None and value is parent._bridgekit_target:
            return parent
        if self._is_wrapped(value):
            proxy = self.proxy(value)
            if parent is not None:
                self.relate(proxy, parent)
            return proxy
        if self.rules.deep:
            kind = type(value)
            if kind is list or kind is tuple:
                if any(self._is_wrapped(item) for item in value):
                    return kind(self.adopt(i, parent) if self._is_wrapped(i) else i for i in value)
            elif kind is dict and any(self._is_wrapped(item) for item in value.values()):
                return {
                    k: self.adopt(v, parent) if self._is_wrapped(v) else v for k, v in value.items()
                }
        return value

    def nested_class(self, value: type) -> type:
        """A class that is a member: its proxy class where the rules wrap its objects."""
        return self.class_for(value) if self.rules.wraps(value) else value

    def _is_wrapped(self, value: Any) -> bool:
        cls = type(value)
        return not issubclass(cls, Proxy) and self.rules.wraps(cls)

    def relate(self, proxy: Proxy, parent: Proxy) -> None:
        """Let a proxy share what belongs to the proxy that returned it."""
        if object.__getattribute__(proxy, "_bridgekit_state") is None:
            state = object.__getattribute__(parent, "_bridgekit_state")
            object.__setattr__(proxy, "_bridgekit_state", state)

    def release(self, value: Any) -> Any:
        """An argument on its way to the target: proxies are replaced by their targets."""
        if issubclass(type(value), Proxy):
            return value._bridgekit_target
        if self.rules.deep:
            kind = type(value)
            if kind is list or kind is tuple:
                if any(issubclass(type(item), Proxy) for item in value):
                    return kind(target_of(item) for item in value)
            elif kind is dict and any(issubclass(type(v), Proxy) for v in value.values()):
                return {k: target_of(v) for k, v in value.items()}
        return value

    def release_all(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """:meth:`release` of all arguments of a call."""
        release = self.release
        if args:
            args = tuple([release(value) for value in args])
        if kwargs:
            kwargs = {name: release(value) for name, value in kwargs.items()}
        return args, kwargs


def target_of(value: Any) -> Any:
    """The target of a proxy; anything else as it is."""
    return value._bridgekit_target if issubclass(type(value), Proxy) else value


class ProxyClass(type):
    """The type of proxy classes: calling one makes a target and wraps it."""

    _bridgekit_origin: type
    _bridgekit_family: Family

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if "__init__" in namespace and "_bridgekit_family" not in namespace and bases != (object,):
            raise TypeError(
                f"{name}: a subclass of a proxy class has no __init__ of its own; the constructor "
                "of the target's class is called"
            )

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        family = cls._bridgekit_family
        args, kwargs = family.release_all(args, kwargs)
        return family.proxy(family.construct(cls, args, kwargs), cls)

    def __getattr__(cls, name: str) -> Any:
        owner = _generated(cls)
        if owner is None or name.startswith("_bridgekit_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        origin, family = owner._bridgekit_origin, owner._bridgekit_family
        try:
            member = static_member(origin, name)
        except AttributeError:
            return family.adopt(getattr(origin, name), None)  # a metaclass may know it
        kind = kind_of(origin, name, member, family.rules, family.colour)
        if kind in (MemberKind.ATTRIBUTE, MemberKind.AWAITED):
            return family.adopt(getattr(origin, name), None)
        if kind is MemberKind.CLASS:
            return family.nested_class(member)
        if isinstance(member, (staticmethod, classmethod)) or inspect.isbuiltin(member):
            turned: Any = staticmethod(family.turn(kind, None, getattr(origin, name)))
        else:
            turned = family.turn_member(kind, name, member)
        setattr(owner, name, turned)
        return getattr(cls, name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        if type.__subclasscheck__(cls, subclass):
            return True
        origin = cls.__dict__.get("_bridgekit_origin")  # not for a class derived by a program
        if origin is None or not isinstance(subclass, ProxyClass):
            return False
        family = getattr(subclass, "_bridgekit_family", None)
        return family is cls._bridgekit_family and issubclass(subclass._bridgekit_origin, origin)

    def __dir__(cls) -> list[str]:
        origin = getattr(cls, "_bridgekit_origin", None)
        return sorted({*type.__dir__(cls), *(dir(origin) if origin is not None else ())})

    def __repr__(cls) -> str:
        return f"<proxy class {cls.__module__}.{cls.__qualname__}>"


class Proxy(metaclass=ProxyClass):
    """What all proxies have in common. Everything else is their target's."""

    __slots__ = ("__weakref__", "_bridgekit_entered", "_bridgekit_state", "_bridgekit_target")

    _bridgekit_origin: ClassVar[type]
    _bridgekit_family: ClassVar[Family]
    _bridgekit_target: Any
    _bridgekit_state: Any
    """What a proxy shares with those that it returns."""
    _bridgekit_entered: Any
    """The uses of the target as a context manager that have not ended."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        # isinstance asks this after the real type, so a proxy passes for its target.
        return type(self._bridgekit_target)

    def __class_getitem__(cls, item: object) -> Any:
        # Parameters of a generic class are for type checkers; see ``bridgekit stubs``.
        cls._bridgekit_origin[item]  # type: ignore[index]
        return cls

    def __getattr__(self, name: str) -> Any:
        # Only for what neither the proxy class nor a base of it has yet.
        if name.startswith("_bridgekit_"):
            raise AttributeError(name)
        target, cls = self._bridgekit_target, type(self)
        family = cls._bridgekit_family
        origin = type(target)
        if name in PROTOCOL[family.colour]:
            raise AttributeError(
                f"{cls.__name__!r} has no {name}: use {PROTOCOL[family.colour][name]}"
            )
        try:
            member = static_member(origin, name)
        except AttributeError:
            return self._of_instance(family, origin, name)
        kind = kind_of(origin, name, member, family.rules, family.colour)
        if kind is MemberKind.AWAITED:
            return family.read(self, name)
        if kind is MemberKind.ATTRIBUTE:
            return family.adopt(getattr(target, name), self)
        if kind is MemberKind.CLASS:
            return getattr(cls, name)
        if isinstance(member, (staticmethod, classmethod)):
            return family.turn(kind, self, getattr(target, name))
        owner = _generated(cls)
        # A target may be of a subclass, as every pathlib.Path is.
        if (
            owner is not None
            and defines(owner._bridgekit_origin, name)
            and static_member(owner._bridgekit_origin, name) is member
        ):
            setattr(owner, name, family.turn_member(kind, name, member))
            return getattr(self, name)
        return family.turn(kind, self, getattr(target, name))

    def _of_instance(self, family: Family, origin: type, name: str) -> Any:
        if family.rules.names(family.rules.awaited, origin, name):
            return family.read(self, name)
        value = getattr(self._bridgekit_target, name)
        kind = kind_of(origin, name, value, family.rules, family.colour)
        if kind is MemberKind.CLASS:
            return family.nested_class(value)
        if kind is MemberKind.ATTRIBUTE:
            return family.adopt(value, self)
        return family.turn(kind, self, value)

    def __setattr__(self, name: str, value: Any) -> None:
        target, family = self._bridgekit_target, type(self)._bridgekit_family
        self._refuse_awaited(name)
        descriptor = inspect.getattr_static(type(self), name, None)
        if hasattr(type(descriptor), "__set__") and not name.startswith("_bridgekit_"):
            object.__setattr__(self, name, value)  # a property that a subclass defines
        else:
            setattr(target, name, family.release(value))

    def __delattr__(self, name: str) -> None:
        self._refuse_awaited(name)
        delattr(self._bridgekit_target, name)

    def _refuse_awaited(self, name: str) -> None:
        rules, target = type(self)._bridgekit_family.rules, self._bridgekit_target
        if rules.names(rules.awaited, type(target), name):
            raise AttributeError(
                f"{name!r} is declared awaited, and an assignment cannot be awaited; call "
                f"setattr or delattr on unwrap(proxy) where blocking is allowed"
            )

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._bridgekit_target)})

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} of {self._bridgekit_target!r}>"

    def __str__(self) -> str:
        return str(self._bridgekit_target)

    def __format__(self, spec: str) -> str:
        return format(self._bridgekit_target, spec)

    def __eq__(self, other: object) -> Any:
        return self._bridgekit_target == target_of(other)

    def __ne__(self, other: object) -> Any:
        return self._bridgekit_target != target_of(other)

    def __hash__(self) -> int:
        return hash(self._bridgekit_target)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(
            f"a {type(self).__qualname__} can neither be pickled nor copied: it stands for one "
            "object of this process; pickle or copy unwrap(proxy)"
        )


def _generated(cls: ProxyClass) -> ProxyClass | None:
    """The class that the family made; ``cls`` may be one that a program derived from it."""
    for base in cls.__mro__:
        if "_bridgekit_family" in base.__dict__:
            return cast(ProxyClass, base)
    return None
