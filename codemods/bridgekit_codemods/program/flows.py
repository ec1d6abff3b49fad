"""Values that flow from call arguments into parameters, and from assignments into attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TypeAlias

from bridgekit_codemods.program.facts import CallFact, Facts, StoreFact, UseFact
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.symbols import Class, Function, Param
from bridgekit_codemods.program.types import (
    UNKNOWN,
    TypeRef,
    Types,
    is_mock,
)

_ANY: Types = frozenset({UNKNOWN})
_RUNNERS = {
    # library callables that call argument `n` with the positional arguments after it
    "concurrent.futures.ThreadPoolExecutor.submit": 0,
    "concurrent.futures.ProcessPoolExecutor.submit": 0,
    "concurrent.futures.Executor.submit": 0,
    "asyncio.to_thread": 0,
    "bridgekit.to_thread.run_sync": 0,
    "bridgekit.from_thread.run": 0,
    "bridgekit.from_thread.run_sync": 0,
    "anyio.to_thread.run_sync": 0,
    "anyio.from_thread.run": 0,
    "anyio.run": 0,
    "functools.partial": 0,
}
_MAPPERS = frozenset(
    {
        "concurrent.futures.ThreadPoolExecutor.map",
        "concurrent.futures.ProcessPoolExecutor.map",
        "concurrent.futures.Executor.map",
        "builtins.map",
        "builtins.filter",
    }
)
_TRANSPARENT = (
    "functools.", "contextlib.", "builtins.", "abc.", "typing.", "pytest.", "werkzeug.utils.",
    "unittest.mock.", "pytest_asyncio.",
)  # fmt: skip
_Given: TypeAlias = tuple[tuple[Function, str], Types]
"""A parameter and what a call gives it."""


class Flows:
    """Collects what one round of evaluation says about arguments."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.given: list[_Given] = []

    def collect(self) -> dict[tuple[Function, str], Types]:
        facts = self.engine.facts
        found: dict[tuple[Function, str], set[TypeRef]] = {}
        unresolved: set[str] = set()
        for call in facts.calls:
            name, given = self.engine.kept(call, partial(self._of_call, call))
            if name is not None:
                unresolved.add(name)
            for key, types in given:
                found.setdefault(key, set()).update(types)
        self.given = []
        self._decorated()
        for key, types in self.given:
            found.setdefault(key, set()).update(types)
        for key in self._escaped(unresolved):
            found.setdefault(key, set()).add(UNKNOWN)
        return {key: frozenset(types) for key, types in found.items()}

    def _of_call(self, call: CallFact) -> tuple[str | None, list[_Given]]:
        """The name of a method that the call calls on an unknown object, and its arguments."""
        self.given = []
        callees = self.engine.types(call.node.func)
        in_tests = call.scope.file.is_test
        for ref in sorted(callees):
            self._call(ref, call.node, in_tests)
        func = call.node.func
        if isinstance(func, ast.Attribute) and not in_tests and (not callees or UNKNOWN in callees):
            return func.attr, self.given
        return None, self.given

    def _add(self, fn: Function, param: Param, types: Types, in_tests: bool) -> None:
        if in_tests:
            # doubles and loosely made values of tests say nothing about the program
            types = frozenset(t for t in types if t != UNKNOWN and not is_mock(t))
        elif not types:
            return
        self.given.append(((fn, param.name), types))

    def _call(self, ref: TypeRef, node: ast.Call, in_tests: bool) -> None:
        if ref.name == "external":
            self._library_call(ref.args[0].name, node, in_tests)
            return
        fn, bound = self._function(ref)
        if fn is not None:
            self._bind(fn, bound, list(node.args), node.keywords, in_tests)

    def _function(self, ref: TypeRef) -> tuple[Function | None, bool]:
        facts = self.engine.facts
        if ref.name == "function":
            return facts.functions.get(ref.args[0].name), len(ref.args) > 2
        if ref.name == "type":
            cls = facts.classes.get(ref.args[0].name)
            if cls is not None:
                return self.engine.members.find_method(cls, "__init__"), True
        elif ref.name in facts.classes:
            return self.engine.members.find_method(facts.classes[ref.name], "__call__"), True
        return None, False

    def _bind(
        self,
        fn: Function,
        bound: bool,
        args: list[ast.expr],
        keywords: Iterable[ast.keyword],
        in_tests: bool,
    ) -> None:
        params = list(fn.params[1:] if bound else fn.params)
        given: set[str] = set()
        places = [p for p in params if p.kind in ("posonly", "arg")]
        spread = False
        for index, argument in enumerate(args):
            if isinstance(argument, ast.Starred):
                spread = True
                break
            if index < len(places):
                given.add(places[index].name)
                self._add(fn, places[index], self.engine.types(argument), in_tests)
        by_name = {p.name: p for p in params if p.kind in ("arg", "kwonly")}
        for keyword in keywords:
            if keyword.arg is None:
                spread = True
            elif keyword.arg in by_name:
                given.add(keyword.arg)
                self._add(fn, by_name[keyword.arg], self.engine.types(keyword.value), in_tests)
        for param in params:
            if param.name in given or param.kind in ("vararg", "kwarg"):
                continue
            if spread:
                self._add(fn, param, _ANY, in_tests)
            elif param.default is not None:
                self._add(fn, param, self.engine.types(param.default), in_tests)

    def _library_call(self, dotted: str, node: ast.Call, in_tests: bool) -> None:
        if dotted in _RUNNERS and len(node.args) > _RUNNERS[dotted]:
            at = _RUNNERS[dotted]
            for ref in sorted(self.engine.types(node.args[at])):
                fn, bound = self._function(ref)
                if fn is not None and dotted != "functools.partial":
                    self._bind(fn, bound, list(node.args[at + 1 :]), (), in_tests)
                elif fn is not None:
                    self._partial(fn, bound, list(node.args[at + 1 :]), node.keywords, in_tests)
        elif dotted in _MAPPERS and node.args:
            for ref in sorted(self.engine.types(node.args[0])):
                fn, bound = self._function(ref)
                if fn is not None:
                    params = list(fn.params[1:] if bound else fn.params)
                    for param, source in zip(params, node.args[1:], strict=False):
                        items = self.engine.elements(self.engine.types(source))
                        self._add(fn, param, items, in_tests)
        elif dotted in ("threading.Thread", "threading.Timer", "multiprocessing.Process"):
            self._thread(node, in_tests)

    def _partial(
        self,
        fn: Function,
        bound: bool,
        args: list[ast.expr],
        keywords: Iterable[ast.keyword],
        in_tests: bool,
    ) -> None:
        params = list(fn.params[1:] if bound else fn.params)
        for param, argument in zip(params, args, strict=False):
            self._add(fn, param, self.engine.types(argument), in_tests)
        names = {p.name: p for p in params}
        for keyword in keywords:
            if keyword.arg in names:
                self._add(fn, names[keyword.arg], self.engine.types(keyword.value), in_tests)

    def _thread(self, node: ast.Call, in_tests: bool) -> None:
        given = {k.arg: k.value for k in node.keywords if k.arg}
        target = given.get("target") or given.get("function")
        if target is None and len(node.args) > 1:
            target = node.args[1]
        if target is None:
            return
        args = given.get("args")
        values = list(args.elts) if isinstance(args, (ast.Tuple, ast.List)) else []
        for ref in sorted(self.engine.types(target)):
            fn, bound = self._function(ref)
            if fn is not None:
                self._bind(fn, bound, values, (), in_tests)

    def _decorated(self) -> None:
        for fact in self.engine.facts.decorators:
            if fact.function is None:
                continue
            value = self.engine.facts.functions[fact.function.qualname]
            for ref in sorted(self.engine.types(fact.node)):
                fn, bound = self._function(ref)
                if fn is None:
                    continue
                params = fn.params[1:] if bound else fn.params
                if params:
                    refs = self.engine.defined(value)
                    self._add(fn, params[0], refs, False)

    def _escaped(self, unresolved: set[str]) -> Iterator[tuple[Function, str]]:
        """Functions that code we do not see may call get unknown arguments as well."""
        facts = self.engine.facts
        outside: set[Function] = set()
        for use in facts.uses:
            if use.kind in ("argument", "container") and not use.scope.file.is_test:
                outside.update(self.engine.kept(use, partial(self._given_away, use)))
        for fn in facts.functions.values():
            framework = any(
                d.project is None and not (d.dotted or "").startswith(_TRANSPARENT)
                for d in fn.decorators
            )
            called_by_name = fn.cls is not None and fn.name in unresolved
            if framework or fn in outside or called_by_name:
                for param in fn.params:
                    yield fn, param.name

    def _given_away(self, use: UseFact) -> tuple[Function, ...]:
        """The functions that this use gives to code whose calls of them are not seen."""
        functions = self.engine.facts.functions
        named = [r.args[0].name for r in self.engine.types(use.node) if r.name == "function"]
        if not named or self._is_tracked(use.call, use.kind):
            return ()
        return tuple(functions[n] for n in named if n in functions)

    def _is_tracked(self, call: ast.Call | None, kind: str) -> bool:
        """Whether the function is given to something whose calls of it are seen."""
        if kind != "argument" or call is None:
            return False
        callees = self.engine.types(call.func)
        if not callees:
            return False
        for ref in callees:
            if ref.name in ("function", "type"):
                continue
            if ref.name == "external":
                name = ref.args[0].name
                if (
                    name in _RUNNERS
                    or name in _MAPPERS
                    or name.startswith(
                        ("functools.", "threading.Thread", "multiprocessing.Process")
                    )
                ):
                    continue
            return False
        return True


def own_stores(facts: Facts) -> tuple[dict[tuple[str, str], list[StoreFact]], list[StoreFact]]:
    """Assignments to attributes of `self`/`cls`, by class and attribute, and all the others."""
    own: dict[tuple[str, str], list[StoreFact]] = {}
    others: list[StoreFact] = []
    for store in facts.stores:
        target = store.target
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            place = facts.places.get(target.value)
            method = place.scope.function if place is not None else None
            while method is not None and method.cls is None:
                method = method.parent
            if (
                method is not None
                and method.cls is not None
                and method.params
                and not method.is_static
                and method.params[0].name == target.value.id
            ):
                own.setdefault((method.cls.qualname, target.attr), []).append(store)
                continue
        others.append(store)
    return own, others


def stored_names(stores: Iterable[StoreFact]) -> frozenset[str]:
    """The names of the attributes and literal items that these assignments assign to."""
    found: set[str] = set()
    for store in stores:
        if isinstance(store.target, ast.Attribute):
            found.add(store.target.attr)
        elif isinstance(store.target.slice, ast.Constant):
            found.add(str(store.target.slice.value))
    return frozenset(found)


def add_foreign_stores(engine: Inference, stores: Iterable[StoreFact]) -> list[tuple[str, str]]:
    """File assignments to attributes of other objects under the types of those objects.

    Returns the owners and names that are assigned in a way that was not known.
    """
    added: list[tuple[str, str]] = []
    pending: list[tuple[tuple[str, str], StoreFact]] = []
    for store in stores:
        target = store.target
        if isinstance(target, ast.Subscript):
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                owner = engine.item_owner(target.value)
                if owner is not None and not store.binding.scope.file.is_test:
                    pending.append(((owner, target.slice.value), store))
            continue
        for ref in sorted(engine.types(target.value)):
            for key in _owners(engine, ref, store.binding.scope.file.is_test):
                pending.append(((key, target.attr), store))
    for place, store in pending:
        known = engine.stored.setdefault(place, [])
        if store.binding not in known:
            known.append(store.binding)
            added.append(place)
    return added


def parser_defaults(facts: Facts) -> list[tuple[str, CallFact, Binding]]:
    """What `parser.set_defaults(func=run)` says: the attribute, the call, and the value's binding.

    Values that tests give are left out.
    """
    return [
        (
            keyword.arg,
            call,
            Binding(
                "value",
                call.scope.block,
                (call.node.lineno, call.node.col_offset),
                call.scope,
                node=keyword.value,
            ),
        )
        for call in facts.calls
        if isinstance(call.node.func, ast.Attribute)
        and call.node.func.attr == "set_defaults"
        and not call.scope.file.is_test
        for keyword in call.node.keywords
        if keyword.arg is not None
    ]


def add_parser_defaults(
    engine: Inference, defaults: Iterable[tuple[str, CallFact, Binding]]
) -> list[tuple[str, str]]:
    """File the functions that argparse hands out (`args.func(args)`) under its namespace.

    Returns the owners and names that are assigned in a way that was not known.
    """
    added: list[tuple[str, str]] = []
    for name, call, binding in defaults:
        assert isinstance(call.node.func, ast.Attribute)
        parsers = engine.types(call.node.func.value)
        if any(ref != UNKNOWN and ref.name != "argparse.ArgumentParser" for ref in parsers):
            continue
        assert binding.node is not None
        if not any(ref.name == "function" for ref in engine.types(binding.node)):
            continue
        known = engine.stored.setdefault(("argparse.Namespace", name), [])
        if binding not in known:
            known.append(binding)
            added.append(("argparse.Namespace", name))
    return added


def _owners(engine: Inference, ref: TypeRef, in_tests: bool) -> list[str]:
    cls = engine.facts.classes.get(ref.name)
    if cls is not None:
        if in_tests and not _is_test_class(engine, cls):
            return []
        library = [b for b in cls.mro if isinstance(b, str) and b != "?" and b.count(".")]
        return [cls.qualname, *(b for b in library if not b.startswith("builtins."))]
    if in_tests:
        return []
    if ref.name == "module":
        return [f"module:{ref.args[0].name}"]
    if ref.name == "external":
        return [f"object:{ref.args[0].name}"]
    if ref.name == "type" and ref.args[0].name in engine.facts.classes:
        return [ref.args[0].name]
    return [ref.name] if "." in ref.name else []


def _is_test_class(engine: Inference, cls: Class) -> bool:
    return engine.facts.class_scopes[cls].file.is_test
