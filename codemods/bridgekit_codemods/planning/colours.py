"""The colour of every function, and which functions should change theirs.

`pure` never blocks, `blocking` blocks itself or through what it calls, `native` is `async def`. A
sync facade over an async twin counts as native: whoever becomes async calls the twin.

A function is *wanted* (should become async) when an async-capable framework reaches it through
functions that can become async, and it uses something that has an async form. Everything else that
blocks stays sync and is reached through a thread bridge. That keeps code which only a command line
or a worker thread runs exactly as it is.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.catalog.replacements import replacement
from bridgekit_codemods.planning.bridges import is_thread_bridge, twin_of
from bridgekit_codemods.planning.frameworks import (
    REQUEST_AWAITABLES,
    entries,
    is_framework_coroutine,
    is_request_awaitable,
    sync_entries,
)
from bridgekit_codemods.planning.implicit import implicit_sites, waiting
from bridgekit_codemods.planning.reach import calls_what_it_wraps
from bridgekit_codemods.planning.scope import FRAMEWORK
from bridgekit_codemods.planning.thread_locals import THREAD_LOCAL, thread_local_uses
from bridgekit_codemods.program.calls import CallSite, Target
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_THREAD_BOUND = (
    "sqlite3.", "threading.local", "redis.lock.Lock.",
    "tenacity.Retrying.", "tenacity.BaseRetrying.",
)  # fmt: skip
"""Objects that only the thread that made them may use, and those that keep something for each."""
# Reading the attribute sends no query: it is loaded, it never is, or a method of it asks.
_EAGER = frozenset(
    {
        "selectin", "joined", "immediate", "subquery", "raise", "raise_on_sql", "noload",
        "write_only", "dynamic",
    }
)  # fmt: skip
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Forms = Callable[[CallSite], frozenset[str]]
"""The kinds of waiting for which a site has an async form."""


@dataclass(frozen=True)
class LazyLoad:
    """A relationship attribute whose access sends a query."""

    path: str
    node: ast.Attribute
    user: Function


class Colours:
    """Colours of one program. Pure function of the program; nothing is ever written.

    Whoever needs them asks for `program.derived(Colours)`, which all rules share.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.facades: dict[Function, Function] = {}
        for function in program.functions.values():
            twin = twin_of(program, function)
            if twin is not None:
                self.facades[function] = twin
        self._awaitables: dict[Function, list[ast.Attribute]] = {}
        self.entries = entries(program)
        self.sync_entries = sync_entries(program)

    def parents(self, path: str) -> dict[ast.AST, ast.AST]:
        """The parent of each node of that file."""
        return self.program.files[path].parents

    def native(self, function: Function) -> bool:
        """Says whether an async caller can await the function (itself or its twin)."""
        return function.is_async or function in self.facades

    def own_nodes(self, function: Function) -> Iterator[ast.AST]:
        """The nodes of a function's body without those of nested functions and classes."""
        pending: list[ast.AST] = list(function.node.body)
        while pending:
            node = pending.pop()
            if isinstance(node, _Scope):
                continue
            yield node
            pending.extend(ast.iter_child_nodes(node))

    def bridged(self, site: CallSite) -> bool:
        """Says whether the site stands in a lambda that a thread bridge runs."""
        if not site.in_lambda:
            return False
        parents = self.parents(site.path)
        node: ast.AST | None = site.node
        while node is not None and not isinstance(node, ast.Lambda):
            node = parents.get(node)
        call = parents.get(node) if node is not None else None
        return (
            isinstance(call, ast.Call)
            and node is not call.func
            and is_thread_bridge(self.program.resolve(site.path, call.func))
        )

    def sites(self, function: Function) -> tuple[CallSite, ...]:
        """The sites of a function that run on the thread that runs the function."""
        return self._sites[function]

    @property
    def all_sites(self) -> Mapping[Function, tuple[CallSite, ...]]:
        """What `sites` gives, for every function of the program."""
        return self._sites

    @cached_property
    def _sites(self) -> dict[Function, tuple[CallSite, ...]]:
        found: dict[Function, list[CallSite]] = {f: [] for f in self.program.functions.values()}
        for site in self.program.calls:
            caller = site.caller
            if caller is None or site.kind == "decorator" or self.bridged(site):
                continue
            found[caller].append(site)
        waits = waiting(self.program, self.facades)
        for function, sites in implicit_sites(self.program, waits).items():
            found[function] += sites
        return {function: tuple(sites) for function, sites in found.items()}

    def external_effects(self, site: CallSite) -> frozenset[str]:
        """What library code this site may wait for: "http", "db", "sleep", ..."""
        if site.awaited:
            return frozenset()
        effects = (blocking(dotted) for dotted in site.externals)
        return frozenset(effect.blocks for effect in effects if effect is not None)

    @cached_property
    def _around(self) -> dict[Function, tuple[CallSite, ...]]:
        found: dict[Function, tuple[CallSite, ...]] = {}
        for function in self.program.functions.values():
            if not function.decorators or function.is_async:
                continue
            sites = tuple(
                site
                for wrapper in self.program.wrappers_of(function)
                if not wrapper.is_async
                for site in self._sites[wrapper]
                if not calls_what_it_wraps(site)
                and all(target.function is not function for target in site.targets)
            )
            if sites:
                found[function] = sites
        return found

    def running(self, function: Function) -> tuple[CallSite, ...]:
        """The sites that run when somebody calls the function by its name.

        Those of `sites`, and what the wrappers that the program's own decorators put around the
        function do beside calling it.
        """
        around = self._around.get(function)
        return self._sites[function] + around if around else self._sites[function]

    @cached_property
    def lazy_loads(self) -> dict[Function, list[LazyLoad]]:
        """Attribute accesses that send a query because their relationship is loaded lazily."""
        lazy = {
            (relationship.cls.qualname, relationship.attr)
            for relationship in self.program.relationships.values()
            if relationship.lazy not in _EAGER
        }
        found: dict[Function, list[LazyLoad]] = defaultdict(list)
        for use in self.program.attribute_uses:
            if use.user is None or not isinstance(use.node.ctx, ast.Load):
                continue
            if any((ref.name, use.attr) in lazy for ref in use.receiver):
                found[use.user].append(LazyLoad(use.path, use.node, use.user))
        return found

    def request_awaitables(self, function: Function) -> list[ast.Attribute]:
        """Reads of request attributes that Quart made awaitable."""
        if function.path not in self._request_readers:
            return []
        found = self._awaitables.get(function)
        if found is None:
            found = self._awaitables[function] = [
                node
                for node in self.own_nodes(function)
                if isinstance(node, ast.Attribute)
                and node.attr in REQUEST_AWAITABLES
                and isinstance(node.ctx, ast.Load)
                and is_request_awaitable(self.program.resolve(function.path, node) or "")
            ]
        return found

    @cached_property
    def _request_readers(self) -> frozenset[str]:
        """The files that may read such attributes: those in which one of their names occurs."""
        return frozenset(
            path
            for path, file in self.program.files.items()
            if any(name in file.text for name in REQUEST_AWAITABLES)
        )

    @cached_property
    def _blocks(self) -> dict[Function, frozenset[str]]:
        blocks: dict[Function, frozenset[str]] = {}
        callers: dict[Function, set[Function]] = defaultdict(set)
        thread_locals = self.program.derived(thread_local_uses)
        for function in self._sites:
            effects: set[str] = set()
            if function in thread_locals:
                effects.add(THREAD_LOCAL)
            for site in self.running(function):
                effects |= self.external_effects(site)
                for target in site.targets:
                    callers[target.function].add(function)
            if function in self.lazy_loads:
                effects.add("db")
            if function in self.facades:
                effects.add("bridge")
            blocks[function] = frozenset() if function.is_async else frozenset(effects)
        pending = [function for function, effects in blocks.items() if effects]
        while pending:
            callee = pending.pop()
            # Calling a generator function runs none of it, but iterating does: count it all.
            for caller in callers[callee]:
                if caller.is_async or blocks[callee] <= blocks[caller]:
                    continue
                blocks[caller] |= blocks[callee]
                pending.append(caller)
        return blocks

    def blocks(self, function: Function) -> frozenset[str]:
        """What a call of this sync function may wait for; empty for pure and native ones."""
        return self._blocks[function]

    def blocks_itself(self, function: Function) -> bool:
        """Says whether the body of a sync function may wait, whatever is wrapped around it."""
        if function not in self._around:
            return bool(self.blocks(function))
        return (
            function in self.facades
            or function in self.lazy_loads
            or function in self.program.derived(thread_local_uses)
            or any(
                self.external_effects(site) or any(self.blocks(t.function) for t in site.targets)
                for site in self._sites[function]
            )
        )

    def colour(self, function: Function) -> str:
        """`pure`, `blocking` or `native`."""
        if self.native(function):
            return "native"
        return "blocking" if self.blocks(function) else "pure"

    @cached_property
    def thread_bound(self) -> frozenset[Function]:
        """Functions that use, themselves or through others, objects bound to one thread."""
        callers: dict[Function, set[Function]] = defaultdict(set)
        bound: set[Function] = set(self.program.derived(thread_local_uses))
        for function in self._sites:
            for site in self.running(function):
                if uses_thread_bound(site):
                    bound.add(function)
                for target in site.targets:
                    callers[target.function].add(function)
        pending = list(bound)
        while pending:
            for caller in callers[pending.pop()] - bound:
                bound.add(caller)
                pending.append(caller)
        return frozenset(bound)

    def awaitable_here(self, site: CallSite) -> bool:
        """Says whether the site has an async form of its own: a library twin or a framework's."""
        return bool(self.forms(site))

    def forms(self, site: CallSite) -> frozenset[str]:
        """The kinds of waiting for which the site has an async form of its own now."""
        if site.awaited or site.kind in ("hidden", "template"):
            return frozenset()
        found: set[str] = set()
        for dotted in site.externals:
            form = replacement(dotted)
            if form is not None and form.style != "open":
                effect = blocking(dotted)
                found.add(effect.blocks if effect is not None else "http")
            if is_framework_coroutine(dotted):
                found.add(FRAMEWORK)
        return frozenset(found)

    def uses_async_form(
        self, function: Function, only: frozenset[str] | None = None, forms: Forms | None = None
    ) -> bool:
        """Says whether the function itself uses something that has an async form.

        `only` are the kinds of waiting that count, None for all. `forms` says what has an async
        form, in place of what has one now.
        """
        if self.request_awaitables(function) and (only is None or FRAMEWORK in only):
            return True
        forms = forms or self.forms
        for site in self.sites(function):
            # sync code that calls an `async def` itself hands the coroutine on and does not wait
            if any(target.function in self.facades for target in site.targets):
                return True
            kinds = forms(site)
            if kinds if only is None else kinds & only:
                return True
        return False

    def wanted(
        self,
        movable: Iterable[Function],
        only: frozenset[str] | None = None,
        goals: frozenset[Function] | None = None,
        forms: Forms | None = None,
    ) -> frozenset[Function]:
        """Of the functions that may change colour, those that should.

        `movable` are sync functions without an obstacle. `goals` are the functions for whose sake
        others change; None for all that a framework may await. `only` and `forms` are those of
        `uses_async_form`. What calls a native function is wanted whatever that waits for: a
        function that is native already needs no reason.
        """
        candidates = {f for f in movable if not self.native(f)}
        needs = {f for f in candidates if self.uses_async_form(f, only, forms)}
        callers: dict[Function, set[Function]] = defaultdict(set)
        for function in candidates:
            for site in self.sites(function):
                for target in _called(site):
                    callers[target.function].add(function)
        pending = list(needs)
        while pending:
            for caller in callers[pending.pop()] - needs:
                needs.add(caller)
                pending.append(caller)
        roots = self._roots(goals, needs)
        seen: set[Function] = set(roots)
        pending = list(roots)
        while pending:
            for site in self.sites(pending.pop()):
                for target in _called(site):
                    for function in self.program.family(target.function):
                        if function in needs and function not in seen:
                            seen.add(function)
                            pending.append(function)
        # A family moves as one: members that do not block themselves move along.
        for function in list(seen):
            seen |= self.program.family(function)
        return frozenset(f for f in seen if f in candidates)

    def _roots(self, goals: frozenset[Function] | None, needs: set[Function]) -> list[Function]:
        """Where the walk downward begins: what the loop will run, or runs already."""
        if goals is None:
            roots = [f for f in self.entries if f in needs or self.native(f)]
            return roots + [f for f in self.program.functions.values() if f.is_async]
        roots = [f for f in goals if f in needs or self.native(f)]
        return self._with_natives(roots)

    def _with_natives(self, roots: list[Function]) -> list[Function]:
        """The roots with the native functions below them, through which the walk goes on."""
        seen = set(roots)
        pending = list(roots)
        while pending:
            function = pending.pop()
            below = [self.facades[function]] if function in self.facades else []
            for site in self.sites(function):
                below += [t.function for t in site.targets if self.native(t.function)]
            for callee in below:
                if callee not in seen:
                    seen.add(callee)
                    pending.append(callee)
        return list(seen)


def _called(site: CallSite) -> tuple[Target, ...]:
    """What the site calls itself: library code that calls a function does not await it."""
    return () if site.kind in ("hidden", "template") else site.targets


def uses_thread_bound(site: CallSite) -> bool:
    """Says whether the site uses an object that only the thread that made it may use."""
    return any(dotted.startswith(_THREAD_BOUND) for dotted in site.externals)
