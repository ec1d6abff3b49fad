"""BK221 flask-on-portal: the application is made by `bridgekit.integrations.flask.Flask`.

What: where `Flask(...)` is called, the class comes from bridgekit; it is a subclass of Flask's. So
does Flask-Login's `LoginManager`, which then has the user ready before a coroutine asks for it.

Why: Flask runs each `async def` view on a fresh event loop in a fresh thread, so clients and
engines made by one request are useless to the next. The subclass runs them all on the one loop of
the process. Views that are plain functions run as before.
Source: https://flask.palletsprojects.com/en/stable/async-await/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.bindings import NameTaken, Needed
from bridgekit_codemods.rules.moves import move_imports, replaced_by

_FLASK = frozenset({"flask.Flask", "flask.app.Flask"})
_SHIM = "bridgekit.integrations.flask"
_LOGIN = frozenset({"flask_login.LoginManager", "flask_login.login_manager.LoginManager"})
_LOGIN_SHIM = "bridgekit.integrations.flask_login"


class FlaskBridge:
    """BK221 flask-on-portal: make the application with bridgekit's subclass of Flask."""

    name = "flask-on-portal"
    code = "BK221"
    safety: Safety = "exact"
    key = "views:flask-on-portal"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        if self.key in kept:
            return None
        draft = Draft(program)
        members: list[str] = []
        if not any(list(_constructions(program, s, _FLASK)) for s in program.files.values()):
            return None
        for source in program.files.values():
            calls = list(_constructions(program, source, _FLASK | _LOGIN))
            if not calls and not _imports_login(source):
                continue
            needed = Needed(source, "bridgekit")
            move_imports(source, draft.edits(source.path), _move)
            try:
                for call in calls:
                    if isinstance(call.func, ast.Attribute):
                        place = _place(program.resolve(source.path, call.func) or "")
                        local = needed.name(*place, ("flask", "flask.app", "flask_login"))
                        draft.edits(source.path).at(
                            "Attribute",
                            source.span(call.func),
                            replaced_by(local),
                        )
            except NameTaken:
                del draft.files[source.path]
                continue
            for module, name, alias in needed.imports.values():
                draft.edits(source.path).add_import(module, name, alias)
                draft.edits(source.path).drop_import("flask")
                draft.edits(source.path).drop_import("flask_login")
            members.append(source.module)
        if not members:
            return None
        return Step(
            key=self.key,
            kind="views",
            title="Run async views of the application on one event loop",
            members=tuple(members),
            changes=draft.changes(),
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                cls.path, cls.node.lineno, self.code,
                f"{cls.name} is the project's own subclass of Flask",
                f"derive it from {_SHIM}.Flask, so that async views share one event loop",
            )
            for cls in own_applications(program)
        )  # fmt: skip


def makes_application(program: Program) -> bool:
    """Says whether the program calls Flask's own class, and has no subclass of it."""
    made = {dotted for site in program.calls for dotted in site.externals}
    return bool(made & _FLASK) and not own_applications(program)


def own_applications(program: Program) -> list[Class]:
    """The project's own subclasses of Flask, tests left out: their `async def` views would run
    each on a loop of its own."""
    return [
        cls
        for cls in program.classes.values()
        if _FLASK & set(cls.bases) and not program.files[cls.path].is_test
    ]


def _constructions(
    program: Program, source: SourceFile, names: frozenset[str]
) -> Iterator[ast.Call]:
    if source.tree is None:
        return
    for node in source.of(ast.Call):
        if (
            isinstance(node.func, ast.Name | ast.Attribute)
            and program.resolve(source.path, node.func) in names
        ):
            yield node


def _imports_login(source: SourceFile) -> bool:
    """Says whether the file imports Flask-Login's class, to derive from it for instance."""
    return source.tree is not None and any(
        not node.level and f"{node.module}.{alias.name}" in _LOGIN
        for node in source.of(ast.ImportFrom)
        for alias in node.names
    )


def _place(dotted: str) -> tuple[str, str]:
    name = dotted.rpartition(".")[2]
    return (_LOGIN_SHIM if dotted in _LOGIN else _SHIM), name


def _move(module: str, name: str) -> tuple[str, str] | None:
    dotted = f"{module}.{name}"
    return _place(dotted) if dotted in _FLASK | _LOGIN else None
