"""Says what the arguments of `session.query(...)` select: a class, a column, or several things."""

from __future__ import annotations

import ast
from typing import Literal

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class

Shape = Literal["entity", "column", "row"]
"""One mapped class, one column, or a tuple of either."""

_AGGREGATES = frozenset({"count", "sum", "min", "max", "avg"})
_SQL_FUNCTIONS = frozenset(
    {"case", "cast", "literal", "literal_column", "distinct", "extract", "and_", "or_", "not_",
     "null", "true", "false", "type_coerce", "exists"}
)  # fmt: skip


class Unrecognised(Exception):
    """The shape is not converted; `node` is where, the message says why."""

    def __init__(self, node: ast.expr, reason: str) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason


class Selection:
    """Reads the arguments of the `query(...)` calls of one file."""

    def __init__(
        self, program: Program, source: SourceFile, parents: dict[ast.AST, ast.AST]
    ) -> None:
        self.program = program
        self.source = source
        self.parents = parents

    def shape(self, base: ast.Call) -> tuple[Shape, bool]:
        """The shape of the results, and whether there is exactly one of them.

        Raises:
            Unrecognised: it is not known what one of the arguments is.
        """
        if base.keywords or not base.args:
            raise Unrecognised(base, "query() has no or unusual arguments")
        kinds = [self.kind(argument) for argument in base.args]
        if None in kinds:
            unknown = base.args[kinds.index(None)]
            raise Unrecognised(base, f"it is not known what {ast.unparse(unknown)} selects")
        if len(kinds) > 1:
            return "row", False
        if kinds == ["entity"]:
            return "entity", False
        return "column", self._gives_one_row(base.args[0])

    def kind(self, node: ast.expr) -> Literal["entity", "column"] | None:
        """Whether an expression stands for a mapped class or for a column; None if unknown."""
        if isinstance(node, ast.Name | ast.Attribute):
            dotted = self.program.resolve(self.source.path, node)
            if dotted in self.program.classes:
                return "entity"
        match node:
            case ast.Name(id=name):
                value = self._only_value(node, name)
                return self.kind(value) if value is not None else None
            case ast.Attribute(value=owner, attr=attr):
                cls = self.program.classes.get(self.program.resolve(self.source.path, owner) or "")
                if cls is None:
                    return None
                names = {base if isinstance(base, str) else base.qualname for base in cls.mro}
                if any((name, attr) in self.program.relationships for name in names):
                    return None
                return "column"
            case ast.Call(func=ast.Name() | ast.Attribute() as callee):
                dotted = self.program.resolve(self.source.path, callee) or ""
                if self._is_sql_function(callee, dotted):
                    return "column"
                if isinstance(callee, ast.Attribute):
                    if callee.attr == "exists":
                        return "column"
                    return "column" if self.kind(callee.value) == "column" else None
                return None
            case ast.BinOp(left=left, right=right):
                kinds = (self.kind(left), self.kind(right))
                return "column" if "column" in kinds and "entity" not in kinds else None
            case _:
                return None

    def _only_value(self, node: ast.Name, name: str) -> ast.expr | None:
        """What a local variable was assigned, if it is assigned once."""
        scope = self.program.enclosing(self.source.path, node)
        if scope is None or any(param.name == name for param in scope.params):
            return None
        stores = [
            inner
            for inner in ast.walk(scope.node)
            if isinstance(inner, ast.Name)
            and inner.id == name
            and not isinstance(inner.ctx, ast.Load)
        ]
        statement = self.parents.get(stores[0]) if len(stores) == 1 else None
        if isinstance(statement, ast.Assign) and statement.targets == stores:
            return statement.value
        return None

    def _is_sql_function(self, callee: ast.expr, dotted: str) -> bool:
        if isinstance(callee, ast.Attribute):
            owner = self.program.resolve(self.source.path, callee.value) or ""
            if owner.split(".")[0] == "sqlalchemy" and owner.split(".")[-1] == "func":
                return True
        return dotted.split(".")[0] == "sqlalchemy" and dotted.split(".")[-1] in _SQL_FUNCTIONS

    def _gives_one_row(self, node: ast.expr) -> bool:
        """Aggregates over everything, and EXISTS, give exactly one row."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "exists":
                return True
            if self._is_sql_function(node.func, ""):
                return node.func.attr in _AGGREGATES
            if node.func.attr != "label":
                return False
            node = node.func.value
        return False


class EagerJoins:
    """Knows which classes are loaded with a JOIN of their relationships, so that rows repeat."""

    def __init__(self, program: Program) -> None:
        self._program = program
        known = {r.node for r in program.relationships.values()}
        owners = {r.cls.qualname for r in program.relationships.values() if _joins(r.node)}
        self._everywhere = any(
            node not in known and _joins(node)
            for source in program.files.values()
            if source.tree is not None
            for node in source.of(ast.Call)
        )
        """A `backref(..., lazy="joined")` or a wrapper of relationship(): any class may have it."""
        self._classes = {
            cls.qualname
            for cls in program.classes.values()
            if any(isinstance(base, Class) and base.qualname in owners for base in cls.mro)
            or any(
                cls in other.mro for other in program.classes.values() if other.qualname in owners
            )
        }

    def of(self, dotted: str | None) -> bool:
        """Says whether loading the class of that name may repeat its rows."""
        return dotted in self._program.classes and (self._everywhere or dotted in self._classes)


def _joins(call: ast.Call) -> bool:
    return any(
        keyword.arg == "lazy"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value in ("joined", False)
        for keyword in call.keywords
    )
