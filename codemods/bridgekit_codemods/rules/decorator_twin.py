"""Builds the async twin of a decorator's wrapper."""

from __future__ import annotations

import ast
from typing import Any

import libcst as cst

from bridgekit_codemods.editing import Edit
from bridgekit_codemods.editing.nodes import asynchronous, awaited, expression
from bridgekit_codemods.rules.decorator_shapes import Wrapping


def with_twin(wrapping: Wrapping) -> Edit:
    """The wrapper, preceded by its twin under `if inspect.iscoroutinefunction(func):`."""

    def edit(wrapper: cst.FunctionDef) -> cst.FlattenSentinel[Any]:
        twin = asynchronous(wrapper.deep_clone()).visit(_Awaiting(wrapping))
        twin = twin.with_changes(name=cst.Name(wrapping.twin), leading_lines=[_blank()])
        choice = cst.If(
            test=expression(f"inspect.iscoroutinefunction({wrapping.parameter})"),
            body=cst.IndentedBlock([twin, _returning(wrapping)]),
            leading_lines=wrapper.leading_lines,
        )
        return cst.FlattenSentinel([choice, wrapper.with_changes(leading_lines=[_blank()])])

    return edit


def _blank() -> cst.EmptyLine:
    return cst.EmptyLine(indent=False)


def _returning(wrapping: Wrapping) -> cst.SimpleStatementLine:
    returned = wrapping.returned
    if isinstance(returned, ast.Call):
        value = f"{ast.unparse(returned.func)}({wrapping.twin})"
    else:
        value = wrapping.twin
    return cst.SimpleStatementLine(body=[cst.Return(expression(value))], leading_lines=[_blank()])


class _Awaiting(cst.CSTTransformer):
    """Awaits the decorated function and sleeps without blocking."""

    def __init__(self, wrapping: Wrapping) -> None:
        super().__init__()
        self._parameter = wrapping.parameter
        self._sleeps = wrapping.sleeps

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        call = updated_node
        if isinstance(call.func, cst.Await):
            call = call.with_changes(func=_parenthesized(call.func))
        if isinstance(call.func, cst.Name) and call.func.value == self._parameter:
            return awaited(call)
        written = cst.Module([]).code_for_node(original_node.func)
        if written in self._sleeps:
            return awaited(call.with_changes(func=expression("anyio.sleep")))
        return call

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute:
        if isinstance(updated_node.value, cst.Await):
            return updated_node.with_changes(value=_parenthesized(updated_node.value))
        return updated_node

    def leave_Subscript(
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.Subscript:
        if isinstance(updated_node.value, cst.Await):
            return updated_node.with_changes(value=_parenthesized(updated_node.value))
        return updated_node


def _parenthesized(node: cst.Await) -> cst.Await:
    if node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
