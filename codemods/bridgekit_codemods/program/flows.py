"""Values that flow from call arguments into parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from bridgekit_codemods.program.facts import CallFact, UseFact
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Function, Param
from bridgekit_codemods.program.types import (
    UNKNOWN,
    TypeRef,
    Types,
    is_mock,
    ordered,
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
_NO_FLOW: tuple[None, Sequence[_Given]] = (None, ())


@lru_cache(maxsize=65536)
def _real(types: Types) -> Types:
    """Without doubles and what is not known."""
    return frozenset(t for t in types if t != UNKNOWN and not is_mock(t))


def _join(
    found: dict[tuple[Function, str], Types], key: tuple[Function, str], types: Types
) -> None:
    known = found.get(key)
    if known is None:
        found[key] = types
    elif not types <= known:
        found[key] = known | types


class Flows:
    """Collects what the rounds of evaluation say about arguments; one instance for one program.

    The first round looks at every call, the later ones at those of which a round may say something
    else than the one before.
    """

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.given: list[_Given] = []
        self._settled: dict[tuple[Function, str], Types] = {}
        self._settled_names: set[str] = set()
        self._open_calls: list[CallFact] | None = None
        self._open_uses: list[UseFact] | None = None
        self._outside: set[Function] = set()

    def collect(self) -> dict[tuple[Function, str], Types]:
        """What flows into which parameter, by the answers of this round."""
        kept, of_call = self.engine.kept, self._of_call
        calls = self._open_calls
        if calls is None:
            calls = self._open_calls = self._settle_calls()
        found = self._settled.copy()
        unresolved = self._settled_names.copy()
        for call in calls:
            name, given = kept(call, of_call)
            if name is not None:
                unresolved.add(name)
            for key, types in given:
                _join(found, key, types)
        self.given = []
        self._decorated()
        for key, types in self.given:
            _join(found, key, types)
        for key in self._escaped(unresolved):
            _join(found, key, _ANY)
        return found

    def _settle_calls(self) -> list[CallFact]:
        """Look at every call once; returns those whose answer a later round may change."""
        kept, of_call, may_change = self.engine.kept, self._of_call, self.engine.dependencies
        found: list[CallFact] = []
        for call in self.engine.facts.calls:
            name, given = kept(call, of_call)
            if call in may_change:
                found.append(call)
                continue
            if name is not None:
                self._settled_names.add(name)
            for key, types in given:
                _join(self._settled, key, types)
        return found

    def _of_call(self, call: CallFact) -> tuple[str | None, Sequence[_Given]]:
        """The name of a method that the call calls on an unknown object, and its arguments."""
        self.given = []
        func = call.node.func
        callees = self.engine.types(func)
        in_tests = call.scope.file.is_test
        for ref in ordered(callees):
            self._call(ref, call.node, in_tests)
        if isinstance(func, ast.Attribute) and not in_tests and (not callees or UNKNOWN in callees):
            return func.attr, self.given or ()
        return (None, self.given) if self.given else _NO_FLOW

    def _add(self, fn: Function, param: Param, types: Types, in_tests: bool) -> None:
        if in_tests:
            # doubles and loosely made values of tests say nothing about the program
            types = _real(types)
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
            for ref in ordered(self.engine.types(node.args[at])):
                fn, bound = self._function(ref)
                if fn is not None and dotted != "functools.partial":
                    self._bind(fn, bound, list(node.args[at + 1 :]), (), in_tests)
                elif fn is not None:
                    self._partial(fn, bound, list(node.args[at + 1 :]), node.keywords, in_tests)
        elif dotted in _MAPPERS and node.args:
            for ref in ordered(self.engine.types(node.args[0])):
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
        for ref in ordered(self.engine.types(target)):
            fn, bound = self._function(ref)
            if fn is not None:
                self._bind(fn, bound, values, (), in_tests)

    def _decorated(self) -> None:
        for fact in self.engine.facts.decorators:
            if fact.function is None:
                continue
            value = self.engine.facts.functions[fact.function.qualname]
            for ref in ordered(self.engine.types(fact.node)):
                fn, bound = self._function(ref)
                if fn is None:
                    continue
                params = fn.params[1:] if bound else fn.params
                if params:
                    refs = self.engine.bindings.defined(value)
                    self._add(fn, params[0], refs, False)

    def _escaped(self, unresolved: set[str]) -> Iterator[tuple[Function, str]]:
        """Functions that code we do not see may call get unknown arguments as well."""
        uses = self._open_uses
        if uses is None:
            uses = self._open_uses = self._settle_uses()
        outside = self._outside.copy()
        for use in uses:
            outside.update(self.engine.kept(use, self._given_away))
        for fn in self.engine.facts.functions.values():
            framework = any(
                d.project is None and not (d.dotted or "").startswith(_TRANSPARENT)
                for d in fn.decorators
            )
            called_by_name = fn.cls is not None and fn.name in unresolved
            if framework or fn in outside or called_by_name:
                for param in fn.params:
                    yield fn, param.name

    def _settle_uses(self) -> list[UseFact]:
        """Look at every use that may give a function away; returns those that may change."""
        kept, may_change = self.engine.kept, self.engine.dependencies
        found: list[UseFact] = []
        for use in self.engine.facts.uses:
            if use.kind in ("argument", "container") and not use.scope.file.is_test:
                functions = kept(use, self._given_away)
                if use in may_change:
                    found.append(use)
                else:
                    self._outside.update(functions)
        return found

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
