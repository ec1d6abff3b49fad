"""Rewrites the body of a function for the loop: awaits, async faces, bridges at the frontier.

Every call edge between two colours has one correct form, so this is the same for service code,
views and tests; what differs is only the set of functions that are native afterwards.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bridgekit_codemods.catalog.replacements import Replacement, replacement
from bridgekit_codemods.editing import Edit, nodes
from bridgekit_codemods.planning.blocks import (
    STREAM_LOOPS,
    async_blocks,
    file_uses,
    is_streaming,
    stream_uses,
    with_around,
)
from bridgekit_codemods.planning.bridges import THREAD_OPTIONS, TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours, uses_thread_bound
from bridgekit_codemods.planning.generators import first_name, generator_around
from bridgekit_codemods.planning.listeners import held_up_by_listeners
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.rendering import rendered_in_thread, rendering_waits
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.waiting_blocks import (
    closes,
    iterated,
    loop_over,
    managed_block,
    waits_when_iterated,
)
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.source import Span
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft
from bridgekit_codemods.rules.bindings import TakenNames, bound_names
from bridgekit_codemods.rules.hoisting import hoist_awaits
from bridgekit_codemods.rules.own_loops import (
    awaited_argument,
    coroutine_run,
    hands_a_coroutine_on,
)
from bridgekit_codemods.rules.waiting_blocks import drive_block, drive_loop

_ITERATOR_NAMES = ("steps", "items_made")


class Unconvertible(Exception):
    """The body has a shape that no rule converts; the function keeps its colour."""

    def __init__(self, function: Function, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.function = function
        self.finding = finding


@dataclass
class BodyRewriter:
    """Converts bodies. `callee_name` gives the name under which an async caller awaits a function,
    or None if the function is not native after the step."""

    colours: Colours
    obstacles: Obstacles
    draft: Draft
    callee_name: Callable[[Function], str | None]
    bridges_added: list[str] = field(default_factory=list)
    renamed_calls: dict[tuple[str, str], list[tuple[ast.Name, Function]]] = field(
        default_factory=dict
    )
    """(path, written name) to the calls that now use the twin's name there."""

    def convert(self, function: Function) -> None:
        """Registers the edits that turn the body of `function` into that of an `async def`.

        Raises:
            Unconvertible: some use has no async form; nothing registered may be used then.
        """
        bridged: list[tuple[CallSite, ast.expr]] = []
        awaited: list[ast.AST] = []
        driven = self._driven(function, bridged)
        for site in self.colours.sites(function):
            if site.awaited or site.kind not in ("call", "property", "hidden", "template"):
                continue
            if site.kind == "template":
                self._rendering(site, bridged)
                continue
            if site.kind == "hidden":
                self._hidden(function, site, bridged, awaited)
                continue
            if site.node in driven or hands_a_coroutine_on(site):
                continue
            if self._native_call(function, site) or self._library_call(function, site):
                awaited.append(site.node)
                self._around(site)
            elif self._blocks(site) and isinstance(site.node, ast.expr):
                bridged.append((site, site.node))
        for load in self.colours.lazy_loads.get(function, ()):
            self._bridge_whole(function, load.node)
            awaited.append(load.node)
        self._bridge(function, bridged, awaited)
        hoist_awaits(self.colours, self.draft, function)

    def _driven(self, function: Function, bridged: list[tuple[CallSite, ast.expr]]) -> set[ast.AST]:
        """Loops and blocks over library objects that wait; gives the expressions they are over."""
        done: set[ast.AST] = set()
        own_form = async_blocks(self.colours, function)
        for site in self.colours.sites(function):
            node = iterated(self.colours, site)
            if (
                node in done
                or node in own_form
                or not isinstance(node, ast.expr)
                or not self._blocks(site)
            ):
                continue
            file, edits = self.colours.program.files[site.path], self.draft.edits(site.path)
            statement = managed_block(self.colours, site)
            if statement is not None:
                self.needs(function, node, "bridgekit", "async_context_manager")
                drive_block(file, edits, node, statement, self._options([site]))
                self.bridges_added.append(f"to_thread: {site.name} in {function.qualname}")
            elif waits_when_iterated(self.colours, site):
                loop = loop_over(self.colours, site)
                if isinstance(loop, ast.Call):
                    bridged.append((site, loop))
                    continue
                if loop is None:
                    raise self._refuse(
                        function, node,
                        f"{site.name}(...) gives an iterator that waits at each step",
                        "iterate it in a `for`, or make a list of it where it is made",
                    )  # fmt: skip
                self.needs(function, node, "bridgekit", "async_iterator")
                closed_as = self._closing_name(function, site) if closes(site) else None
                drive_loop(file, edits, node, loop, self._options([site]), closed_as)
                self.bridges_added.append(f"to_thread: {site.name} in {function.qualname}")
            else:
                continue
            done.add(node)
        return done

    def _closing_name(self, function: Function, site: CallSite) -> str:
        """A free name for the iterator, which is closed where the loop ends."""
        for name in _ITERATOR_NAMES:
            if name not in bound_names(function.node):
                return name
        raise self._refuse(
            function, site.node, f"the names {', '.join(_ITERATOR_NAMES)} are taken",
            "rename one of them",
        )  # fmt: skip

    def _hidden(
        self,
        function: Function,
        site: CallSite,
        bridged: list[tuple[CallSite, ast.expr]],
        awaited: list[ast.AST],
    ) -> None:
        """What library code calls inside the call goes to a worker thread with the call."""
        assert isinstance(site.node, ast.Call)
        if not self._blocks(site):
            return
        if site.node in awaited:
            raise self._refuse(
                function, site.node, f"{site.name}(...) is awaited, and calls blocking code itself",
                "give it nothing that waits",
            )  # fmt: skip
        if all(node is not site.node for _, node in bridged):
            bridged.append((site, site.node))

    def _rendering(self, site: CallSite, bridged: list[tuple[CallSite, ast.expr]]) -> None:
        """A template that calls what blocks is rendered in a worker thread."""
        if not isinstance(site.node, ast.Call) or rendering_waits(self.colours, site) is None:
            return
        if not rendered_in_thread(self.colours.program, site):
            return
        if all(node is not site.node for _, node in bridged):
            bridged.append((site, site.node))

    def _span(self, path: str, node: ast.AST) -> Span:
        return self.colours.program.files[path].span(node)

    def _edit(self, path: str, kind: str, node: ast.AST, edit: Edit) -> None:
        self.draft.edits(path).at(kind, self._span(path, node), edit)

    def _refuse(self, function: Function, node: ast.AST, reason: str, remedy: str) -> Unconvertible:
        line = getattr(node, "lineno", function.node.lineno)
        finding = Finding(function.path, line, "BK330", reason, remedy, function.qualname)
        return Unconvertible(function, finding)

    def needs(
        self, function: Function, node: ast.AST, module: str, name: str | None = None
    ) -> None:
        """Imports what a rewrite writes, unless the file means something else by the name."""
        if self.colours.program.derived(TakenNames).taken(function.path, module, name):
            raise self._refuse(
                function, node, f"the name {name or module} means something else in this file",
                "give the other one another name",
            )  # fmt: skip
        self.draft.edits(function.path).add_import(module, name)

    # -- awaited calls ---------------------------------------------------------------------------

    def _native_call(self, function: Function, site: CallSite) -> bool:
        """Awaits a call of the program's own async functions."""
        targets = [target.function for target in site.targets if target.grade != "guess"]
        names = {self.callee_name(target) for target in targets}
        if not targets or names == {None} or site.kind != "call":
            return False
        node = site.node
        if not isinstance(node, ast.Call) or None in names or len(names) != 1:
            raise self._refuse(
                function,
                node,
                f"{site.name}(...) reaches functions of two colours",
                "give the functions one name and colour",
            )
        (name,) = names
        assert name is not None
        if any(target.is_generator and target.is_async for target in targets):
            raise self._refuse(
                function, node, f"{site.name}(...) is an async generator", "iterate it by hand"
            )
        written = self._written_name(node)
        if name not in {target.name for target in targets}:
            if written is None:
                raise self._refuse(
                    function, node, "the called function has no name here", "give it a name"
                )
            twin = written.removesuffix(TWIN_SUFFIX) + TWIN_SUFFIX
            self._edit(site.path, "Call", node, nodes.renamed_callee(twin))
            if isinstance(node.func, ast.Name):
                key = (site.path, written)
                self.renamed_calls.setdefault(key, []).append((node.func, targets[0]))
        self._edit(site.path, "Call", node, nodes.awaited)
        return True

    @staticmethod
    def _written_name(node: ast.Call) -> str | None:
        match node.func:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name
            case _:
                return None

    def _library_call(self, function: Function, site: CallSite) -> bool:
        """Replaces a blocking library call by its async form, where it has one."""
        node = site.node
        if not isinstance(node, ast.Call) or not site.externals:
            return False
        found = [replacement(dotted) for dotted in site.externals]
        if any(form is None for form in found) or len(set(found)) != 1:
            return False
        form = found[0]
        assert form is not None
        match form.style:
            case "face":
                return self._face(function, site, node, form)
            case "sleep":
                edits = self.draft.edits(site.path)
                self._edit(site.path, "Call", node, nodes.replaced_callee("anyio.sleep"))
                self._edit(site.path, "Call", node, nodes.awaited)
                self.needs(function, node, "anyio")
                edits.drop_import("time")
                edits.drop_import("time", "sleep")
                return True
            case "run_process":
                return self._run_process(function, site, node)
            case "run":
                if coroutine_run(self.colours, site) is None:
                    return False
                self._edit(site.path, "Call", node, awaited_argument)
                self.draft.edits(site.path).drop_import("asyncio")
                return True
            case "open":
                return self._open(function, site, node)

    def _face(self, function: Function, site: CallSite, node: ast.Call, form: Replacement) -> bool:
        if not isinstance(node.func, ast.Attribute):
            return False
        program = self.colours.program
        if "db" in self.colours.external_effects(site) and (
            node.func.attr in program.derived(held_up_by_listeners)
        ):
            return False
        if is_streaming(site):
            uses = stream_uses(self.colours, site)
            statement = with_around(self.colours, site)
            if not uses or statement is None:
                raise self._refuse(
                    function,
                    node,
                    "a streamed response is used beyond its `with` block",
                    "read it inside `with requests.get(..., stream=True) as response`",
                )
            self._edit(site.path, "With", statement, nodes.asynchronous)
            for loop in uses:
                assert isinstance(loop, ast.For)
                call = loop.iter
                assert isinstance(call, ast.Call)
                assert isinstance(call.func, ast.Attribute)
                rename = nodes.renamed_callee(STREAM_LOOPS[call.func.attr])
                self._edit(site.path, "Call", call, rename)
                self._edit(site.path, "For", loop, nodes.asynchronous)
        if form.rename is not None:
            self._edit(site.path, "Call", node, nodes.renamed_callee(form.rename))
        self._edit(site.path, "Call", node, nodes.through_attribute("aio"))
        self._edit(site.path, "Call", node, nodes.awaited)
        return True

    def _run_process(self, function: Function, site: CallSite, node: ast.Call) -> bool:
        """`subprocess.run` in the shapes that `anyio.run_process` reproduces exactly."""
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        capture = keywords.get("capture_output")
        if (
            len(node.args) != 1
            or not isinstance(node.args[0], ast.List | ast.Tuple)
            or not set(keywords) <= {"check", "capture_output", "cwd", "env"}
            or not (isinstance(capture, ast.Constant) and capture.value is True)
        ):
            return False
        check = [] if "check" in keywords else ["check=False"]
        self._edit(site.path, "Call", node, nodes.replaced_callee("anyio.run_process"))
        self._edit(site.path, "Call", node, nodes.without_keyword("capture_output"))
        self._edit(site.path, "Call", node, nodes.with_keywords(check))
        self._edit(site.path, "Call", node, nodes.awaited)
        self.needs(function, node, "anyio")
        self.draft.edits(site.path).drop_import("subprocess")
        return True

    def _open(self, function: Function, site: CallSite, node: ast.Call) -> bool:
        """`with open(...) as f` -> `async with await anyio.open_file(...) as f`."""
        uses = file_uses(self.colours, site)
        statement = with_around(self.colours, site)
        if not uses or statement is None:
            return False
        self._edit(site.path, "With", statement, nodes.asynchronous)
        self._edit(site.path, "Call", node, nodes.replaced_callee("anyio.open_file"))
        self._edit(site.path, "Call", node, nodes.awaited)
        for use in uses:
            if isinstance(use, ast.For):
                self._edit(site.path, "For", use, nodes.asynchronous)
            else:
                self._edit(site.path, "Call", use, nodes.awaited)
        self.needs(function, node, "anyio")
        return True

    def _around(self, site: CallSite) -> None:
        """A generator expression that is consumed at once becomes a list, so that it may await."""
        generator = generator_around(self.colours, site) if site.in_genexp else None
        if generator is not None and site.node is not generator.generators[0].iter:
            span = self._span(site.path, first_name(generator.generators[0].target))
            edits = self.draft.edits(site.path)
            if not edits.has("GeneratorExp", span):
                edits.at("GeneratorExp", span, nodes.list_comprehension)

    # -- bridges ---------------------------------------------------------------------------------

    def _blocks(self, site: CallSite) -> bool:
        if self._converted_with_its_file(site):
            return False
        return bool(self.colours.external_effects(site)) or any(
            self.colours.blocks(target.function)
            for target in site.targets
            if target.grade != "guess" or site.kind != "hidden"
            if not target.function.is_async
            if not target.function.is_generator or site.kind in ("iter", "with")
        )

    def _converted_with_its_file(self, site: CallSite) -> bool:
        return self.draft.edits(site.path).has("Call", site.span)

    def _bridge(
        self,
        function: Function,
        bridged: list[tuple[CallSite, ast.expr]],
        awaited: list[ast.AST],
    ) -> None:
        """Sends what stays blocking to a worker thread, the longest chain of calls in one trip."""
        nodes_bridged = [node for _, node in bridged]
        chained = {
            inner
            for node in nodes_bridged
            for inner in _callee_chain(node)
            if inner in nodes_bridged
        }
        wholes = [
            node
            for site, node in bridged
            if node not in chained
            and (
                site.kind == "property"
                or node is not site.node
                or self._clashes(node)
                or any(inner in chained for inner in _callee_chain(node))
            )
        ]
        covered = {part for node in wholes for part in ast.walk(node) if part is not node}
        for site, node in bridged:
            if node in covered or self._converted_with_its_file(site):
                continue
            parts = set(ast.walk(node))
            options = self._options(other for other, part in bridged if part in parts)
            if node in wholes:
                if any(part in parts for part in awaited):
                    raise self._refuse(
                        function,
                        node,
                        "a blocking expression holds one that must be awaited",
                        "give the awaited part a name first",
                    )
                self._bridge_whole(function, node, options)
                self._around(site)
            else:
                self._edit(site.path, "Call", node, nodes.in_thread(options))
                self._note(function, site.name, node)
                self._around(site)

    def _bridge_whole(
        self, function: Function, node: ast.expr, options: tuple[str, ...] = ()
    ) -> None:
        kind = "Attribute" if isinstance(node, ast.Attribute) else "Call"
        self._edit(function.path, kind, node, nodes.in_thread_whole(options))
        name = ast.unparse(node).replace("\n", " ")
        self._note(function, name if len(name) < 40 else name[:37] + "...", node)

    def _note(self, function: Function, what: str, node: ast.AST) -> None:
        self.needs(function, node, "bridgekit", "to_thread")
        self.bridges_added.append(f"to_thread: {what} in {function.qualname}")

    def _options(self, sites: Iterable[CallSite]) -> tuple[str, ...]:
        bound = any(
            uses_thread_bound(each)
            or any(t.function in self.colours.thread_bound for t in each.targets)
            for each in sites
        )
        return ('affinity="context"',) if bound else ()

    @staticmethod
    def _clashes(node: ast.expr) -> bool:
        """Says whether a keyword of the call would be taken for an option of the bridge."""
        return isinstance(node, ast.Call) and any(
            keyword.arg is None or keyword.arg in THREAD_OPTIONS for keyword in node.keywords
        )


def _callee_chain(node: ast.expr) -> list[ast.expr]:
    """The expressions before the dots: for `a().b().c()` these are `a().b()` and `a()`."""
    found: list[ast.expr] = []
    current: ast.expr = node
    while True:
        match current:
            case ast.Call(func=inner) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
                current = inner
                found.append(inner)
            case _:
                return found
