"""What is known of one function: its colour, why it has it, what keeps it, which tests reach it."""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.reach import TestReach, calls_what_it_wraps
from bridgekit_codemods.planning.scope import EVERYTHING, Scope, ScopeError
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.walk.prospects import Outlook, Prospects


@dataclass(frozen=True)
class Link:
    """One call on the way from a function to what waits."""

    path: str
    line: int
    caller: str
    callee: str
    """Qualified name of a project function, or dotted name of what the library calls."""
    grade: str
    """The evidence for the call; `library` for the last link."""


@dataclass(frozen=True)
class FunctionFacts:
    """Everything that `plan --explain` tells of a function."""

    function: str
    path: str
    line: int
    colour: str
    waits_for: tuple[str, ...]
    """Kinds of waiting, sorted; empty for pure and native functions."""
    becomes_async: bool
    """Whether a step of the plan makes it async."""
    verdict: str
    chains: dict[str, tuple[Link, ...]]
    """By kind of waiting, one shortest way from the function to a call that waits."""
    obstacles: tuple[Finding, ...]
    tests: tuple[str, ...]
    """The tests that reach it: by calls, through fixtures, or by requesting a view."""
    traced_tests: tuple[str, ...]
    """The tests in which it was seen to run; empty without a traced run."""
    entry_points: tuple[str, ...]
    """The views and hooks that reach it."""


class Facts:
    """The facts of all functions of one program, computed where they are asked for."""

    def __init__(self, program: Program, scope: Scope | None = None) -> None:
        self.program = program
        self.scope = scope or EVERYTHING
        self.colours = program.derived(Colours)
        self.prospects = program.derived(Prospects)
        self.choice = program.derived(Outlook(self.scope))
        self._next: dict[str, dict[Function, tuple[Link, Function | None]]] = {}

    def find(self, name: str) -> Function:
        """The function of that qualified name, or the only one whose name ends in it.

        Raises:
            ScopeError: there is none, or more than one; the message says which there are.
        """
        functions = self.program.functions
        if name in functions:
            return functions[name]
        ending = sorted(q for q in functions if q.endswith(f".{name}"))
        if len(ending) == 1:
            return functions[ending[0]]
        near = ending or difflib.get_close_matches(name, functions, n=5, cutoff=0.5)
        shown = f"; there are {', '.join(near[:8])}" if near else ""
        problem = "more than one function ends in" if ending else "there is no function"
        raise ScopeError(f"{problem} {name}{shown}")

    def of(self, function: Function) -> FunctionFacts:
        """The facts of one function."""
        kinds = () if self.colours.native(function) else sorted(self.colours.blocks(function))
        obstacles = self.prospects.obstacles.of(function)
        if function in self.choice.bridged:
            obstacles = (*obstacles, self.choice.bridged[function])
        reach = self.program.derived(TestReach)
        return FunctionFacts(
            function=function.qualname,
            path=function.path,
            line=function.node.lineno,
            colour=self.colours.colour(function),
            waits_for=tuple(kinds),
            becomes_async=function in self.choice.wanted,
            verdict=self._verdict(function),
            chains={kind: self.chain(function, kind) for kind in kinds},
            obstacles=() if self.colours.native(function) else obstacles,
            tests=tuple(reach.tests_of(function)),
            traced_tests=self.program.tests_reaching(function),
            entry_points=tuple(sorted(f.qualname for f in self._entries_of(function))),
        )

    def reason(self, function: Function) -> str | None:
        """What the function waits for, with the calls that do so; None if it does not wait."""
        if self.colours.native(function):
            return None
        chains = {
            kind: self.chain(function, kind) for kind in sorted(self.colours.blocks(function))
        }
        words = [
            f"{kind} ({chain[-1].path}:{chain[-1].line}: {chain[-1].callee})"
            for kind, chain in chains.items()
            if chain
        ]
        return f"waits for {', '.join(words)}" if words else None

    def all(self) -> Iterator[FunctionFacts]:
        """The facts of every function that is no test, by name."""
        for name in sorted(self.program.functions):
            function = self.program.functions[name]
            if not self.program.files[function.path].is_test:
                yield self.of(function)

    def chain(self, function: Function, kind: str) -> tuple[Link, ...]:
        """One shortest way from the function to a call that waits for `kind`; empty if none."""
        if kind not in self._next:
            self._next[kind] = self._ways_to(kind)
        ways = self._next[kind]
        links: list[Link] = []
        current: Function | None = function
        while current is not None and current in ways:
            link, current = ways[current]
            links.append(link)
        return tuple(links)

    def _ways_to(self, kind: str) -> dict[Function, tuple[Link, Function | None]]:
        """For each function that waits for `kind`, its first call on a shortest way to the leaf."""
        colours = self.colours
        found: dict[Function, tuple[Link, Function | None]] = {}
        for function in sorted(self.program.functions.values(), key=lambda f: f.qualname):
            if kind in colours.blocks(function):
                leaf = self._leaf(function, kind)
                if leaf is not None:
                    found[function] = (leaf, None)
        pending = deque(found)
        while pending:
            callee = pending.popleft()
            for caller, link in self._callers[callee]:
                if caller not in found and kind in colours.blocks(caller):
                    found[caller] = (link, callee)
                    pending.append(caller)
        return found

    @cached_property
    def _callers(self) -> dict[Function, list[tuple[Function, Link]]]:
        found: dict[Function, list[tuple[Function, Link]]] = defaultdict(list)
        for caller in sorted(self.program.functions.values(), key=lambda f: f.qualname):
            for site in self.colours.sites(caller):
                if calls_what_it_wraps(site):
                    continue
                for target in site.targets:
                    link = Link(
                        site.path, site.span.line, caller.qualname, target.function.qualname,
                        target.grade,
                    )  # fmt: skip
                    found[target.function].append((caller, link))
        return found

    def _leaf(self, function: Function, kind: str) -> Link | None:
        """The first call or read in the function itself that waits for `kind`."""
        colours = self.colours
        if kind == "bridge" and function in colours.facades:
            twin = colours.facades[function].qualname
            return Link(function.path, function.node.lineno, function.qualname, twin, "exact")
        for site in colours.sites(function):
            if kind in colours.external_effects(site):
                name = site.externals[0]
                return Link(site.path, site.span.line, function.qualname, name, "library")
        if kind == "db" and function in colours.lazy_loads:
            load = colours.lazy_loads[function][0]
            name = f"the lazily loaded relationship {load.node.attr}"
            return Link(load.path, load.node.lineno, function.qualname, name, "library")
        return None

    def _verdict(self, function: Function) -> str:
        colours, prospects = self.colours, self.prospects
        if function.is_async:
            return "is async"
        if function in colours.facades:
            return f"is a facade of the async function {colours.facades[function].qualname}"
        if self.program.files[function.path].is_test:
            return "is part of the tests, which follow what they call"
        if function in self.choice.wanted:
            if prospects.obstacles.of(function):
                return "becomes async, once its decorators take coroutine functions"
            return "becomes async"
        lasting = prospects.lasting(function)
        if not colours.blocks(function):
            return "stays as it is: it never waits"
        if function in self.choice.bridged:
            return "stays sync: its family of overrides costs less to bridge than to flip"
        if lasting:
            return f"stays sync: {lasting[0].reason}"
        if function in colours.entries and not prospects.application:
            return "stays sync: the application cannot run async views on one event loop"
        if function not in prospects.movable:
            others = [m for m in self.program.family(function) if prospects.lasting(m)]
            return f"stays sync with its family: {others[0].qualname} cannot become async"
        if self.scope.limited and function in self.program.derived(Outlook(EVERYTHING)).wanted:
            return f"stays sync: outside of the scope ({self.scope.words()})"
        if not self._entries_of(function):
            return "stays sync: no view or other async code reaches it"
        return "stays sync: what it waits for has no async form that would reach a view"

    def _entries_of(self, function: Function) -> frozenset[Function]:
        """The entries from which calls lead to the function, itself included."""
        seen = {function}
        pending = [function]
        while pending:
            function = pending.pop()
            for caller, _ in self._callers[function]:
                if caller not in seen:
                    seen.add(caller)
                    pending.append(caller)
        return frozenset(seen & self.colours.entries)
