"""BK250 flask-to-quart: the application changes its framework, its tests change with it.

One step for the whole program, because the two frameworks' request contexts do not mix: imports
move, what Quart made awaitable is awaited, functions that stayed sync reach it through a bridge,
and tests use Quart's client. Source: Quart's migration guide and its API, compared call by call.

Safety: guarded. Proposed only when every name the program takes from Flask has a place in Quart and
every use has a known form; otherwise nothing is changed and the reasons are reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

import libcst as cst

from bridgekit_codemods.catalog.flask_extensions import flask_extension
from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.frameworks import is_framework_coroutine
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.rendering import rendering_waits
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.plugins.jinja import RENDERING
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.body import Unconvertible
from bridgekit_codemods.rules.dependencies import (
    beside_in_groups,
    changed_dependencies,
    project_files,
)
from bridgekit_codemods.rules.moves import move_imports
from bridgekit_codemods.rules.pytest_settings import asynchronous_tests
from bridgekit_codemods.rules.quart_names import SHIM, is_flask, moved_name
from bridgekit_codemods.rules.quart_tests import ClientUses, convert_tests

_RESPONSES = ("flask.Response", "flask.wrappers.Response", "quart.Response")
_RESPONSE_COROUTINES = frozenset({"get_data", "get_json", "freeze", "make_conditional", "add_etag"})


class FlaskToQuart:
    """Moves the program from Flask to Quart."""

    name = "flask-to-quart"
    code = "BK250"
    safety: Safety = "guarded"
    key = "quart:app"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """The change of framework, once nothing else is left to prepare."""
        if options.target != "quart" or self.key in kept or not _uses_flask(program):
            return None
        try:
            return self.build(program)
        except Unconvertible:
            return None

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """What keeps the program on Flask; on Quart, what changes for those who run it."""
        if options.target != "quart" or not _uses_flask(program):
            return tuple(_served_otherwise(program))
        found = tuple(_obstacles(program))
        if found:
            return found
        try:
            self._draft(program.derived(Colours))
        except Unconvertible as problem:
            return (problem.finding,)
        return ()

    def _draft(self, colours: Colours) -> tuple[Draft, frozenset[Function], list[str]]:
        """The edits of the code, the tests that become async, and the bridges.

        Raises:
            Unconvertible: a use has no form on Quart.
        """
        program = colours.program
        draft = Draft(program)
        for source in program.files.values():
            if source.tree is not None:
                _move(source, draft)
        rewriter = _AppRewriter(colours, draft)
        for function in program.functions.values():
            if not program.files[function.path].is_test:
                rewriter.convert(function)
        rewriter.module_level()
        rewriter.passed_on()
        flipped, added = convert_tests(colours, Obstacles(colours), draft)
        return draft, flipped, rewriter.bridges + added

    def build(self, program: Program) -> Step | None:
        """The step, None where something stands in its way.

        Raises:
            Unconvertible: a use has no form on Quart.
        """
        found = self._step(program.derived(Colours))
        if found is None:
            return None
        step, _ = found
        return replace(step, members=tuple(sorted(p for p in step.changes if p.endswith(".py"))))

    def ahead(self, colours: Colours) -> tuple[Step, frozenset[Function]] | None:
        """The step of a program that will have these colours, and the tests that it makes async.

        Its changes are those of the program as it is now and must not be written.
        """
        if not _uses_flask(colours.program):
            return None
        try:
            return self._step(colours)
        except Unconvertible:
            return None

    def _step(self, colours: Colours) -> tuple[Step, frozenset[Function]] | None:
        program = colours.program
        if any(_obstacles(program)):
            return None
        draft, flipped, bridges = self._draft(colours)
        changes = draft.changes(_changed_settings(program, bool(flipped)))
        step = Step(
            key=self.key,
            kind="quart",
            title="Run the application on Quart",
            members=tuple(path for path in changes.paths if path.endswith(".py")),
            changes=changes,
            bridges_added=tuple(bridges),
            milestone=True,
        )
        return step, flipped


def _changed_settings(program: Program, tests: bool) -> dict[str, bytes]:
    """The project's files with Quart among the dependencies, and with async tests if asked."""
    settings = project_files(program)
    settings.update(changed_dependencies(settings, ["quart>=0.20,<0.23"], ["flask"]))
    if tests:
        settings.update(beside_in_groups(settings, "pytest-asyncio>=1.2", "pytest"))
        settings.update(asynchronous_tests(settings))
    return {path: data for path, data in settings.items() if data != program.extra.get(path)}


def _served_otherwise(program: Program) -> Iterator[Finding]:
    for site in program.calls:
        if SHIM + ".Quart" in site.externals and not program.files[site.path].is_test:
            yield Finding(
                site.path,
                site.span.line,
                "BK259",
                "the application is an ASGI application now, and its commands run with `quart`",
                "in scripts, Procfile and Dockerfile: an ASGI server (uvicorn, hypercorn) for "
                "gunicorn or `flask run`, `quart --app` for `flask --app`",
            )
            return


def stays_on_flask(program: Program) -> bool:
    """Says whether it can be seen beforehand that the program cannot move to Quart as it is.

    Ask with `program.derived(stays_on_flask)`.
    """
    return _uses_flask(program) and any(_obstacles(program))


def _uses_flask(program: Program) -> bool:
    return any(
        is_flask(module)
        for source in program.files.values()
        if source.tree is not None
        for module, _, _ in _imports(source)
    )


def _imports(source: SourceFile) -> Iterator[tuple[str, str | None, ast.stmt]]:
    assert source.tree is not None
    for node in source.of(ast.ImportFrom):
        if not node.level and node.module:
            for alias in node.names:
                yield node.module, alias.name, node
    for plain in source.of(ast.Import):
        for alias in plain.names:
            yield alias.name, None, plain


def _obstacles(program: Program) -> Iterator[Finding]:
    for path, source in program.files.items():
        if source.tree is None:
            continue
        for module, name, node in _imports(source):
            extension = flask_extension(module)
            if extension is not None:
                yield Finding(
                    path,
                    node.lineno,
                    "BK251",
                    f"{extension.title} is an extension made for Flask: {extension.reason}",
                    f"under Quart: {extension.remedy}; or stay on Flask, where async views share "
                    "one event loop (--target flask)",
                )
            elif is_flask(module) and name is not None and moved_name(module, name) is None:
                yield Finding(
                    path,
                    node.lineno,
                    "BK252",
                    f"Quart has no counterpart of {module}.{name}",
                    "remove its use, or stay on Flask (--target flask)",
                )
    for cls in program.classes.values():
        if any(base in ("flask.Flask", "bridgekit.integrations.flask.Flask") for base in cls.bases):
            yield Finding(
                cls.path,
                cls.node.lineno,
                "BK253",
                f"{cls.name} overrides Flask's application",
                "move what it changes into hooks",
            )


def _move(source: SourceFile, draft: Draft) -> None:
    """Imports move; the class `Flask` is called `Quart` from now on."""
    edits = draft.edits(source.path)
    moved = move_imports(
        source,
        edits,
        lambda module, name: moved_name(module, name) if is_flask(module) else None,
        keep_local_names=False,
    )
    assert source.tree is not None
    renames: dict[str, str] = {}
    for node in source.of(ast.ImportFrom):
        if node.module and not node.level:
            for alias in node.names:
                place = moved_name(node.module, alias.name) if is_flask(node.module) else None
                if place is not None and place[1] != alias.name and alias.asname is None:
                    renames[alias.name] = place[1]
    if not moved or not renames:
        return
    for name in source.of(ast.Name):
        if name.id in renames:
            edits.at("Name", source.span(name), nodes.renamed(renames[name.id]))


class _AppRewriter:
    """Awaits what Quart made awaitable, in the application's own functions."""

    def __init__(self, colours: Colours, draft: Draft) -> None:
        self.colours = colours
        self.program = colours.program
        self.draft = draft
        self.bridges: list[str] = []
        self.contexts = ClientUses(colours).contexts

    def convert(self, function: Function) -> None:
        if function in self.colours.facades:
            return
        file = self.program.files[function.path]
        edits = self.draft.edits(function.path)
        for site in self.colours.sites(function):
            node = site.node
            if not isinstance(node, ast.Call) or site.awaited:
                continue
            if site.kind == "template":
                self._renders(site, function)
                continue
            if self._opens_resource(site, node, function):
                continue
            if (
                any(is_framework_coroutine(dotted) for dotted in site.externals)
                or (
                    site.name in _RESPONSE_COROUTINES
                    and any(ref.name in _RESPONSES for ref in site.receiver)
                )
                or (site.name == "save" and _is_upload(site))
            ):
                if site.in_lambda:
                    raise _stuck(function, node, f"a lambda calls {site.name}(...)")
                if function.is_async:
                    edits.at("Call", site.span, nodes.awaited)
                else:
                    edits.at("Call", site.span, nodes.wrapped_callee("async_to_sync"))
                    edits.add_import("bridgekit", "async_to_sync")
                    self.bridges.append(f"async_to_sync: {site.name} in {function.qualname}")
        if function.is_async:
            for statement in self.contexts(function):
                edits.at("With", file.span(statement), nodes.asynchronous)
        for attribute in self.colours.request_awaitables(function):
            if function.is_async:
                edits.at("Attribute", file.span(attribute), nodes.awaited)
                continue
            edits.at("Attribute", file.span(attribute), nodes.as_lambda_argument("async_to_sync"))
            edits.add_import("bridgekit", "async_to_sync")
            self.bridges.append(f"async_to_sync: request.{attribute.attr} in {function.qualname}")

    def _renders(self, site: CallSite, function: Function) -> None:
        """Quart renders on the event loop, also for a function in a worker thread.

        Not so context processors: it runs those that are sync in a worker thread.

        Raises:
            Unconvertible: the template calls something that blocks.
        """
        inside = tuple(target for target in site.targets if target.via != RENDERING)
        touched = rendering_waits(self.colours, replace(site, targets=inside))
        if touched is not None:
            raise Unconvertible(
                function,
                Finding(
                    function.path,
                    site.span.line,
                    "BK258",
                    f"{touched}, and Quart renders on the event loop",
                    "let the function ask for it first, and give the template what it got",
                    function.qualname,
                ),
            )

    def _opens_resource(self, site: CallSite, node: ast.Call, function: Function) -> bool:
        """Flask's `app.open_resource(x)` is `open` below the root path; Quart's is a coroutine."""
        if site.name != "open_resource" or not any(is_flask(d) for d in site.externals):
            return False
        if function.is_async or len(node.args) != 1 or node.keywords:
            raise _stuck(function, node, "open_resource(...) in a shape that has no async form")
        edits = self.draft.edits(site.path)
        edits.at("Call", site.span, _opened_below_root)
        edits.add_import("os")
        return True

    def passed_on(self) -> None:
        """A function that Quart made a coroutine function, given to whoever calls it plainly.

        Raises:
            Unconvertible: there is one.
        """
        for source in self.program.files.values():
            if source.tree is None:
                continue
            called = {node.func for node in source.of(ast.Call)}
            names: tuple[ast.Name | ast.Attribute, ...] = (
                *source.of(ast.Name),
                *source.of(ast.Attribute),
            )
            for node in names:
                if node in called or not isinstance(node.ctx, ast.Load):
                    continue
                dotted = self.program.resolve(source.path, node)
                if dotted is None or not is_framework_coroutine(dotted):
                    continue
                finding = Finding(
                    source.path,
                    node.lineno,
                    "BK255",
                    f"{dotted} is passed on as a value, to what will not await it",
                    "call it in an async view, or stay on Flask (--target flask)",
                )
                raise Unconvertible(next(iter(self.program.functions.values())), finding)

    def module_level(self) -> None:
        for site in self.program.calls:
            if site.caller is None and any(is_framework_coroutine(d) for d in site.externals):
                finding = Finding(
                    site.path,
                    site.span.line,
                    "BK254",
                    f"{site.name}(...) is called while the module is imported",
                    "move the call into a function",
                )
                raise Unconvertible(next(iter(self.program.functions.values())), finding)


def _opened_below_root(call: cst.Call) -> cst.BaseExpression:
    assert isinstance(call.func, cst.Attribute)
    code = cst.Module([]).code_for_node
    app, name = code(call.func.value), code(call.args[0].value)
    return nodes.expression(f'open(os.path.join({app}.root_path, {name}), "rb")')


def _is_upload(site: CallSite) -> bool:
    return any(dotted.endswith("FileStorage.save") for dotted in site.externals)


def _stuck(function: Function, node: ast.AST, reason: str) -> Unconvertible:
    line = getattr(node, "lineno", function.node.lineno)
    return Unconvertible(
        function,
        Finding(
            function.path,
            line,
            "BK255",
            reason + ", which only a coroutine can do on Quart",
            "make it part of an async view, or stay on Flask (--target flask)",
            function.qualname,
        ),
    )
