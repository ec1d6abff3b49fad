"""BK211 two-colour-engine: engine and sessions come from `bridgekit.integrations.sqlalchemy`.

What: `create_engine`, `sessionmaker`, `scoped_session` and `Session` are imported from there, and
Flask-SQLAlchemy's `SQLAlchemy` from `bridgekit.integrations.flask_sqlalchemy`; annotations
included. Nothing else changes: in a thread the objects are SQLAlchemy's own, over the
asyncio driver of the same database. Alembic's files keep SQLAlchemy's own. A program whose
connection listeners test for the class of the driver's connection is refused, and each place named:
with the other driver the test would fail in silence.

Why: functions change colour one at a time while all code of a request shares one unit of work, so
one session object must serve `session.execute` and `await session.aio.execute`.
Source: https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.bindings import NameTaken, Needed
from bridgekit_codemods.rules.dependencies import (
    changed_dependencies,
    pinned_below,
    project_files,
)
from bridgekit_codemods.rules.moves import move_imports, replaced_by
from bridgekit_codemods.rules.sqlalchemy_listeners import connection_class_tests
from bridgekit_codemods.rules.sqlalchemy_names import counterpart, extension_names

# SQLAlchemy's asyncio support needs greenlet, and a driver for each database.
_DRIVERS = {
    "sqlite": "aiosqlite>=0.20",
    "postgresql": "asyncpg>=0.29",
    "mysql": "aiomysql>=0.2",
}
# The oldest releases that `bridgekit.integrations` works with.
_NEEDED = {"sqlalchemy": (2, 0, 40), "flask-sqlalchemy": (3, 1)}
# Methods of Flask-SQLAlchemy's class, of this release or an older one, that make what it offers.
_INTERNALS = frozenset(
    {
        "_make_engine", "_make_scoped_session", "_make_session_factory", "create_engine",
        "create_session", "create_scoped_session",
    }
)  # fmt: skip


class SqlalchemyEngine:
    """BK211 two-colour-engine: one engine and one session for sync and async callers."""

    name = "two-colour-engine"
    code = "BK211"
    safety: Safety = "guarded"
    key = "engine:two-colour"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        if self.key in kept or any(self._blockers(program)):
            return None
        draft = Draft(program)
        members: list[str] = []
        for source in program.files.values():
            if source.tree is None or _is_migration(source):
                continue
            moved = move_imports(source, draft.edits(source.path), _move)
            try:
                chained = self._chains(program, source, draft)
            except NameTaken:
                return None
            if moved or chained:
                members.append(source.module)
        if not members:
            return None
        needed = ["greenlet>=3", *_drivers(program)]
        beside = ["sqlalchemy", "flask-sqlalchemy"]
        settings = changed_dependencies(project_files(program), needed, beside=beside)
        return Step(
            key=self.key,
            kind="engine",
            title="Give the database engine and its sessions an async face",
            members=tuple(members),
            changes=draft.changes(settings),
            milestone=True,
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        return tuple(self._blockers(program))

    def _chains(self, program: Program, source: SourceFile, draft: Draft) -> bool:
        """`sa.create_engine` and `orm.Session`, through an imported module."""
        assert source.tree is not None
        needed = Needed(source, "bridgekit")
        for node in source.of(ast.Attribute):
            place = _through_module(program, source, node)
            if place is None:
                continue
            local = needed.name(*place, ("sqlalchemy", "sqlalchemy.orm", "flask_sqlalchemy"))
            draft.edits(source.path).at("Attribute", source.span(node), replaced_by(local))
        for module, name, alias in needed.imports.values():
            draft.edits(source.path).add_import(module, name, alias)
        return bool(needed.imports)

    def _blockers(self, program: Program) -> Iterator[Finding]:
        if not _uses_database(program):
            return
        for name, minimum in _NEEDED.items():
            for path, line, version in pinned_below(project_files(program), name, minimum):
                least = ".".join(map(str, minimum))
                yield Finding(
                    path, line, self.code,
                    f"{name} is held at {version}, and engines of both colours need {least} or "
                    "later",
                    f"raise it to {least} or later; the program stays synchronous with it",
                )  # fmt: skip
        for cls in program.classes.values():
            made = sorted(_INTERNALS & cls.methods.keys())
            if made and extension_names() & set(map(str, cls.bases)):
                yield Finding(
                    cls.path, cls.methods[made[0]].node.lineno, self.code,
                    f"{cls.name} makes Flask-SQLAlchemy's engines or sessions itself ({made[0]})",
                    "use SQLALCHEMY_ENGINE_OPTIONS and session_options in its place",
                )  # fmt: skip
        for source in program.files.values():
            if source.tree is None:
                continue
            tests = () if _is_migration(source) else connection_class_tests(program, source)
            for test in tests:
                yield Finding(
                    source.path, test.lineno, self.code,
                    f"`{ast.unparse(test)}` is no longer true where a listener of the engine is "
                    "given an asyncio driver's connection, and what it guards would be skipped "
                    "without a word",
                    "ask the dialect instead, `engine.dialect.name == \"sqlite\"`, or add the "
                    "listener only to engines of that database",
                )  # fmt: skip


def _is_migration(source: SourceFile) -> bool:
    """Alembic's environment and its revisions: run by a command line that stays synchronous."""
    assert source.tree is not None
    return any(
        module.split(".")[0] == "alembic"
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        for module in _imported_modules(node)
    )


def _imported_modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case _:
            return []


def _drivers(program: Program) -> list[str]:
    """The asyncio drivers of the databases that URLs in the program name."""
    texts = [
        node.value
        for source in program.files.values()
        if source.tree is not None and not source.is_test
        for node in source.of(ast.Constant)
        if isinstance(node.value, str)
    ]
    return [
        driver
        for database, driver in _DRIVERS.items()
        if any(text.startswith((f"{database}:", f"{database}+")) for text in texts)
    ]


def _uses_database(program: Program) -> bool:
    """Says whether some file imports SQLAlchemy or its extension for Flask."""
    return any(
        module.split(".")[0] in ("sqlalchemy", "flask_sqlalchemy")
        for source in program.files.values()
        if source.tree is not None
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        for module in _imported_modules(node)
    )


def _move(module: str, name: str) -> tuple[str, str] | None:
    return counterpart(f"{module}.{name}")


def _through_module(
    program: Program, source: SourceFile, node: ast.Attribute
) -> tuple[str, str] | None:
    """The place of `module.name` where `module` is an imported module of one of the libraries."""
    owner = node.value
    if isinstance(owner, ast.Name | ast.Attribute):
        module = program.resolve(source.path, owner)
        if module is not None and module.split(".")[0] in ("sqlalchemy", "flask_sqlalchemy"):
            return counterpart(f"{module}.{node.attr}")
    return None
