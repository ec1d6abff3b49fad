"""Class hierarchies: bases, method resolution order, subclasses, override families."""

from __future__ import annotations

import ast

from bridgekit_codemods import catalog
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Class, Function

_OWN = frozenset(
    {"__init__", "__new__", "__post_init__", "__init_subclass__", "__class_getitem__", "__del__"}
)
_PROTOCOLS = ("typing.Protocol", "typing_extensions.Protocol")


def link_classes(engine: Inference) -> None:
    """Fill in bases, orders and the subclass table. Call before any instance is looked at."""
    classes = engine.facts.classes
    for cls in classes.values():
        cls.bases = tuple(_base_name(engine, base) for base in cls.node.bases)
    for cls in classes.values():
        cls.mro = _order(cls, classes, ())
    for cls in classes.values():
        for base in cls.bases:
            parent = classes.get(base)
            if parent is not None and parent is not cls:
                engine.subclasses.setdefault(parent, []).append(cls)
    _add_implementers(engine)
    engine.forget()


def _base_name(engine: Inference, node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Starred):
        return "?"
    names = set()
    for ref in engine.types(node):
        if ref.name in ("type", "external"):
            names.add(ref.args[0].name)
        else:
            names.add("?")
    if len(names) == 1:
        return names.pop()
    known = sorted(n for n in names if n in engine.facts.classes)
    # `try: from fast import Base / except ImportError: class Base` gives two
    return known[0] if known and "?" not in names else "?"


def _order(
    cls: Class, classes: dict[str, Class], path: tuple[Class, ...]
) -> tuple[Class | str, ...]:
    """The C3 order; where there is none, depth first without repeats."""
    if cls.mro:
        return cls.mro
    if cls in path:
        return (cls,)
    sequences: list[list[Class | str]] = []
    heads: list[Class | str] = []
    for base in cls.bases:
        parent = classes.get(base)
        heads.append(parent if parent is not None else base)
        if parent is None:
            sequences.append([base])
        else:
            sequences.append(list(_order(parent, classes, (*path, cls))))
    plain = list(dict.fromkeys(c for s in sequences for c in s))
    sequences.append(heads)
    merged: list[Class | str] = [cls]
    sequences = [s for s in sequences if s]
    while sequences:
        for sequence in sequences:
            head = sequence[0]
            if not any(head in s[1:] for s in sequences):
                break
        else:
            return (cls, *plain)
        merged.append(head)
        sequences = [rest for s in sequences if (rest := [c for c in s if c != head])]
    return tuple(merged)


def _add_implementers(engine: Inference) -> None:
    """A class with all methods of a protocol of the program counts as its subclass."""
    for protocol in engine.facts.classes.values():
        if not any(b in _PROTOCOLS for b in protocol.bases):
            continue
        wanted = {n for n in protocol.methods if "#" not in n and not _is_dunder(n)}
        if not wanted:
            continue
        known = engine.subclasses.setdefault(protocol, [])
        for cls in engine.facts.classes.values():
            if cls is protocol or cls in known or any(b in _PROTOCOLS for b in cls.bases):
                continue
            if all(engine.members.find_method(cls, name) is not None for name in wanted):
                known.append(cls)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


class Families:
    """Override families: methods that one call through a base type may reach alike."""

    def __init__(self, engine: Inference) -> None:
        self._parent: dict[Function, Function] = {}
        for cls in engine.facts.classes.values():
            self._join_line([c for c in cls.mro if isinstance(c, Class)])
        for parent, children in engine.subclasses.items():
            for child in children:
                if parent not in child.mro:
                    for name in sorted(parent.methods):
                        method = engine.members.find_method(child, name)
                        if method is not None and not _is_dunder(name):
                            self._join(parent.methods[name], method)
        self._members: dict[Function, list[Function]] = {}
        for fn in self._parent:
            self._members.setdefault(self._root(fn), []).append(fn)

    def _join_line(self, line: list[Class]) -> None:
        first: dict[str, Function] = {}
        for cls in line:
            for name, method in cls.methods.items():
                if name in _OWN or (name.startswith("__") and not _is_dunder(name)):
                    continue
                if name in first:
                    self._join(first[name], method)
                else:
                    first[name] = method

    def _root(self, fn: Function) -> Function:
        while (parent := self._parent.setdefault(fn, fn)) is not fn:
            fn = parent
        return fn

    def _join(self, one: Function, other: Function) -> None:
        first, second = self._root(one), self._root(other)
        if first is not second:
            self._parent[second] = first

    def of(self, fn: Function) -> frozenset[Function]:
        if fn not in self._parent:
            return frozenset({fn})
        return frozenset(self._members[self._root(fn)])


def external_base(fn: Function) -> str | None:
    """The library class in the method's order that is known to declare it."""
    if fn.cls is None:
        return None
    for base in fn.cls.mro[1:]:
        if isinstance(base, str) and catalog.declares(base, fn.name):
            return base
    return None
