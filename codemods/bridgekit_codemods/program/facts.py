"""What the walk over a file notes down, before anything is resolved."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from bridgekit_codemods.program.calls import ReferenceKind
from bridgekit_codemods.program.scopes import Binding, Place, Scope
from bridgekit_codemods.program.symbols import Class, Function


@dataclass(frozen=True, slots=True)
class Context:
    """Which innermost lambda, comprehension or generator expression an expression stands in."""

    in_lambda: bool = False
    in_comprehension: bool = False
    in_genexp: bool = False


@dataclass(slots=True, eq=False)
class CallFact:
    node: ast.Call
    scope: Scope
    context: Context
    awaited: bool
    is_decorator: bool


@dataclass(slots=True, eq=False)
class UseFact:
    """A name or attribute that is read and not called."""

    node: ast.Name | ast.Attribute
    scope: Scope
    kind: ReferenceKind
    call: ast.Call | None
    keyword: str | None
    position: int | None


@dataclass(slots=True, eq=False)
class ExpressionFact:
    """An expression in a special place (with, iteration, attribute access)."""

    node: ast.expr
    scope: Scope
    context: Context
    is_async: bool = False
    augmented: bool = False
    """An attribute that `+=` and the like read before they assign it."""


class Augmented(ast.BinOp):
    """The operation of an `x += y` statement."""

    @classmethod
    def of(cls, node: ast.AugAssign) -> Augmented:
        return ast.copy_location(cls(node.target, node.op, node.value), node)


@dataclass(slots=True, eq=False)
class StoreFact:
    """An assignment to an attribute or to an item with a literal key."""

    target: ast.Attribute | ast.Subscript
    binding: Binding


@dataclass(slots=True, eq=False)
class DecoratorFact:
    node: ast.expr
    scope: Scope
    function: Function | None


@dataclass(slots=True)
class Facts:
    """What the walks over all files found, in file and source order."""

    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, Class] = field(default_factory=dict)
    modules: dict[str, Scope] = field(default_factory=dict)
    function_scopes: dict[Function, Scope] = field(default_factory=dict)
    class_scopes: dict[Class, Scope] = field(default_factory=dict)
    definition_scopes: dict[Function | Class, Scope] = field(default_factory=dict)
    places: dict[ast.AST, Place] = field(default_factory=dict)
    calls: list[CallFact] = field(default_factory=list)
    uses: list[UseFact] = field(default_factory=list)
    attributes: list[ExpressionFact] = field(default_factory=list)
    withs: list[ExpressionFact] = field(default_factory=list)
    iterations: list[ExpressionFact] = field(default_factory=list)
    operations: list[ExpressionFact] = field(default_factory=list)
    """Operators and truth tests, for which a class may have methods."""
    stores: list[StoreFact] = field(default_factory=list)
    decorators: list[DecoratorFact] = field(default_factory=list)
    returns: dict[Function, list[ast.expr]] = field(default_factory=dict)
    yields: dict[Function, list[ast.Yield | ast.YieldFrom]] = field(default_factory=dict)
    lambdas: dict[ast.Lambda, Scope] = field(default_factory=dict)
