"""Reads `session.query(...)` chains: what is selected, what is added, where the chain ends.

A chain is `session.query(A).filter(x).order_by(y)`; it ends in a method that runs it or embeds it
(`.all()`, `.subquery()`), in a loop, or in a local variable on which further chains start.
Everything here is read only. What is not recognised for certain raises `Unrecognised`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules.query_selection import EagerJoins, Selection, Shape, Unrecognised
from bridgekit_codemods.rules.sqlalchemy_names import extension_names, is_session

# Methods of Query that Select has with the same meaning, under the name on the right.
LINKS = {
    "filter": "where", "where": "where", "filter_by": "filter_by", "order_by": "order_by",
    "group_by": "group_by", "having": "having", "limit": "limit", "offset": "offset",
    "distinct": "distinct", "join": "join", "outerjoin": "outerjoin", "options": "options",
    "select_from": "select_from", "with_for_update": "with_for_update",
    "execution_options": "execution_options", "correlate": "correlate",
}  # fmt: skip
RUNS = frozenset({"all", "first", "one", "one_or_none", "scalar", "count"})
WRITES = frozenset({"delete", "update"})
# Ends of Flask-SQLAlchemy's Query, which its extension object has for select().
EXTENSION_ENDS = frozenset({"get_or_404", "first_or_404", "one_or_404", "paginate"})
EMBEDS = frozenset({"exists", "subquery", "scalar_subquery", "label", "cte"})
_CONDITIONS = frozenset({"filter", "where", "filter_by"})
_JOINS = frozenset({"join", "outerjoin", "select_from"})
_PLAIN_OPTIONS = frozenset({"selectinload", "lazyload", "defer", "undefer", "load_only", "noload"})
_CONSUMERS = frozenset(
    {"list", "tuple", "set", "frozenset", "sorted", "enumerate", "dict", "sum", "min", "max"}
)


@dataclass
class Chain:
    """The links from a start (a `query(...)` call, or a variable that holds a query) to its end."""

    start: ast.expr
    links: list[ast.Call] = field(default_factory=list)
    top: ast.expr = field(init=False)
    end: ast.Call | None = None
    """The call that runs or embeds the query; None where the chain is looped over or assigned."""

    def __post_init__(self) -> None:
        self.top = self.start

    @property
    def link_names(self) -> list[str]:
        return [_method(link) for link in self.links]

    @property
    def end_name(self) -> str | None:
        return _method(self.end) if self.end is not None else None


@dataclass
class Query:
    """A query with everything that belongs to it: one chain, or a variable and all its chains."""

    base: ast.Call
    session: str
    shape: Shape
    aggregate: bool
    chains: list[Chain]
    bases: list[ast.Call]
    variable: str | None = None
    unique: bool = False
    """Whether rows could repeat an entity, which Query leaves out and Select does not."""


def _method(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr


class Reader:
    """Reads the chains of one file."""

    def __init__(
        self,
        program: Program,
        source: SourceFile,
        parents: dict[ast.AST, ast.AST],
        joins: EagerJoins,
    ) -> None:
        self.program = program
        self.source = source
        self.parents = parents
        self._selects = Selection(program, source, parents)
        self._joins = joins

    def query(self, base: ast.Call) -> Query:
        """The query that starts at `session.query(...)`.

        Raises:
            Unrecognised: some part of it is not known to mean the same for Select.
        """
        assert isinstance(base.func, ast.Attribute)
        chain = self._chain(base)
        if chain.end is not None or self._is_run_by_loop(chain.top) or self._is_operand(chain.top):
            query = self._described([base], [chain])
        else:
            query = self._held_by_variable(chain, base)
        for chain in query.chains:
            self._check_end(query, chain)
        self._check_links(query)
        return query

    # -- chains

    def _chain(self, start: ast.expr) -> Chain:
        chain = Chain(start)
        while True:
            attribute = self.parents.get(chain.top)
            if not isinstance(attribute, ast.Attribute) or attribute.value is not chain.top:
                if isinstance(attribute, ast.Subscript) and attribute.value is chain.top:
                    raise Unrecognised(attribute, "the query is sliced or indexed")
                return chain
            call = self.parents.get(attribute)
            if not isinstance(call, ast.Call) or call.func is not attribute:
                raise Unrecognised(attribute, f"Query.{attribute.attr} is used without a call")
            if attribute.attr in LINKS:
                chain.links.append(call)
                chain.top = call
                continue
            known = RUNS | WRITES | EMBEDS | {"get"}
            if attribute.attr in known or (
                attribute.attr in EXTENSION_ENDS and self._of_extension(chain.start)
            ):
                chain.end = call
                return chain
            raise Unrecognised(call, f"Query.{attribute.attr} has no like on select()")

    def _of_extension(self, start: ast.expr) -> bool:
        """Says whether the query is one of `db.session`, with `db` Flask-SQLAlchemy's."""
        match start:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=db, attr="session"))):
                types = {ref.name for ref in self.program.type_of(self.source.path, db)}
                return bool(types) and types <= extension_names()
            case _:
                return False

    def _is_run_by_loop(self, node: ast.expr) -> bool:
        match self.parents.get(node):
            case ast.For(iter=iterated) | ast.comprehension(iter=iterated):
                return iterated is node
            case ast.Call(func=ast.Name(id=name), args=args):
                return name in _CONSUMERS and bool(args) and args[0] is node
            case _:
                return False

    def _is_operand(self, node: ast.expr) -> bool:
        """`column.in_(session.query(...))`: the query is a part of another statement."""
        match self.parents.get(node):
            case ast.Call(func=ast.Attribute(attr="in_" | "not_in" | "notin_"), args=[only]):
                return only is node
            case _:
                return False

    def is_operand(self, chain: Chain) -> bool:
        """Says whether the chain ends as an operand of another statement and is not run."""
        return chain.end is None and self._is_operand(chain.top)

    def is_run_by_loop(self, chain: Chain) -> bool:
        """Says whether the chain ends in a loop or in a builtin that consumes it."""
        return chain.end is None and self._is_run_by_loop(chain.top)

    # -- variables

    def _held_by_variable(self, first: Chain, base: ast.Call) -> Query:
        target = self._assigned(first.top)
        scope = self.program.enclosing(self.source.path, base)
        if target is None or scope is None:
            raise Unrecognised(first.top, "the query is handed on to other code")
        bases: list[ast.Call] = []
        chains: list[Chain] = []
        for node in ast.walk(scope.node):
            if isinstance(node, ast.Global | ast.Nonlocal) and target in node.names:
                raise Unrecognised(base, f"{target} is not a local variable")
            if isinstance(node, ast.arg) and node.arg == target:
                raise Unrecognised(base, f"{target} is a parameter too")
            if not isinstance(node, ast.Name) or node.id != target:
                continue
            if self.program.enclosing(self.source.path, node) is not scope or self._in_lambda(node):
                raise Unrecognised(node, f"{target} is used by a nested function")
            if isinstance(node.ctx, ast.Load):
                chain = self._chain(node)
                self._check_rest(chain, target)
                chains.append(chain)
            else:
                start = self._start_of_store(node, target)
                if isinstance(start, ast.Call):
                    bases.append(start)
                    chains.append(self._chain(start))
        sessions = {ast.unparse(start.func.value) for start in bases}  # type: ignore[attr-defined]
        if len(sessions) != 1:
            raise Unrecognised(base, f"{target} holds queries of different sessions")
        self._check_stable(base, scope.node)
        query = self._described(bases, chains)
        query.variable = target
        return query

    def _in_lambda(self, node: ast.AST) -> bool:
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, ast.stmt):
            if isinstance(parent, ast.Lambda):
                return True
            parent = self.parents.get(parent)
        return False

    def _assigned(self, node: ast.expr) -> str | None:
        match self.parents.get(node):
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
                return name
            case _:
                return None

    def _check_rest(self, chain: Chain, target: str) -> None:
        """Every use of the variable must end the query or put it back into the variable."""
        if chain.end is not None or self._is_run_by_loop(chain.top) or self._is_operand(chain.top):
            return
        if self._assigned(chain.top) != target:
            raise Unrecognised(chain.top, f"the query in {target} is handed on to other code")

    def _start_of_store(self, node: ast.Name, target: str) -> ast.expr:
        statement = self.parents.get(node)
        if not isinstance(statement, ast.Assign) or statement.targets != [node]:
            raise Unrecognised(node, f"{target} gets other values than queries")
        start: ast.expr = statement.value
        while isinstance(start, ast.Call) and isinstance(start.func, ast.Attribute):
            if start.func.attr == "query" or start.func.attr not in LINKS:
                break
            start = start.func.value
        match start:
            case ast.Name(id=name) if name == target:
                return start
            case ast.Call(func=ast.Attribute(attr="query")) if is_query_call(
                self.program, self.source, start
            ):
                return start
            case _:
                raise Unrecognised(node, f"{target} gets other values than queries")

    def _check_stable(self, base: ast.Call, scope: ast.AST) -> None:
        """The session is named again where the query runs: it must be the same one there."""
        assert isinstance(base.func, ast.Attribute)
        root: ast.expr = base.func.value
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name):
            raise Unrecognised(base, "the session is the result of a call")
        text = ast.unparse(base.func.value)
        stores = sum(
            isinstance(node, ast.Name | ast.Attribute)
            and not isinstance(node.ctx, ast.Load)
            and (ast.unparse(node) == text or ast.unparse(node) == root.id)
            for node in ast.walk(scope)
        )
        if stores > 1:
            raise Unrecognised(base, f"{text} is assigned more than once")

    # -- what is selected

    def _described(self, bases: list[ast.Call], chains: list[Chain]) -> Query:
        shapes = {self._selects.shape(base) for base in bases}
        if len(shapes) != 1:
            raise Unrecognised(bases[0], "the variable holds queries of different shapes")
        shape, aggregate = shapes.pop()
        base = bases[0]
        assert isinstance(base.func, ast.Attribute)
        links = [link for chain in chains for link in chain.links]
        has_entity = shape == "entity" or any(
            self._selects.kind(argument) == "entity" for each in bases for argument in each.args
        )
        repeats = any(self._may_repeat(link) for link in links) or any(
            self._joins.of(self.program.resolve(self.source.path, argument))
            for each in bases
            for argument in each.args
        )
        return Query(
            base=base,
            session=self._written(base.func.value),
            shape=shape,
            aggregate=aggregate,
            chains=chains,
            bases=bases,
            unique=has_entity and (repeats or shape == "row"),
        )

    def _written(self, node: ast.expr) -> str:
        span = self.source.span(node)
        if span.line != span.end_line:
            return ast.unparse(node)
        return self.source.lines[span.line - 1][span.col : span.end_col]

    def _may_repeat(self, link: ast.Call) -> bool:
        name = _method(link)
        if name in _JOINS:
            return True
        if name != "options":
            return False
        return not all(
            isinstance(option, ast.Call)
            and isinstance(option.func, ast.Name)
            and option.func.id in _PLAIN_OPTIONS
            for option in link.args
        )

    # -- what does not mean the same for Select

    def _check_links(self, query: Query) -> None:
        links = [link for chain in query.chains for link in chain.links]
        names = {_method(link) for link in links}
        for link in links:
            if _method(link) == "filter_by" and (names & _JOINS or query.shape == "row"):
                raise Unrecognised(
                    link, "filter_by() of Query looks at one entity, that of Select at all of them"
                )
            if _method(link) == "distinct" and link.args:
                raise Unrecognised(link, "distinct() with expressions is deprecated")
            if _method(link) == "order_by" and any(
                isinstance(argument, ast.Constant) and argument.value is False
                for argument in link.args
            ):
                raise Unrecognised(link, "order_by(False) has no like on select()")
        if {"distinct", "order_by"} <= names:
            for link in links:
                if _method(link) == "order_by":
                    self._check_distinct_order(query, link)

    def _check_distinct_order(self, query: Query, link: ast.Call) -> None:
        """Query adds ORDER BY columns to a SELECT DISTINCT; Select does not."""
        selected = {ast.unparse(argument) for argument in query.base.args}
        for argument in link.args:
            match argument:
                case ast.Call(func=ast.Attribute(value=inner, attr="desc" | "asc"), args=[]):
                    column = inner
                case _:
                    column = argument
            owner = column.value if isinstance(column, ast.Attribute) else None
            if ast.unparse(column) in selected:
                continue
            if owner is None or ast.unparse(owner) not in selected:
                raise Unrecognised(link, "distinct() is ordered by something that is not selected")

    def _check_end(self, query: Query, chain: Chain) -> None:
        name, end = chain.end_name, chain.end
        if end is None or name is None:
            return
        if any(isinstance(argument, ast.Starred) for argument in end.args) or any(
            keyword.arg is None for keyword in end.keywords
        ):
            raise Unrecognised(end, f"the arguments of {name}() are unpacked")
        if name in EXTENSION_ENDS:
            self._check_extension(query, chain, end, name)
        elif name in WRITES | {"get"}:
            self._check_single_entity(query, chain, end, name)
        elif name in RUNS and (end.args or end.keywords):
            raise Unrecognised(end, f"{name}() has unusual arguments")
        elif name == "scalar" and query.shape == "row":
            raise Unrecognised(end, "scalar() of a query for several columns")
        elif name == "subquery" and (len(end.args) > 1 or end.keywords):
            raise Unrecognised(end, "subquery() has unusual arguments")

    def _check_extension(self, query: Query, chain: Chain, end: ast.Call, name: str) -> None:
        if query.variable is not None or query.shape != "entity" or len(query.base.args) != 1:
            raise Unrecognised(end, f"{name}() of a query that is not for one class, on the spot")
        if name == "get_or_404":
            if chain.links or len(end.args) != 1 or end.keywords:
                raise Unrecognised(end, "get_or_404() of a query with more than a key")
        elif end.args:
            raise Unrecognised(end, f"{name}() has unusual arguments")
        elif query.unique and name != "paginate":
            raise Unrecognised(end, f"{name}() of a query that may repeat an entity")

    def _check_single_entity(self, query: Query, chain: Chain, end: ast.Call, name: str) -> None:
        allowed = {"options"} if name == "get" else _CONDITIONS
        if query.variable is not None or query.shape != "entity":
            raise Unrecognised(end, f"{name}() of a query that is not for one class, on the spot")
        if not set(chain.link_names) <= allowed or (len(chain.links) > 1 and name == "get"):
            raise Unrecognised(end, f"{name}() of a query with {', '.join(chain.link_names)}")
        counts = {"get": (1, 1), "delete": (0, 1), "update": (1, 2)}[name]
        keywords = {keyword.arg for keyword in end.keywords}
        if not counts[0] <= len(end.args) <= counts[1] or not keywords <= (
            set() if name == "get" else {"synchronize_session"}
        ):
            raise Unrecognised(end, f"{name}() has unusual arguments")


def is_query_call(program: Program, source: SourceFile, call: ast.Call) -> bool:
    """Says whether `call` is `session.query(...)` on what is known to be an ORM session."""
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "query"
        and is_session(program.type_of(source.path, call.func.value))
    )
