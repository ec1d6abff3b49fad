"""BK211 two-colour-engine: engine and sessions come from `bridgekit.integrations.sqlalchemy`.

What: `create_engine`, `sessionmaker`, `scoped_session` and `Session` are imported from there,
annotations included. Nothing else changes: in a thread the objects are SQLAlchemy's own, over the
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
from bridgekit_codemods.rules.dependencies import changed_dependencies, project_files
from bridgekit_codemods.rules.moves import move_imports, replaced_by
from bridgekit_codemods.rules.sqlalchemy_listeners import connection_class_tests
from bridgekit_codemods.rules.sqlalchemy_names import SHIM, counterpart

# SQLAlchemy's asyncio support needs greenlet, and a driver for each database.
_DRIVERS = {
    "sqlite": "aiosqlite>=0.20",
    "postgresql": "asyncpg>=0.29",
    "mysql": "aiomysql>=0.2",
}


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
        settings = changed_dependencies(project_files(program), needed, beside=["sqlalchemy"])
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
            name = _through_module(program, source, node)
            if name is None:
                continue
            local = needed.name(SHIM, name, ("sqlalchemy", "sqlalchemy.orm"))
            draft.edits(source.path).at("Attribute", source.span(node), replaced_by(local))
        for module, name, alias in needed.imports.values():
            draft.edits(source.path).add_import(module, name, alias)
        return bool(needed.imports)

    def _blockers(self, program: Program) -> Iterator[Finding]:
        for source in program.files.values():
            if source.tree is None:
                continue
            for node in (*source.of(ast.Import), *source.of(ast.ImportFrom)):
                modules = _imported_modules(node)
                if any(module.split(".")[0] == "flask_sqlalchemy" for module in modules):
                    yield Finding(
                        source.path, node.lineno, self.code,
                        "Flask-SQLAlchemy makes the engine and its sessions itself",
                        "make the engine with create_engine and the sessions with sessionmaker; "
                        "until then the database stays synchronous behind thread bridges",
                    )  # fmt: skip
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


def _move(module: str, name: str) -> tuple[str, str] | None:
    found = counterpart(f"{module}.{name}")
    return (SHIM, found) if found is not None else None


def _through_module(program: Program, source: SourceFile, node: ast.Attribute) -> str | None:
    """The shim's name for `module.name` where `module` is an imported module of SQLAlchemy."""
    owner = node.value
    if isinstance(owner, ast.Name | ast.Attribute):
        module = program.resolve(source.path, owner)
        if module is not None and module.split(".")[0] == "sqlalchemy":
            return counterpart(f"{module}.{node.attr}")
    return None
