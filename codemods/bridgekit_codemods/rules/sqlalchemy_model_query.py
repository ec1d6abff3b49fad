"""BK214 query-to-select for Flask-SQLAlchemy: `User.query...` becomes `select(User)...` as well.

What: `User.query` stands for `db.session.query(User)`, which is what its descriptor makes. It is
written that way, and in the same step each chain is rewritten as `query-to-select` does; its own
ends `get_or_404`, `first_or_404`, `one_or_404` and `paginate` become those of `db`.

Why: as for `session.query`; and `User.query` hides which session runs it.

Left alone, with `query-to-select`'s finding: `cls.query`, models with a `query_class` of their own,
files that do not know `db`, and chains that `query-to-select` would not rewrite.
Source: https://flask-sqlalchemy.readthedocs.io/en/stable/legacy-query/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.moves import replaced_by
from bridgekit_codemods.rules.sqlalchemy_names import extension_names
from bridgekit_codemods.rules.sqlalchemy_query import SqlalchemyQuery

_MODELS = frozenset(f"{name}.Model" for name in extension_names())


class SqlalchemyModelQuery:
    """BK214 for `Model.query`: one step per module."""

    name = "query-to-select"
    code = "BK214"
    safety: Safety = "exact"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        return next(self.steps(program, kept), None)

    def steps(self, program: Program, kept: frozenset[str]) -> Iterator[Step]:
        """The steps of all modules: none depends on another."""
        for source in program.files.values():
            if source.tree is None or source.is_test or f"model-query:{source.module}" in kept:
                continue
            uses = list(_uses(program, source))
            step = self._step(program, source, uses, kept) if uses else None
            if step is not None:
                yield step

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """Nothing: `query-to-select` names what is left."""
        return ()

    def _step(
        self,
        program: Program,
        source: SourceFile,
        uses: list[tuple[ast.Attribute, str]],
        kept: frozenset[str],
    ) -> Step | None:
        named = _named(program, source, uses)
        rest = {path: file.data for path, file in program.files.items()} | program.extra
        after = Program.load({**rest, source.path: named})
        selecting = SqlalchemyQuery()
        # What cannot become a select() keeps its short form: a chain that is left begins with it.
        left = {f.line for f in selecting.findings(after, Options(), kept) if f.path == source.path}
        if left:
            uses = [use for use in uses if not _lines(source, use[0]) & left]
            if not uses:
                return None
            after = Program.load({**rest, source.path: _named(program, source, uses)})
        for step in selecting.steps(after, kept):
            if step.members == (source.module,):
                return Step(
                    key=f"model-query:{source.module}",
                    kind="select",
                    title=f"Replace Model.query by select() in {source.module}",
                    members=(source.module,),
                    changes=dict(step.changes),
                )
        return None


def _named(program: Program, source: SourceFile, uses: list[tuple[ast.Attribute, str]]) -> bytes:
    """The file with `db.session.query(Model)` in place of `Model.query`."""
    draft = Draft(program)
    for node, db in uses:
        text = f"{db}.session.query({ast.unparse(node.value)})"
        draft.edits(source.path).at("Attribute", source.span(node), replaced_by(text))
    data = draft.changes()[source.path]
    assert data is not None
    return data


def _lines(source: SourceFile, node: ast.AST) -> set[int]:
    """The lines of the statement around a node."""
    current: ast.AST | None = node
    while current is not None and not isinstance(current, ast.stmt):
        current = source.parents.get(current)
    if not isinstance(current, ast.stmt):
        return set()
    return set(range(current.lineno, (current.end_lineno or current.lineno) + 1))


def _uses(program: Program, source: SourceFile) -> Iterator[tuple[ast.Attribute, str]]:
    """The reads of `Model.query`, each with the name of `db` in this file."""
    names = _databases(program, source)
    if not names:
        return
    for node in source.of(ast.Attribute):
        if node.attr != "query" or not isinstance(node.ctx, ast.Load):
            continue
        if not isinstance(node.value, ast.Name | ast.Attribute):
            continue
        cls = program.classes.get(program.resolve(source.path, node.value) or "")
        if cls is None or not _is_model(cls):
            continue
        if isinstance(source.parents.get(node), ast.Call | ast.Attribute):
            yield node, names[0]


def _is_model(cls: Class) -> bool:
    """Says whether the class is a model of the extension with the extension's own Query."""
    classes = [base for base in cls.mro if isinstance(base, Class)]
    return any(base in _MODELS for base in cls.mro if isinstance(base, str)) and not any(
        _declares(base, "query_class") or _declares(base, "query") for base in classes
    )


def _declares(cls: Class, name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(cls.node)
    )


def _databases(program: Program, source: SourceFile) -> list[str]:
    """The names that the file has for the extension object, at its top level."""
    assert source.tree is not None
    names: list[str] = []
    for statement in source.tree.body:
        match statement:
            case ast.ImportFrom(names=aliases):
                names += [alias.asname or alias.name for alias in aliases]
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.append(name)
            case _:
                pass
    return [name for name in names if _is_database(program, source, name)]


def _is_database(program: Program, source: SourceFile, name: str) -> bool:
    for node in source.of(ast.Name):
        if node.id == name:
            types = {ref.name for ref in program.type_of(source.path, node)}
            return bool(types) and types <= extension_names()
    return False
