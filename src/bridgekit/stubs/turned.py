"""Functions and methods in the other colour, as definitions of a stub."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from bridgekit.adapters.proxies.rules import Colour, MemberKind
from bridgekit.stubs.classes import Typed, is_type_variable
from bridgekit.stubs.definitions import FunctionNode
from bridgekit.stubs.names import Place, Qualified, name_of
from bridgekit.stubs.signatures import Signatures, function

__all__ = ["FunctionWriter", "is_overload"]

_TYPE = {"type", "Type", "typing.Type"}


class FunctionWriter:
    """Functions and methods of one colour."""

    def __init__(self, signatures: Signatures, colour: Colour) -> None:
        self.signatures = signatures
        self.translator = signatures.translator
        self.colour: Colour = colour

    def reference(self, module: str, name: str, *arguments: ast.expr) -> ast.expr:
        base = self.translator.reference(Qualified(module, name))
        if not arguments:
            return base
        index = arguments[0] if len(arguments) == 1 else ast.Tuple([*arguments], ast.Load())
        return ast.Subscript(base, index, ast.Load())

    def none(self) -> ast.expr:
        return ast.Constant(None)

    def iterator(self, item: ast.expr) -> ast.expr:
        if self.colour == "async":
            return self.reference("collections.abc", "AsyncGenerator", item, self.none())
        return self.reference("collections.abc", "Generator", item, self.none(), self.none())

    def methods(
        self,
        name: str,
        nodes: list[FunctionNode],
        kind: MemberKind,
        place: Place,
        variables: Mapping[str, ast.expr],
        *,
        first: str | None,
        decorators: tuple[str, ...] = (),
        returns: ast.expr | None = None,
    ) -> list[FunctionNode]:
        """All overloads of one function, under ``name``."""
        overloads = [node for node in nodes if is_overload(node)] or nodes[-1:]
        return [
            self._method(name, node, kind, place, variables, first, decorators, returns)
            for node in overloads
        ]

    def _method(
        self,
        name: str,
        node: FunctionNode,
        kind: MemberKind,
        place: Place,
        variables: Mapping[str, ast.expr],
        first: str | None,
        decorators: tuple[str, ...],
        returns: ast.expr | None,
    ) -> FunctionNode:
        variables = {**variables, **self._self_variable(node, place, first)}
        this = self.self_annotation(node, place, variables) if first is not None else None
        for decorator in self.signatures.unknown_decorators(node):
            why = f"{node.name} is decorated with {decorator}; taken to keep the signature"
            self.translator.any(place, node, why)
        args = self.signatures.arguments(node, place, variables, first=first)
        if this is not None and first == "self":
            [*args.posonlyargs, *args.args][0].annotation = this
        elif this is not None and returns is not None:
            returns = this  # a constructor
        if returns is None:
            returns, is_async = self._result(node, kind, Typed(node.returns, place, variables))
        else:
            is_async = kind is MemberKind.CALL and self.colour == "async"
        written = [ast.Name(decorator, ast.Load()) for decorator in decorators]
        if is_overload(node):
            return function(
                name, args, returns, is_async=is_async,
                decorators=[self.translator.typing("overload"), *written],
            )  # fmt: skip
        return function(name, args, returns, is_async=is_async, decorators=[*written])

    def self_annotation(
        self, node: FunctionNode, place: Place, variables: Mapping[str, ast.expr]
    ) -> ast.expr | None:
        """The annotation of ``self`` where it chooses parameters of the class, as overloads do."""
        return None

    def _self_variable(
        self, node: FunctionNode, place: Place, first: str | None
    ) -> dict[str, ast.expr]:
        """A type variable that annotates ``self`` or ``cls`` means ``Self``."""
        positional = [*node.args.posonlyargs, *node.args.args]
        annotation = positional[0].annotation if first is not None and positional else None
        if isinstance(annotation, ast.Subscript) and name_of(annotation.value) in _TYPE:
            annotation = annotation.slice
        if not isinstance(annotation, ast.Name):
            return {}
        qualified = self.translator.resolve(annotation.id, place)
        if qualified is None or not is_type_variable(qualified):
            return {}
        return {annotation.id: self.translator.typing("Self")}

    def _result(self, node: FunctionNode, kind: MemberKind, typed: Typed) -> tuple[ast.expr, bool]:
        what = f"the result of {node.name}"
        result = self.signatures.result
        is_async = isinstance(node, ast.AsyncFunctionDef)
        if kind is MemberKind.ITERATOR:
            return self.iterator(result(self.signatures.item(typed), what, node)), False
        if kind is MemberKind.CONTEXT_MANAGER:
            entered = result(self.signatures.entered(typed), what, node)
            prefix = "AbstractAsync" if self.colour == "async" else "Abstract"
            return self.reference("contextlib", f"{prefix}ContextManager", entered), False
        if kind is MemberKind.CALL or kind is MemberKind.AWAITED:
            if not is_async:
                typed = self.signatures.awaited(typed)
            return result(typed, what, node), self.colour == "async"
        return result(typed, what, node), is_async and not _yields(node)


def is_overload(node: FunctionNode) -> bool:
    """Whether the definition is one of several, marked with ``overload``."""
    return any(ast.unparse(d).rpartition(".")[2] == "overload" for d in node.decorator_list)


def _yields(node: FunctionNode) -> bool:
    return any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in ast.walk(node))
