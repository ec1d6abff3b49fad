"""What a traced run adds to the call sites: the functions that they were seen to reach."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bridgekit_codemods.program.calls import CallSite, Target
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.tracing.record import Definition, Place, Trace

_CONSTRUCTORS = ("__init__", "__new__", "__post_init__", "__call__")
_HIDDEN = ("property", "with", "iter")
_IMPLICIT = (
    ast.With, ast.AsyncWith, ast.For, ast.AsyncFor,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip


class Traced:
    """Joins the record of a run with the static sites; one instance for one program."""

    def __init__(
        self,
        trace: Trace,
        facts: Facts,
        files: Mapping[str, SourceFile],
        wrappers: Callable[[Function], tuple[Function, ...]],
    ) -> None:
        self.trace = trace
        self.files = files
        self._functions = {_definition(f): f for f in facts.functions.values()}
        self._decorators = {fact.node for fact in facts.decorators}
        self._wrapped: dict[Function, list[Function]] = {}
        if trace.calls:
            for function in facts.functions.values():
                if any(d.project is not None for d in function.decorators):
                    for wrapper in wrappers(function):
                        self._wrapped.setdefault(wrapper, []).append(function)
        self._ends: dict[tuple[str, int, int], list[Place]] = {}
        for place in trace.calls:
            key = (place.path, place.end_line, place.end_column)
            self._ends.setdefault(key, []).append(place)

    def function(self, seen: Definition) -> Function | None:
        """The function of the program that was seen, if the program still has it there."""
        found = self._functions.get((seen.path, seen.line))
        same = found is not None and found.name == seen.name.rpartition(".")[2]
        return found if same else None

    def sites(self, sites: Iterable[CallSite]) -> list[CallSite]:
        """The sites with what was seen at them."""
        return [self._site(site) for site in sites]

    def _site(self, site: CallSite) -> CallSite:
        node = site.node
        if site.kind == "call" and isinstance(node, ast.Call) and node not in self._decorators:
            return self._call(site, node)
        if site.kind in _HIDDEN and any(t.grade == "guess" for t in site.targets):
            assert isinstance(node, ast.expr)
            return self._confirm(site, self._known(self._hidden(site, node)))
        return site

    def _hidden(self, site: CallSite, node: ast.expr) -> set[Definition]:
        """What was seen at a place where nothing is called by name.

        Before Python 3.13 the interpreter gives such calls of a statement the span of the whole
        statement, and leaves a `with` block by a call of that span.
        """
        found: set[Definition] = set()
        for whole in (node, *self._statement(site.path, node)):
            place = _place(site.path, whole)
            found |= self.trace.hidden.get((site.kind, place), set())
            if isinstance(whole, (ast.With, ast.AsyncWith)):
                found |= self.trace.calls.get(place, set())
        return found

    def _statement(self, path: str, node: ast.expr) -> Iterator[ast.stmt | ast.expr]:
        """The statement or comprehension that enters or iterates over an expression."""
        parents = self.files[path].parents
        parent = parents.get(node)
        if isinstance(parent, (ast.withitem, ast.comprehension)):
            parent = parents.get(parent)
        if isinstance(parent, _IMPLICIT):
            yield parent

    def _known(self, seen: Iterable[Definition]) -> set[Function]:
        return {f for f in map(self.function, seen) if f is not None}

    def _call(self, site: CallSite, node: ast.Call) -> CallSite:
        place = _place(site.path, node)
        # the same end and not an earlier start: a method call whose dot is on another line starts
        # there, and a statement that ends with the call starts before it
        seen = {
            definition
            for other in self._ends.get((place.path, place.end_line, place.end_column), ())
            if (other.line, other.column) >= (place.line, place.column)
            for definition in self.trace.calls[other]
        }
        reached = set()
        for function in self._known(seen):
            if self.files[function.path].is_test and not self.files[site.path].is_test:
                continue  # what a test puts in the place of the program's own is no part of it
            meant = self._meant(site, node, function)
            if meant is not None:
                reached.add(meant)
        if not reached:
            return site
        site = self._confirm(site, reached)
        known = {t.function for t in site.targets}
        for target in known.copy():
            known.update(w for w, inner in self._wrapped.items() if target in inner)
        new = sorted(reached - known, key=lambda f: f.qualname)
        if not new:
            return site
        if any(f.name in _CONSTRUCTORS and any(f.cls is t.function.cls for t in site.targets)
               for f in new):  # fmt: skip
            return site
        targets = (*site.targets, *(Target(f, "traced") for f in new))
        return replace(site, targets=targets, externals=())

    def _meant(self, site: CallSite, node: ast.Call, function: Function) -> Function | None:
        """The function that the site names when `function` was entered there; None when the call
        hides it (`sorted(rows, key=f)`, `str(order)`)."""
        inner = self._wrapped.get(function, [])
        if inner:
            called = [t.function for t in site.targets if t.function in inner]
            named = called or [f for f in inner if f.name == site.name]
            if named:
                return named[0] if len(named) == 1 else None
        if function.name == site.name or function.name in _CONSTRUCTORS:
            return function
        if function.name.startswith("__") or site.externals:
            return None
        return function

    def _confirm(self, site: CallSite, reached: set[Function]) -> CallSite:
        if not any(t.grade == "guess" and t.function in reached for t in site.targets):
            return site
        targets = [
            Target(t.function, "traced") if t.grade == "guess" and t.function in reached else t
            for t in site.targets
        ]
        return replace(site, targets=tuple(sorted(targets, key=lambda t: t.grade == "guess")))


def _definition(function: Function) -> tuple[str, int]:
    lines = [function.node.lineno, *(d.lineno for d in function.node.decorator_list)]
    return (function.path, min(lines))


def _place(path: str, node: ast.expr | ast.stmt) -> Place:
    return Place(path, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
