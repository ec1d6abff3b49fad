"""BK214 query-to-select: `session.query(...)` becomes `select(...)` run by the session.

What: each chain is rewritten with the results it had: the same rows in the same order, the same
types (`first()` gives None or one object, `count()` a number, `delete()` a row count), the same
exceptions. `.unique()` is added where Query would have left out repeated entities.

Why: `Query` has no async form and runs its statement in whatever line asks for a result; `select`
is only a description, and `session.execute` is the one place that waits.

Left alone, with a finding: queries that are handed to other code, built in ways that cannot be
followed, or that use what `select` has no like for. Tests keep their queries: what a test asserts
must stay word for word.
Source: https://docs.sqlalchemy.org/en/21/changelog/migration_20.html#migration-orm-usage
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridgekit_codemods.editing import Edit, FileEdits, nodes
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules import query_forms as forms
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.bindings import NameTaken, Needed
from bridgekit_codemods.rules.query_chains import (
    EMBEDS,
    LINKS,
    Chain,
    Query,
    Reader,
    is_query_call,
)
from bridgekit_codemods.rules.query_selection import EagerJoins, Unrecognised

# Hooks on Query itself: rewriting would go around them.
_QUERY_EVENTS = frozenset(
    {
        "before_compile", "before_compile_update", "before_compile_delete",
        "after_bulk_update", "after_bulk_delete",
    }
)  # fmt: skip
_REMEDY = "write it with select() and session.execute(), or leave it: it is bridged to a thread"


@dataclass(frozen=True)
class _Read:
    source: SourceFile
    queries: list[Query]
    left: list[Finding]


class SqlalchemyQuery:
    """BK214 query-to-select: rewrite Query chains with the same results, one step per module."""

    name = "query-to-select"
    code = "BK214"
    safety: Safety = "exact"

    def key(self, source: SourceFile) -> str:
        """The key of the step for that file."""
        return f"select:{source.module}"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        return next(self.steps(program, kept), None)

    def steps(self, program: Program, kept: frozenset[str]) -> Iterator[Step]:
        """The steps of all modules: none depends on another."""
        if any(self._hooks(program)):
            return
        joins = EagerJoins(program)
        for source in program.files.values():
            if source.tree is None or source.is_test or self.key(source) in kept:
                continue
            read = self._read(program, source, joins)
            if not read.queries:
                continue
            draft = Draft(program)
            try:
                _Rewrite(source, draft.edits(source.path)).all(read.queries)
            except NameTaken:
                continue
            yield Step(
                key=self.key(source),
                kind="select",
                title=f"Replace Query by select() in {source.module}",
                members=(source.module,),
                changes=draft.changes(),
                findings=tuple(read.left),
            )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        found: list[Finding] = []
        queries = False
        joins = EagerJoins(program)
        for source in program.files.values():
            if source.tree is None or source.is_test:
                continue
            read = self._read(program, source, joins)
            queries = queries or bool(read.queries)
            found += read.left
            found += self._unknown(program, source)
        if queries or found:
            found += self._hooks(program)
        return tuple(found)

    def _read(self, program: Program, source: SourceFile, joins: EagerJoins) -> _Read:
        assert source.tree is not None
        read = _Read(source, [], [])
        starts = [node for node in source.of(ast.Call) if is_query_call(program, source, node)]
        if not starts:
            return read
        reader = Reader(program, source, source.parents, joins)
        done: set[ast.Call] = set()
        for start in starts:
            if start in done:
                continue
            try:
                query = reader.query(start)
            except Unrecognised as problem:
                function = program.enclosing(source.path, start)
                read.left.append(
                    Finding(
                        source.path, problem.node.lineno, self.code, problem.reason, _REMEDY,
                        function.qualname if function is not None else None,
                    )
                )  # fmt: skip
            else:
                done.update(query.bases)
                read.queries.append(query)
        return read

    def _unknown(self, program: Program, source: SourceFile) -> Iterator[Finding]:
        """What looks like a query but starts at something that is not known to be a session."""
        assert source.tree is not None
        for attribute in source.of(ast.Attribute):
            if attribute.attr == "query":
                owner = program.resolve(source.path, attribute.value)
                if owner in program.classes:
                    yield Finding(
                        source.path, attribute.lineno, self.code,
                        f"{ast.unparse(attribute)} hides which session runs the query",
                        "write session.query(...) or select(...) with the session of the request",
                    )  # fmt: skip
        for node in source.of(ast.Call):
            if (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "query"
                and node.args
                and not is_query_call(program, source, node)
                and program.resolve(source.path, node.args[0]) in program.classes
            ):
                yield Finding(
                    source.path, node.lineno, self.code,
                    f"it is not known that {ast.unparse(node.func.value)} is a session",
                    "annotate it as sqlalchemy.orm.Session",
                )  # fmt: skip

    def _hooks(self, program: Program) -> Iterator[Finding]:
        for source in program.files.values():
            if source.tree is None:
                continue
            for node in (*source.of(ast.Constant), *source.of(ast.keyword)):
                match node:
                    case ast.Constant(value=str(text)) if text in _QUERY_EVENTS:
                        what = f"the event {text} belongs to Query"
                    case ast.keyword(arg="query_cls"):
                        what = "sessions have a Query class of their own"
                    case _:
                        continue
                yield Finding(
                    source.path, getattr(node, "lineno", 1), self.code,
                    f"{what}: queries rewritten to select() would go around it",
                    "use the session's do_orm_execute event",
                )  # fmt: skip


class _Rewrite:
    """Registers the edits for the queries of one file."""

    def __init__(self, source: SourceFile, edits: FileEdits) -> None:
        self.source = source
        self.edits = edits
        self.needed = Needed(source, "sql")
        self.parents = source.parents

    def all(self, queries: list[Query]) -> None:
        for query in queries:
            self._query(query)
        for module, name, alias in self.needed.imports.values():
            self.edits.add_import(module, name, alias)

    def _sql(self, name: str) -> str:
        also = ("sqlalchemy.sql", "sqlalchemy.sql.expression", "sqlalchemy.future")
        return self.needed.name("sqlalchemy", name, also if name != "func" else also[:2])

    def _query(self, query: Query) -> None:
        ends = {chain.end_name for chain in query.chains}
        for base in query.bases:
            if ends in ({"get"}, {"get_or_404"}):
                break
            head = self._sql(next(iter(ends)) if ends <= {"delete", "update"} else "select")  # type: ignore[arg-type]
            self._at(base, nodes.replaced_callee(head))
        for chain in query.chains:
            for link in chain.links:
                assert isinstance(link.func, ast.Attribute)
                if LINKS[link.func.attr] != link.func.attr:
                    self._at(link, nodes.renamed_callee(LINKS[link.func.attr]))
            self._end(query, chain)

    def _end(self, query: Query, chain: Chain) -> None:
        method = "scalars" if query.shape == "entity" else "execute"
        unique = ["unique"] if query.unique else []
        name, end = chain.end_name, chain.end
        if end is None or name is None:
            if self._runs_by_loop(chain):
                site = self._site(query, chain.top)
                self._at(chain.top, forms.looped(site, method, unique))
            return
        site = self._site(query, end)
        makers: dict[str, Callable[[], Edit]] = {
            "all": lambda: forms.executed(site, method, [*unique, "all"]),
            "one": lambda: forms.executed(site, method, [*unique, "one"]),
            "one_or_none": lambda: forms.executed(site, method, [*unique, "one_or_none"]),
            "first": lambda: forms.executed(
                site, method, [*unique, "first"], added=[("limit", "1")]
            ),
            "scalar": lambda: self._scalar(site, query, unique),
            "count": lambda: forms.counted(
                site, forms.Names(select=self._sql("select"), func=self._sql("func"))
            ),
            "get": lambda: forms.got(
                query.session, ast.unparse(query.base.args[0]), bool(chain.links)
            ),
            "get_or_404": lambda: self._handed(query, "get_or_404"),
            "first_or_404": lambda: self._handed(query, "first_or_404"),
            "one_or_404": lambda: self._handed(query, "one_or_404"),
            "paginate": lambda: self._handed(query, "paginate"),
            "delete": lambda: self._written(site, end, []),
            "update": lambda: self._written(site, end, [("values", 0)]),
        }
        if name not in EMBEDS:
            self._at(end, makers[name]())

    def _handed(self, query: Query, name: str) -> Edit:
        """The end of a query of Flask-SQLAlchemy's, which `db` has for a statement."""
        callee = f"{query.session.removesuffix('.session')}.{name}"
        if name == "get_or_404":
            return forms.handed(callee, ast.unparse(query.base.args[0]))
        return forms.handed(callee, added=[("limit", "1")] if name == "first_or_404" else [])

    def _scalar(self, site: forms.Site, query: Query, unique: list[str]) -> Edit:
        if query.shape == "entity":
            return forms.executed(site, "scalars", [*unique, "one_or_none"])
        if query.aggregate and not any(
            name != "where" for chain in query.chains for name in map(LINKS.get, chain.link_names)
        ):
            return forms.executed(site, "scalar", [])
        return forms.executed(site, "execute", ["scalar_one_or_none"])

    def _written(self, site: forms.Site, end: ast.Call, added: list[tuple[str, str | int]]) -> Edit:
        """`delete()` and `update()`: the row count is read only where the result is used."""
        positional = end.args[1:] if added else end.args
        given = [*positional, *(keyword.value for keyword in end.keywords)]
        if given:
            option = f"synchronize_session={ast.unparse(given[0])}"
            added = [*added, ("execution_options", option)]
        used = not isinstance(self.parents.get(end), ast.Expr)
        return forms.executed(site, "execute", [".rowcount"] if used else [], added)

    def _runs_by_loop(self, chain: Chain) -> bool:
        match self.parents.get(chain.top):
            case ast.Assign():
                return False
            case ast.Call(func=ast.Attribute()):
                return False
            case _:
                return True

    def _site(self, query: Query, node: ast.expr) -> forms.Site:
        span = self.source.span(node)
        lines = self.source.lines
        return forms.Site(query.session, len(lines[span.end_line - 1].rstrip()))

    def _at(self, node: ast.expr, edit: Edit) -> None:
        self.edits.at(type(node).__name__, self.source.span(node), edit)
