"""Calls that stand nowhere in the text: special methods and overrides that run without being named.

    5 in [order]          asks `Order.__eq__` of what is in the list
    {order: 1}            asks `Order.__hash__`
    json.dumps(x, cls=E)  calls the methods of the library that `E` overrides

Operators on values of the program's own classes, and reading their attributes, are call sites of
the program model already. What is here is coarser, and only looked for where such a method may
wait: nearly no program has one.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.bridges import is_thread_bridge
from bridgekit_codemods.program.calls import CallKind, CallSite, Target
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import TypeRef, Types

# Called where they can be seen (`A()`, `with`, `for`, the reading of a property), or at no place in
# particular (`__del__`, see `anytime`).
_SEEN = frozenset(
    {"__init__", "__new__", "__post_init__", "__enter__", "__exit__", "__aenter__", "__aexit__",
     "__aiter__", "__anext__", "__del__", "__set_name__", "__iter__", "__next__"}
)  # fmt: skip
_COMPARED = frozenset({"__eq__", "__ne__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__"})
_OPAQUE = frozenset(
    {"type", "module", "namespace", "function", "external", "super", "lambda", "coroutine"}
)
# Library calls that call no method of what they are given.
_DEAF = frozenset(
    {"builtins.isinstance", "builtins.issubclass", "builtins.id", "builtins.type",
     "builtins.callable", "builtins.super", "typing.cast"}
)  # fmt: skip
_LAZY = frozenset(f"builtins.{name}" for name in ("map", "filter", "zip", "enumerate", "iter"))
_KEEPING = frozenset({"append", "appendleft", "extend", "insert", "clear", "popleft"})
# These call what is overridden in a thread or a process of their own; unittest before and after the
# test, and not in what the test calls.
_ELSEWHERE = ("threading.", "multiprocessing.", "socketserver.", "http.server.", "unittest.")
Methods = dict[str, Function]


def waiting(program: Program, facades: Iterable[Function]) -> frozenset[Function]:
    """The sync functions that may wait, as far as named calls alone tell."""
    found = set(facades)
    for site in program.calls:
        if site.caller is None or site.awaited or site.caller.is_async:
            continue
        if any(blocking(dotted) is not None for dotted in site.externals):
            found.add(site.caller)
    pending = list(found)
    while pending:
        for site in program.callers_of(pending.pop()):
            caller = site.caller
            if caller is None or caller.is_async or caller in found or site.kind == "decorator":
                continue
            found.add(caller)
            pending.append(caller)
    return frozenset(found)


def implicit_sites(program: Program, waits: Collection[Function]) -> dict[Function, list[CallSite]]:
    """By function, the places where one of `waits` may run without being named."""
    hazards = _Hazards(program, waits)
    found: dict[Function, list[CallSite]] = defaultdict(list)
    if not hazards:
        return found
    known = {
        (site.path, site.span, target.function)
        for site in program.calls
        if site.kind in ("property", "operator")
        for target in site.targets
    }
    for function in program.functions.values():
        for node, kind, reached in _Search(program, hazards, function).all():
            span = program.files[function.path].span(node)
            targets = [fn for fn in reached if (function.path, span, fn) not in known]
            if targets:
                found[function].append(_site(program, function, node, kind, targets))
    for site in program.calls:
        if site.caller is not None and site.kind == "call" and site.externals and not site.targets:
            targets = _by_library(program, hazards, site)
            if targets:
                when: CallKind = "iter" if _is_lazy(site) else "hidden"
                found[site.caller].append(_site(program, site.caller, site.node, when, targets))
    return found


def _is_lazy(site: CallSite) -> bool:
    """Says whether what the call gives does its work when it is iterated."""
    return any(dotted in _LAZY or dotted.startswith("itertools.") for dotted in site.externals)


def _site(
    program: Program, function: Function, node: ast.AST, kind: CallKind, targets: Iterable[Function]
) -> CallSite:
    ordered = sorted(set(targets), key=lambda fn: fn.qualname)
    return CallSite(
        path=function.path,
        span=program.files[function.path].span(node),
        node=node,
        kind=kind,
        caller=function,
        targets=tuple(Target(fn, "method", "the language calls it") for fn in ordered),
        externals=(),
        name=ordered[0].name,
    )


class _Hazards:
    """The methods that may wait and are called without being named, by class."""

    def __init__(self, program: Program, waits: Collection[Function]) -> None:
        self.special: dict[str, Methods] = {}
        self.overriding: dict[str, Methods] = {}
        self.members: dict[str, Methods] = {}
        """What attributes of the class are: `functools.partialmethod` of a function."""
        risky = {fn.cls.qualname for fn in waits if fn.cls is not None}
        for cls in program.classes.values() if risky else ():
            if any(isinstance(line, Class) and line.qualname in risky for line in cls.mro):
                self._add(program, cls, waits)

    def __bool__(self) -> bool:
        return bool(self.special or self.overriding or self.members)

    def _add(self, program: Program, cls: Class, waits: Collection[Function]) -> None:
        names = {name for line in cls.mro if isinstance(line, Class) for name in line.methods}
        for name in names:
            method = next(
                line.methods[name]
                for line in cls.mro
                if isinstance(line, Class) and name in line.methods
            )
            if method not in waits or name in _SEEN or "#" in name:
                continue
            base = program.overrides_external(method)
            if name.startswith("__") and name.endswith("__"):
                table = self.special
            elif base is not None and not base.startswith(_ELSEWHERE):
                table = self.overriding
            else:
                continue
            for line in cls.mro:  # a value of a base class may be one of this class
                if isinstance(line, Class):
                    table.setdefault(line.qualname, {}).setdefault(name, method)
        for line in cls.mro:
            if isinstance(line, Class):
                for name, method in _partial_methods(program, line):
                    if method in waits:
                        self.members.setdefault(cls.qualname, {})[name] = method


def _partial_methods(program: Program, cls: Class) -> Iterator[tuple[str, Function]]:
    """`q = functools.partialmethod(p, 1)` in the body of a class."""
    for statement in cls.node.body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(
                    func=ast.Name() | ast.Attribute() as maker, args=[ast.Name(id=given), *_]
                ),
            ) if program.resolve(cls.path, maker) == "functools.partialmethod":
                method = cls.methods.get(given)
                if method is not None:
                    yield name, method
            case _:
                pass


def _by_library(program: Program, hazards: _Hazards, site: CallSite) -> list[Function]:
    """The methods of the program that a library call may call on what it is given."""
    node = site.node
    assert isinstance(node, ast.Call)
    if _DEAF.issuperset(site.externals) or any(map(is_thread_bridge, site.externals)):
        return []
    found: list[Function] = []
    for ref in site.receiver:
        found += hazards.overriding.get(ref.name, {}).values()
    if site.name in _KEEPING and all(dotted.startswith("builtins.") for dotted in site.externals):
        return found
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    for argument in given:
        value = argument.value if isinstance(argument, ast.Starred) else argument
        for name in _mentioned(program.type_of(site.path, value), classes=True):
            found += hazards.overriding.get(name, {}).values()
            found += hazards.special.get(name, {}).values()
    return found


def _mentioned(types: Types, *, classes: bool = False) -> Iterator[str]:
    """The names of the classes of which a value is, or holds, an instance (or is the class)."""
    for ref in types:
        yield from _mentioned_by(ref, classes)


def _mentioned_by(ref: TypeRef, classes: bool) -> Iterator[str]:
    if ref.name == "type" and classes and ref.args:
        yield ref.args[0].name
    if ref.name in _OPAQUE:
        return
    yield ref.name
    for inner in ref.args:
        yield from _mentioned_by(inner, False)


class _Search:
    """Looks through the expressions of one function."""

    def __init__(self, program: Program, hazards: _Hazards, function: Function) -> None:
        self._program = program
        self._hazards = hazards
        self._function = function

    def all(self) -> Iterator[tuple[ast.AST, CallKind, list[Function]]]:
        pending: list[ast.AST] = list(self._function.node.body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                pending += [*node.decorator_list, *node.args.defaults]
                pending += [default for default in node.args.kw_defaults if default is not None]
                continue
            targets = list(self._reached(node))
            if targets:
                yield node, "operator", targets
            pending.extend(ast.iter_child_nodes(node))

    def _types(self, node: ast.expr) -> Types:
        return self._program.type_of(self._function.path, node)

    def _deep(self, node: ast.expr, names: Collection[str]) -> Iterator[Function]:
        for owner in _mentioned(self._types(node)):
            for name, method in self._hazards.special.get(owner, {}).items():
                if name in names:
                    yield method

    def _reached(self, node: ast.AST) -> Iterator[Function]:
        match node:
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Compare(left=left, comparators=others):
                for operand in (left, *others):
                    yield from self._deep(operand, _COMPARED)
            case ast.Dict(keys=keys):
                for key in keys:
                    if key is not None:
                        yield from self._deep(key, _COMPARED)
            case ast.Set(elts=elements):
                for element in elements:
                    yield from self._deep(element, _COMPARED)
            case ast.DictComp(key=key) | ast.SetComp(elt=key):
                yield from self._deep(key, _COMPARED)
            case ast.Subscript(value=value, slice=index):
                yield from self._deep(index, _COMPARED)
                yield from self._hooks(value, "__class_getitem__")
            case ast.ClassDef(bases=bases):
                for base in bases:
                    yield from self._hooks(base, "__init_subclass__")
            case _:
                pass

    def _hooks(self, cls: ast.expr, name: str) -> Iterator[Function]:
        """The method of that name that a class, not its instances, is asked for."""
        for ref in self._types(cls):
            if ref.name == "type" and ref.args:
                methods = self._hazards.special.get(ref.args[0].name, {})
                if name in methods:
                    yield methods[name]

    def _attribute(self, node: ast.Attribute) -> Iterator[Function]:
        """What `functools.partialmethod` made of a method."""
        for ref in self._types(node.value):
            member = self._hazards.members.get(ref.name, {}).get(node.attr)
            if member is not None:
                yield member
