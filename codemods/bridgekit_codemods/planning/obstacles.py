"""Why a function may not become async: what cannot be proved safe stays sync behind a bridge."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property

from bridgekit_codemods.planning.arity import accepts
from bridgekit_codemods.planning.blocks import (
    async_blocks,
    file_uses,
    is_streaming,
    stream_uses,
)
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.constructs import hindrances, hindrances_at, shape
from bridgekit_codemods.planning.decorators import (
    CACHES,
    CONTEXT_MANAGERS,
    TRANSPARENT,
    awaits_what_it_wraps,
    is_two_coloured,
    written,
)
from bridgekit_codemods.planning.frameworks import is_entry_registration
from bridgekit_codemods.planning.generators import consumed_at_once
from bridgekit_codemods.planning.own_ways import own_ways
from bridgekit_codemods.planning.rendering import rendered_in_thread, rendering_waits
from bridgekit_codemods.planning.retries import RETRY, retry_problem
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.thread_locals import thread_local_uses
from bridgekit_codemods.planning.values import through_a_value
from bridgekit_codemods.planning.waiting_blocks import (
    loop_over,
    managed_block,
    waits_when_iterated,
)
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function


class Obstacles:
    """Looks for what stands in the way of a function's change of colour.

    `kept` are qualified names whose change turned the guard red in an earlier step. `held` are
    functions that stay sync by choice, each with the finding that says whose.
    """

    def __init__(
        self,
        colours: Colours,
        kept: frozenset[str] = frozenset(),
        held: Mapping[Function, Finding] | None = None,
    ) -> None:
        self.colours = colours
        self.held = held or {}
        self.program: Program = colours.program
        self.kept = kept
        self._found: dict[Function, tuple[Finding, ...]] = {}

    def of(self, function: Function) -> tuple[Finding, ...]:
        """The obstacles of the function itself; empty if it may become async."""
        if function not in self._found:
            self._found[function] = tuple(self._look(function))
        return self._found[function]

    @cached_property
    def movable(self) -> frozenset[Function]:
        """Sync functions that may become async together with the whole of their family."""
        free = {
            function
            for function in self.program.functions.values()
            if not self.colours.native(function)
            and not self.program.files[function.path].is_test
            and not self.of(function)
        }
        return frozenset(
            function
            for function in free
            if all(
                member in free or self.colours.native(member)
                for member in self.program.family(function)
            )
        )

    def _finding(
        self, function: Function, node: ast.AST, code: str, reason: str, remedy: str
    ) -> Finding:
        line = getattr(node, "lineno", function.node.lineno)
        return Finding(function.path, line, code, reason, remedy, function.qualname)

    def _look(self, function: Function) -> Iterator[Finding]:
        node = function.node
        if function in self.held:
            yield self.held[function]
        if function.qualname in self.kept:
            yield self._finding(
                function,
                node,
                "BK301",
                "kept back: the guard was red, no test reaches it, or someone left it out",
                "`bridgekit show STEP` says which; change that, then `bridgekit redo STEP`",
            )
        if function in self.colours.sync_entries:
            api = self.colours.sync_entries[function]
            yield self._finding(
                function,
                node,
                "BK302",
                f"{api} calls it and does not await",
                "none needed: what it calls is reached through bridges",
            )
        local = self.program.derived(thread_local_uses).get(function)
        if local is not None:
            yield self._finding(
                function, local, "BK350",
                f"uses the threading.local {ast.unparse(local)}, which all tasks would share",
                "none needed: it runs on the thread of its request; a ContextVar would let it flip",
            )  # fmt: skip
        for hindrance in (*hindrances(self.colours, function), *shape(self.colours, function)):
            yield self._finding(function, *hindrance)
        yield from self._decorators(function)
        yield from self._uses(function)
        for site in self.colours.sites(function):
            yield from self._site(function, site)

    def _decorators(self, function: Function) -> Iterator[Finding]:
        for decorator in function.decorators:
            dotted = decorator.dotted
            if dotted is not None and (
                dotted in TRANSPARENT
                or dotted in CACHES
                or is_entry_registration(dotted)
                or awaits_what_it_wraps(dotted)
            ):
                continue
            if dotted in CONTEXT_MANAGERS or function.is_property:
                continue
            if decorator.project is not None and is_two_coloured(decorator.project):
                continue
            if function in self.colours.sync_entries and dotted is not None:
                continue
            if dotted in RETRY:
                problem = retry_problem(self.colours, function, decorator)
                if problem is not None:
                    remedy = "none needed: it is retried in a worker thread"
                    yield self._finding(function, decorator.node, "BK308", problem, remedy)
                continue
            yield self._finding(
                function,
                decorator.node,
                "BK308",
                f"decorator {written(decorator)} may not accept a coroutine function",
                "give the decorator an async form, or add it to the catalog",
            )
        if any(decorator.dotted in CONTEXT_MANAGERS for decorator in function.decorators):
            yield self._finding(
                function,
                function.node,
                "BK309",
                "a context manager used with plain `with`",
                "write an asynccontextmanager beside it",
            )

    def _uses(self, function: Function) -> Iterator[Finding]:
        """Uses of the function elsewhere that its sync facade could not serve."""
        if function in self.colours.entries:
            wrappers = tuple(
                f"{decorator.project.qualname}.<locals>."
                for decorator in function.decorators
                if decorator.project is not None
            )
            for site in self.program.callers_of(function):
                if site.caller is not None and site.caller.qualname.startswith(wrappers):
                    continue
                yield self._finding(
                    function,
                    function.node,
                    "BK310",
                    f"a view that is also called directly, at {site.path}:{site.span.line}",
                    "move the shared part into a function of its own",
                )
            return
        taken = f"{function.qualname.rpartition('.')[0]}.{function.name}{TWIN_SUFFIX}"
        if taken in self.program.functions:
            yield self._finding(
                function, function.node, "BK311", f"the name {taken} is taken", "rename one of them"
            )

    def _site(self, function: Function, site: CallSite) -> Iterator[Finding]:
        colours = self.colours
        project = [t for t in site.targets if t.grade != "guess"]
        guesses = [t for t in site.targets if t.grade == "guess"]
        blocking_targets = [
            t for t in project if colours.native(t.function) or colours.blocks(t.function)
        ]
        effects = colours.external_effects(site)
        matters = bool(blocking_targets or effects or colours.awaitable_here(site))
        if site.kind == "template":
            yield from self._template(function, site)
            return
        if guesses and any(
            colours.native(t.function) or colours.blocks(t.function) for t in guesses
        ):
            yield self._finding(
                function,
                site.node,
                "BK320",
                f"{site.name}(...) may reach blocking code, but its receiver is not known",
                "annotate the receiver",
            )
        if not project and not site.externals:
            yield from self._unknown_call(function, site)
        for code, reason, remedy in own_ways(colours, site):
            yield self._finding(function, site.node, code, reason, remedy)
        if not matters:
            return
        for hindrance in hindrances_at(colours, site):
            yield self._finding(function, *hindrance)
        if (
            site.kind != "hidden"
            and len({colours.native(t.function) for t in blocking_targets}) > 1
        ):
            yield self._finding(
                function,
                site.node,
                "BK321",
                f"{site.name}(...) reaches functions of two colours",
                "none: the next steps may solve it",
            )
        if blocking_targets and through_a_value(self.program, site):
            yield self._finding(
                function,
                site.node,
                "BK327",
                f"calls {site.name}, a function that it was given as a value",
                "none needed: it runs in a worker thread",
            )
        if site.in_lambda:
            yield self._finding(
                function,
                site.node,
                "BK322",
                f"a lambda calls {site.name}(...), which blocks",
                "write it as a nested function or a loop",
            )
        elif site.in_genexp and not consumed_at_once(colours, site):
            yield self._finding(
                function,
                site.node,
                "BK323",
                f"a generator expression calls {site.name}(...), which blocks",
                "make it a list comprehension",
            )
        if (
            site.kind in ("with", "iter")
            and "lock" not in effects
            and site.node not in async_blocks(colours, function)
            and managed_block(colours, site) is None
            and not (waits_when_iterated(colours, site) and loop_over(colours, site) is not None)
        ):
            yield self._finding(
                function,
                site.node,
                "BK324",
                f"a `{site.kind}` over something that blocks",
                "none needed: it runs in a worker thread",
            )
        if site.kind == "operator" and blocking_targets:
            yield self._finding(
                function,
                site.node,
                "BK324",
                f"an operator calls {blocking_targets[0].function.qualname}, which blocks",
                "call a method in its place",
            )
        if blocking_targets and _assigns(site):
            yield self._finding(
                function,
                site.node,
                "BK324",
                f"an assignment to {site.name} calls {blocking_targets[0].function.qualname}, "
                "which blocks",
                "call a method in its place",
            )
        if "lock" in effects:
            yield self._finding(
                function,
                site.node,
                "BK325",
                "a thread lock must not be held over an await",
                "use anyio.Lock once all users are async",
            )
        if "builtins.open" in site.externals and not file_uses(colours, site):
            yield self._finding(
                function,
                site.node,
                "BK326",
                "a file is used in a shape that has no async form",
                "none needed: the function runs in a worker thread",
            )
        if is_streaming(site) and not stream_uses(colours, site):
            yield self._finding(
                function,
                site.node,
                "BK328",
                "a streamed response is used beyond its `with` block",
                "read it inside `with requests.get(..., stream=True) as response`",
            )

    def _template(self, function: Function, site: CallSite) -> Iterator[Finding]:
        """Templates are rendered by library code, which holds the loop up if they wait."""
        touched = rendering_waits(self.colours, site)
        if touched is not None and not rendered_in_thread(self.program, site):
            yield self._finding(
                function, site.node, "BK329", f"{touched}, and a template does not await",
                "let the function ask for it first, and give the template what it got",
            )  # fmt: skip

    def _unknown_call(self, function: Function, site: CallSite) -> Iterator[Finding]:
        node = site.node
        if not isinstance(node, ast.Call):
            return
        if isinstance(node.func, ast.Name):
            scope: Function | None = function
            while scope is not None:
                if any(param.name == node.func.id for param in scope.params):
                    yield self._finding(
                        function,
                        node,
                        "BK327",
                        f"calls {node.func.id}, which it was given",
                        "none needed: it runs in a worker thread",
                    )
                    return
                scope = scope.parent
        elif isinstance(node.func, ast.Attribute):
            name = node.func.attr
            for candidate in self.blocking_methods.get(name, ()):
                if not accepts(candidate, node):
                    continue
                yield self._finding(
                    function,
                    node,
                    "BK320",
                    f"{name}(...) may reach {candidate.qualname}, its receiver is not known",
                    "annotate the receiver",
                )
                return

    @cached_property
    def blocking_methods(self) -> dict[str, list[Function]]:
        """Blocking or native methods of the program by name."""
        found: dict[str, list[Function]] = {}
        for function in self.program.functions.values():
            if self.program.files[function.path].is_test or function.cls is None:
                continue
            if self.colours.native(function) or self.colours.blocks(function):
                found.setdefault(function.name, []).append(function)
        return found


def _assigns(site: CallSite) -> bool:
    """Whether the site assigns or deletes the attribute, so that no thread can do it for it."""
    return isinstance(site.node, ast.Attribute) and not isinstance(site.node.ctx, ast.Load)
