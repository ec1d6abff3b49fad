"""What comes out of a value: by calling, awaiting, iterating, entering or indexing it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import product
from bridgekit_codemods.program.members import is_enumeration
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import (
    NONE,
    NOTHING,
    SELF,
    UNKNOWN,
    TypeRef,
    Types,
    external,
    instance,
    is_mock,
)

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_ANY: Types = frozenset({UNKNOWN})
_ITERABLES = frozenset(
    {"list", "set", "frozenset", "iterable", "generator", "async_generator", "collections.deque"}
)
_SCALARS = frozenset({"str", "bytes", "int", "float", "bool", "complex", "bytearray"})
MANAGERS = ("contextlib.ContextManager", "contextlib.AsyncContextManager")


class Results:
    """The results of using values, one type at a time."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine

    # -- calls -----------------------------------------------------------------------------

    def call(self, ref: TypeRef, node: ast.Call) -> Types:
        """What calling a value of type `ref` with this call's arguments gives."""
        match ref.name:
            case "?" | "lambda":
                return _ANY
            case "None":
                return NOTHING
            case "function":
                return self.of_reference(ref, node)
            case "type":
                return frozenset({ref.args[0]})
            case "external":
                return self.engine.externals.call(ref, node)
            case "functools.partial":
                return self.of_reference(ref.args[0]) if ref.args else _ANY
            case "bridgekit.sync_to_async":
                return product("coroutine", [self.of_reference(ref.args[0])])
            case "bridgekit.async_to_sync":
                found = self.of_reference(ref.args[0])
                return frozenset().union(*(self.awaited(r) for r in found))
        if ref.name in self.engine.facts.classes:
            return self.special(ref, "__call__")
        if is_mock(ref):
            return frozenset({TypeRef("unittest.mock.MagicMock")})
        return self.engine.externals.call(
            external(catalog.canonical(f"{ref.name}.__call__"), ref), node
        )

    def of_reference(self, ref: TypeRef, node: ast.Call | None = None) -> Types:
        """The result of calling a value, with the arguments of `node` if it is given."""
        if ref.name == "functools.partial" and ref.args:
            return self.of_reference(ref.args[0])
        if ref.name == "type":
            return frozenset({ref.args[0]})
        if ref.name == "external":
            return self.engine.externals.call(ref, None)
        if ref.name != "function":
            return _ANY
        fn = self.engine.facts.functions.get(ref.args[0].name)
        if fn is None:
            return _ANY
        return self.called(fn, ref.args[2] if len(ref.args) > 2 else None, node)

    def called(self, fn: Function, receiver: TypeRef | None, node: ast.Call | None = None) -> Types:
        """The result of calling a project function, bound to `receiver` if it is a method."""
        solved = self.engine.generics.result(fn, receiver, node)
        if solved is not None:
            return solved
        found = self.engine.evaluate(("result", fn), partial(self._result, fn))
        if SELF not in found and not any(SELF in r.args for r in found):
            return found
        this = receiver
        if this is None and fn.cls is not None:
            this = TypeRef(fn.cls.qualname)
        if this is None or this.name not in self.engine.facts.classes:
            this = TypeRef(fn.cls.qualname) if fn.cls is not None else UNKNOWN
        return frozenset(_with_self(r, this) for r in found)

    def _result(self, fn: Function) -> Types:
        value = self._plain_result(fn)
        dotted = {d.dotted for d in self.engine.decorators_of(fn)}
        if dotted & catalog.CONTEXT_MANAGER_DECORATORS:
            name = MANAGERS[1] if dotted & catalog.ASYNC_MANAGER_DECORATORS else MANAGERS[0]
            elements: Types = frozenset().union(*(self.elements(r) for r in value))
            return product(name, [elements or _ANY])
        return value

    def _plain_result(self, fn: Function) -> Types:
        declared = NOTHING
        if fn.node.returns is not None:
            declared = self._declared_result(fn, fn.node.returns)
        if fn.is_generator:
            name = "async_generator" if fn.is_async else "generator"
            kept = frozenset(r for r in declared if r.name in ("generator", "async_generator"))
            if not kept and declared and not declared <= {UNKNOWN}:
                kept = frozenset().union(*(product(name, [self.elements(r)]) for r in declared))
            return kept or product(name, [self.yielded(fn) or _ANY])
        if not declared or declared <= {UNKNOWN}:
            declared = self._inferred_result(fn)
        return product("coroutine", [declared]) if fn.is_async else declared

    def _declared_result(self, fn: Function, node: ast.expr) -> Types:
        scope = self.engine.facts.definition_scopes[fn]
        dotted = self.engine.annotations.dotted(node, scope)
        if dotted == "typing.Self" or (isinstance(node, ast.Constant) and node.value == "Self"):
            return frozenset({SELF})
        return self.engine.annotations.types(node, scope)

    def _inferred_result(self, fn: Function) -> Types:
        returns = self.engine.facts.returns.get(fn, [])
        if not returns:
            return frozenset({NONE})
        this = fn.params[0].name if fn.cls is not None and fn.params and not fn.is_static else None
        found: Types = NOTHING
        for value in returns:
            if this is not None and _is_receiver(value, this, fn.is_classmethod):
                found |= {SELF}
            else:
                found |= self.engine.types(value)
        return found

    def yielded(self, fn: Function) -> Types:
        """What a generator function yields."""
        found: Types = NOTHING
        for node in self.engine.facts.yields.get(fn, []):
            if node.value is None:
                found |= {NONE}
            elif isinstance(node, ast.Yield):
                found |= self.engine.types(node.value)
            else:
                found |= self.engine.elements(self.engine.types(node.value))
        return found

    def special(self, ref: TypeRef, name: str) -> Types:
        """The result of the special method `name` of a project class's instance."""
        members = self.engine.members.of(ref, name)
        if not members:
            return _ANY
        return frozenset().union(*(self.of_reference(m) for m in members))

    def instance_of(self, ref: TypeRef) -> Types:
        """The instances of a class object."""
        if ref.name == "type":
            return frozenset({ref.args[0]})
        if ref.name == "tuple":
            return frozenset().union(*(self.instance_of(a) for a in ref.args))
        if ref.name == "external":
            return frozenset({instance(ref.args[0].name)})
        return _ANY

    # -- await, iterate, enter, index ------------------------------------------------------

    def awaited(self, ref: TypeRef) -> Types:
        if ref.name in ("coroutine", "asyncio.Task", "asyncio.Future") and ref.args:
            return frozenset({ref.args[0]})
        if ref.name in self.engine.facts.classes:
            return self.special(ref, "__await__") if self._has(ref, "__await__") else _ANY
        if "." in ref.name:
            spec = catalog.returns(f"{ref.name}.__await__")
            if spec is not None:
                return self.engine.externals.evaluate(spec, None, ref)
        return _ANY

    def _has(self, ref: TypeRef, name: str) -> bool:
        cls = self.engine.facts.classes.get(ref.name)
        return cls is not None and self.engine.members.find_method(cls, name) is not None

    def elements(self, ref: TypeRef) -> Types:
        if ref.name in _ITERABLES:
            return frozenset(ref.args[:1]) or _ANY
        if ref.name == "tuple":
            return frozenset(ref.args) or _ANY
        if ref.name == "dict":
            return frozenset(ref.args[:1]) or _ANY
        if ref.name in ("str", "bytes"):
            return frozenset({ref if ref.name == "str" else TypeRef("int")})
        if ref.name == "coroutine":
            return _ANY
        if ref.name == "type":
            return frozenset({ref.args[0]})  # an enumeration; no other class can be iterated
        if ref.name == "range":
            return frozenset({TypeRef("int")})
        if ref.name == "None":
            return NOTHING
        if ref.name in self.engine.facts.classes:
            for method, is_async in (("__iter__", False), ("__aiter__", True)):
                if self._has(ref, method):
                    return self._iterated(ref, method, is_async)
            if self._has(ref, "__getitem__"):
                return self.special(ref, "__getitem__")
            cls = self.engine.facts.classes[ref.name]
            return self._inherited_elements(cls, ref)
        if "." in ref.name:
            spec = catalog.returns(f"{ref.name}.__iter__") or catalog.returns(
                f"{ref.name}.__aiter__"
            )
            if spec is not None:
                found = self.engine.externals.evaluate(spec, None, ref)
                return frozenset().union(*(self.elements(r) for r in found))
        return _ANY

    def _inherited_elements(self, cls: Class, ref: TypeRef) -> Types:
        for base in cls.node.bases:
            if isinstance(base, ast.Subscript):
                scope = self.engine.facts.definition_scopes[cls]
                found = self.engine.annotations.types(base, scope)
                kept = [r for r in found if r.name in _ITERABLES]
                if kept:
                    return frozenset().union(*(self.elements(r) for r in kept))
        return _ANY

    def _iterated(self, ref: TypeRef, method: str, is_async: bool) -> Types:
        found: Types = NOTHING
        for iterator in self.special(ref, method):
            if iterator.name in self.engine.facts.classes:
                step = "__anext__" if is_async else "__next__"
                if not self._has(iterator, step):
                    found |= _ANY
                    continue
                items = self.special(iterator, step)
                if is_async:
                    items = frozenset().union(*(self.awaited(i) for i in items))
                found |= items
            else:
                found |= self.elements(iterator)
        return found

    def entered(self, ref: TypeRef) -> Types:
        if ref.name in MANAGERS:
            return frozenset(ref.args[:1]) or _ANY
        if ref.name in self.engine.facts.classes:
            if self._has(ref, "__enter__"):
                return self.special(ref, "__enter__")
            if self._has(ref, "__aenter__"):
                found = self.special(ref, "__aenter__")
                return frozenset().union(*(self.awaited(r) for r in found))
            return frozenset({ref})
        if ref in (UNKNOWN, NONE) or ref.name in ("external", "function", "type", "lambda"):
            return _ANY
        if ref.name == "coroutine":
            return _ANY
        spec = catalog.returns(f"{ref.name}.__enter__") or catalog.returns(f"{ref.name}.__aenter__")
        if spec is not None:
            return self.engine.externals.evaluate(spec, None, ref)
        return frozenset({ref}) if "." in ref.name else _ANY

    def subscripted(self, ref: TypeRef) -> Types:
        if ref.name == "dict":
            return frozenset(ref.args[1:2]) or _ANY
        if ref.name in _ITERABLES or ref.name == "tuple":
            return self.elements(ref)
        if ref.name in ("str", "bytes"):
            return frozenset({ref})
        if ref.name in self.engine.facts.classes and self._has(ref, "__getitem__"):
            return self.special(ref, "__getitem__")
        cls = self.engine.facts.classes.get(ref.name)
        if cls is not None and self.engine.members.lacks(cls, "__getitem__"):
            return NOTHING  # a TypeError, so this is not what the value is here
        if ref.name == "type":
            cls = self.engine.facts.classes.get(ref.args[0].name)
            return frozenset({ref.args[0] if cls is not None and is_enumeration(cls) else ref})
        if "." in ref.name:
            spec = catalog.returns(f"{ref.name}.__getitem__")
            if spec is not None:
                return self.engine.externals.evaluate(spec, None, ref)
        if ref.name == "external" and ref.args[0].name.startswith(("builtins.", "typing.")):
            return frozenset({ref})
        return _ANY

    def operated(self, ref: TypeRef) -> Types:
        """The result of a binary operator with `ref` on its left."""
        if ref.name in _SCALARS or ref.name in _ITERABLES or ref.name == "dict":
            return frozenset({ref})
        if ref.name in ("pathlib.Path", "anyio.Path", "datetime.datetime", "datetime.timedelta"):
            return frozenset({ref})
        return _ANY

    def union_of_calls(self, refs: Iterable[TypeRef]) -> Types:
        return frozenset().union(*(self.of_reference(r) for r in refs))


def _with_self(ref: TypeRef, this: TypeRef) -> TypeRef:
    if ref == SELF:
        return this
    if SELF in ref.args:
        return TypeRef(ref.name, tuple(this if a == SELF else a for a in ref.args))
    return ref


def _is_receiver(value: ast.expr, this: str, is_classmethod: bool) -> bool:
    if is_classmethod:
        return (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id == this
        )
    return isinstance(value, ast.Name) and value.id == this
