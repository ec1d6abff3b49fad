"""The walk over an expression: the names, calls and values in it, and what becomes of them."""

from __future__ import annotations

import ast
from collections.abc import Callable

from bridgekit_codemods.program.calls import ReferenceKind
from bridgekit_codemods.program.definitions import parameters
from bridgekit_codemods.program.facts import (
    CallFact,
    Context,
    ExpressionFact,
    Facts,
    StoreFact,
    UseFact,
)
from bridgekit_codemods.program.scopes import (
    Binding,
    BindingKind,
    Place,
    Position,
    Scope,
    ScopeKind,
)
from bridgekit_codemods.program.source import SourceFile

_PLAIN = Context()


def end_of(node: ast.stmt | ast.expr, other: ast.expr | None = None) -> Position:
    """Where a node ends, or the later one of two."""
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    return end if other is None else max(end, end_of(other))


class ExpressionScanner:
    """Walks the expressions of one scope; lambdas and comprehensions get a scanner of their own."""

    def __init__(
        self, file: SourceFile, facts: Facts, scope: Scope, context: Context = _PLAIN
    ) -> None:
        self.file = file
        self.facts = facts
        self.scope = scope
        self.block = scope.block
        self.here = Place(scope, scope.block)
        self.context = context

    # -- bindings --------------------------------------------------------------------------

    def bind(self, kind: BindingKind, name: str, position: Position, **more: object) -> Binding:
        binding = Binding(kind, self.block, position, self.scope, **more)  # type: ignore[arg-type]
        self.scope.bind(name, binding)
        return binding

    def assign(self, target: ast.expr, source: Binding) -> None:
        """Bind a target (a name, an attribute, an item or a nest of them) to a source."""
        if isinstance(target, ast.Name):
            self.scope.bind(target.id, source)
            self.place(target)
        elif isinstance(target, (ast.Tuple, ast.List)):
            starred = False
            for index, element in enumerate(target.elts):
                is_star = isinstance(element, ast.Starred)
                starred = starred or is_star
                inner = element.value if isinstance(element, ast.Starred) else element
                item = Binding(
                    "opaque" if is_star else "item",
                    self.block,
                    source.position,
                    self.scope,
                    source=source,
                    index=None if starred else index,
                )
                self.assign(inner, item)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, Binding("opaque", self.block, source.position, self.scope))
        else:
            self.expression(target)
            if isinstance(target, (ast.Attribute, ast.Subscript)):
                self.facts.stores.append(StoreFact(target, source))

    def source(self, kind: BindingKind, node: ast.expr | None, position: Position) -> Binding:
        return Binding(kind, self.block, position, self.scope, node=node)

    # -- expressions -----------------------------------------------------------------------

    def place(self, node: ast.Name) -> None:
        here = self.here
        if here.block is not self.block:
            here = self.here = Place(self.scope, self.block)
        self.facts.places[node] = here

    def operation(self, node: ast.expr) -> None:
        self.facts.operations.append(ExpressionFact(node, self.scope, self.context))

    def truth(self, test: ast.expr) -> None:
        """A test asks a value whether it is true; those made of other tests do not themselves."""
        if type(test) in _ASKED:
            self.operation(test)

    def iteration(self, node: ast.expr, is_async: bool = False) -> None:
        self.facts.iterations.append(ExpressionFact(node, self.scope, self.context, is_async))

    def expression(
        self,
        node: ast.expr,
        role: str = "other",
        call: ast.Call | None = None,
        keyword: str | None = None,
        position: int | None = None,
    ) -> None:
        """Visit an expression. `role` says what becomes of its value."""
        if type(node) is ast.Name:
            here = self.here
            if here.block is not self.block:
                here = self.here = Place(self.scope, self.block)
            self.facts.places[node] = here
            if role not in _UNUSED:
                self.use(node, role, call, keyword, position)
        elif type(node) is ast.Attribute:
            if role == "annotation":
                self.expression(node.value, role)
                return
            self.expression(node.value, "receiver")
            self.facts.attributes.append(ExpressionFact(node, self.scope, self.context))
            if role != "called" and role != "receiver":
                self.use(node, role, call, keyword, position)
        elif type(node) is not ast.Constant:
            handler = _EXPRESSIONS.get(type(node))
            if handler is not None:
                handler(self, node, role)
            else:
                self.children(node, "annotation" if role == "annotation" else "other")

    def children(self, node: ast.AST, role: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child, role)
            elif isinstance(child, (ast.keyword, ast.comprehension)):
                self.children(child, role)

    def use(
        self,
        node: ast.Name | ast.Attribute,
        role: str,
        call: ast.Call | None,
        keyword: str | None,
        position: int | None,
    ) -> None:
        if type(node.ctx) is ast.Load:
            kind: ReferenceKind = role if role in _ROLES else "other"  # type: ignore[assignment]
            self.facts.uses.append(UseFact(node, self.scope, kind, call, keyword, position))

    def do_call(self, node: ast.Call, role: str) -> None:
        self.expression(node.func, "called")
        for index, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred):
                self.expression(argument, "argument")
            elif type(argument) is ast.Lambda:
                self.do_lambda(argument, "argument", node)
            else:
                self.expression(argument, "argument", node, None, index)
        for entry in node.keywords:
            if type(entry.value) is ast.Lambda:
                self.do_lambda(entry.value, "argument", node)
            else:
                self.expression(entry.value, "argument", node, entry.arg, None)
        self.facts.calls.append(
            CallFact(node, self.scope, self.context, role == "awaited", role == "decorator")
        )

    def do_await(self, node: ast.Await, role: str) -> None:
        self.expression(node.value, "awaited")

    def do_container(self, node: ast.List | ast.Tuple | ast.Set, role: str) -> None:
        inner = role if role == "annotation" else "container"
        for element in node.elts:
            self.expression(element, inner)

    def do_dict(self, node: ast.Dict, role: str) -> None:
        for key in node.keys:
            if key is not None:
                self.expression(key, "container")
        for value in node.values:
            self.expression(value, "container")

    def do_branches(self, node: ast.IfExp, role: str) -> None:
        self.expression(node.test)
        self.truth(node.test)
        self.expression(node.body, role)
        self.expression(node.orelse, role)

    def do_bool(self, node: ast.BoolOp, role: str) -> None:
        for value in node.values:
            self.expression(value, role)
            self.truth(value)

    def do_starred(self, node: ast.Starred, role: str) -> None:
        self.expression(node.value, "other")
        self.iteration(node.value)

    def do_named(self, node: ast.NamedExpr, role: str) -> None:
        self.expression(node.value, "assigned")
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        self.place(node.target)
        scope.bind(
            node.target.id, Binding("value", self.block, end_of(node), scope, node=node.value)
        )

    def do_yield(self, node: ast.Yield | ast.YieldFrom, role: str) -> None:
        if node.value is not None:
            self.expression(node.value, "returned")
            if isinstance(node, ast.YieldFrom):
                self.iteration(node.value)
        if self.scope.function is not None:
            self.facts.yields.setdefault(self.scope.function, []).append(node)

    def do_lambda(self, node: ast.Lambda, role: str, call: ast.Call | None = None) -> None:
        for default in [*node.args.defaults, *[d for d in node.args.kw_defaults if d]]:
            self.expression(default)
        inner = self.inner("lambda", Context(in_lambda=True))
        for index, param in enumerate(parameters(node.args)):
            if call is not None and param.kind in ("posonly", "arg"):
                # what the lambda is called with depends on what it is given to
                inner.bind("passed", param.name, (0, 0), node=call, index=index, subject=node)
            else:
                inner.bind("opaque", param.name, (0, 0))
        self.facts.lambdas[node] = inner.scope
        inner.expression(node.body, "returned")

    def inner(self, kind: ScopeKind, context: Context) -> ExpressionScanner:
        scope = Scope(kind, self.scope, self.file, self.scope.function, self.scope.cls, self.block)
        return ExpressionScanner(self.file, self.facts, scope, context)

    def do_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, role: str
    ) -> None:
        if self.context.in_lambda:
            context = self.context
        elif isinstance(node, ast.GeneratorExp):
            context = Context(in_genexp=True)
        else:
            context = Context(in_comprehension=True)
        inner = self.inner("comprehension", context)
        for index, generator in enumerate(node.generators):
            # the first iterable runs outside the comprehension's own scope
            visitor = self if index == 0 else inner
            visitor.expression(generator.iter)
            visitor.iteration(generator.iter, bool(generator.is_async))
            inner.assign(generator.target, inner.source("element", generator.iter, (0, 0)))
            for condition in generator.ifs:
                inner.expression(condition)
                inner.truth(condition)
        if isinstance(node, ast.DictComp):
            inner.expression(node.key)
            inner.expression(node.value, "container")
        else:
            inner.expression(node.elt, "container")

    def do_subscript(self, node: ast.Subscript, role: str) -> None:
        inner = "annotation" if role == "annotation" else "other"
        self.expression(node.value, inner)
        self.expression(node.slice, inner)
        if inner != "annotation":
            self.operation(node)

    def do_binary(self, node: ast.BinOp, role: str) -> None:
        inner = "annotation" if role == "annotation" else "other"
        self.expression(node.left, inner)
        self.expression(node.right, inner)
        if inner != "annotation":
            self.operation(node)

    def do_unary(self, node: ast.UnaryOp, role: str) -> None:
        self.expression(node.operand, "annotation" if role == "annotation" else "other")
        if type(node.op) is ast.Not:
            self.truth(node.operand)
        elif type(node.operand) is not ast.Constant:
            self.operation(node)

    def do_compare(self, node: ast.Compare, role: str) -> None:
        inner = "annotation" if role == "annotation" else "other"
        self.expression(node.left, inner)
        for other in node.comparators:
            self.expression(other, inner)
        self.operation(node)

    def do_joined(self, node: ast.JoinedStr, role: str) -> None:
        self.children(node, "other")

    def do_formatted(self, node: ast.FormattedValue, role: str) -> None:
        self.children(node, "other")
        self.operation(node)


_UNUSED = ("called", "receiver", "annotation")
_ASKED = (ast.Name, ast.Attribute, ast.Call)
_ROLES = ("argument", "assigned", "returned", "decorator", "container")
_EXPRESSIONS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Call: ExpressionScanner.do_call,
    ast.Await: ExpressionScanner.do_await,
    ast.List: ExpressionScanner.do_container,
    ast.Tuple: ExpressionScanner.do_container,
    ast.Set: ExpressionScanner.do_container,
    ast.Dict: ExpressionScanner.do_dict,
    ast.IfExp: ExpressionScanner.do_branches,
    ast.BoolOp: ExpressionScanner.do_bool,
    ast.Starred: ExpressionScanner.do_starred,
    ast.Subscript: ExpressionScanner.do_subscript,
    ast.BinOp: ExpressionScanner.do_binary,
    ast.UnaryOp: ExpressionScanner.do_unary,
    ast.Compare: ExpressionScanner.do_compare,
    ast.NamedExpr: ExpressionScanner.do_named,
    ast.Yield: ExpressionScanner.do_yield,
    ast.YieldFrom: ExpressionScanner.do_yield,
    ast.Lambda: ExpressionScanner.do_lambda,
    ast.ListComp: ExpressionScanner.do_comprehension,
    ast.SetComp: ExpressionScanner.do_comprehension,
    ast.DictComp: ExpressionScanner.do_comprehension,
    ast.GeneratorExp: ExpressionScanner.do_comprehension,
    ast.JoinedStr: ExpressionScanner.do_joined,
    ast.FormattedValue: ExpressionScanner.do_formatted,
}
