"""Small rewrites of single LibCST nodes; each returns an `Edit` or is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from bridgekit_codemods.editing.edits import Edit

_SPACE = cst.SimpleWhitespace(" ")
COMMA = cst.Comma(whitespace_after=_SPACE)


def expression(source: str) -> cst.BaseExpression:
    """Parses one expression."""
    return cst.parse_expression(source)


def awaited(node: Any) -> cst.Await:
    """`x` -> `await x`; parentheses that stood around `x` now stand around the `await`."""
    lpar, rpar = node.lpar, node.rpar
    return cst.Await(expression=node.with_changes(lpar=[], rpar=[]), lpar=lpar, rpar=rpar)


def renamed_callee(name: str) -> Edit:
    """`f(...)` or `x.f(...)` -> the same with `name` as the last name of the callee."""

    def edit(call: cst.Call) -> cst.Call:
        return call.with_changes(func=_with_last_name(call.func, name))

    return edit


def _with_last_name(node: cst.BaseExpression, name: str) -> cst.BaseExpression:
    match node:
        case cst.Name():
            return node.with_changes(value=name)
        case cst.Attribute():
            return node.with_changes(attr=node.attr.with_changes(value=name))
        case _:
            raise TypeError(f"no name to change in {type(node).__name__}")


def renamed(name: str) -> Edit:
    """A `Name` or `Attribute` used as a value gets another last name."""

    def edit(node: cst.BaseExpression) -> cst.BaseExpression:
        return _with_last_name(node, name)

    return edit


def replaced_callee(source: str) -> Edit:
    """`anything(...)` -> `source(...)`, arguments untouched."""

    def edit(call: cst.Call) -> cst.Call:
        return call.with_changes(func=expression(source))

    return edit


def through_attribute(name: str) -> Edit:
    """`x.f(...)` -> `x.name.f(...)`."""

    def edit(call: cst.Call) -> cst.Call:
        if not isinstance(call.func, cst.Attribute):
            raise TypeError("a method call was expected")
        face = cst.Attribute(value=call.func.value, attr=cst.Name(name))
        return call.with_changes(func=call.func.with_changes(value=face))

    return edit


def in_thread(options: Sequence[str] = ()) -> Edit:
    """`f(a, k=v)` -> `await to_thread.run_sync(f, a, k=v)`; `options` are appended as written."""

    def edit(call: cst.Call) -> cst.Await:
        function = cst.Arg(
            value=call.func,
            comma=cst.Comma(whitespace_after=_SPACE) if call.args else cst.MaybeSentinel.DEFAULT,
        )
        bridged = call.with_changes(
            func=expression("to_thread.run_sync"),
            args=[function, *call.args, *_keyword_arguments(options)],
        )
        return awaited(_with_commas(bridged))

    return edit


def in_thread_whole(options: Sequence[str] = ()) -> Edit:
    """`EXPR` -> `await to_thread.run_sync(lambda: EXPR)`."""

    def edit(node: Any) -> cst.Await:
        lpar, rpar = node.lpar, node.rpar
        body = node.with_changes(lpar=[], rpar=[])
        bridged = cst.Call(
            func=expression("to_thread.run_sync"),
            args=[
                cst.Arg(cst.Lambda(params=cst.Parameters(), body=body)),
                *_keyword_arguments(options),
            ],
            lpar=lpar,
            rpar=rpar,
        )
        return awaited(_with_commas(bridged))

    return edit


def _keyword_arguments(options: Sequence[str]) -> list[cst.Arg]:
    call = expression(f"f({', '.join(options)})")
    return list(call.args) if isinstance(call, cst.Call) else []


def _with_commas(call: cst.Call) -> cst.Call:
    """Every argument but the last ends in a comma; a trailing comma of the source stays."""
    last = len(call.args) - 1
    args = []
    for index, arg in enumerate(call.args):
        if index < last and not isinstance(arg.comma, cst.Comma):
            arg = arg.with_changes(comma=cst.Comma(whitespace_after=_SPACE))
        args.append(arg)
    return call.with_changes(args=args)


def as_lambda_argument(callee: str) -> Edit:
    """`EXPR` -> `callee(lambda: EXPR)()`."""

    def edit(node: Any) -> cst.Call:
        body = node.with_changes(lpar=[], rpar=[])
        late = cst.Lambda(params=cst.Parameters(), body=body)
        face = cst.Call(func=expression(callee), args=[cst.Arg(late)])
        return cst.Call(func=face, args=[], lpar=node.lpar, rpar=node.rpar)

    return edit


def wrapped_callee(callee: str) -> Edit:
    """`f(...)` -> `callee(f)(...)`."""

    def edit(call: cst.Call) -> cst.Call:
        return call.with_changes(func=cst.Call(func=expression(callee), args=[cst.Arg(call.func)]))

    return edit


def renamed_keyword(old: str, new: str) -> Edit:
    """`f(old=x)` -> `f(new=x)`."""

    def edit(call: cst.Call) -> cst.Call:
        args = [
            arg.with_changes(keyword=arg.keyword.with_changes(value=new))
            if arg.keyword is not None and arg.keyword.value == old
            else arg
            for arg in call.args
        ]
        return call.with_changes(args=args)

    return edit


def without_keyword(name: str) -> Edit:
    """`f(a, name=x)` -> `f(a)`."""

    def edit(call: cst.Call) -> cst.Call:
        args = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != name]
        if args and len(args) < len(call.args) and args[-1] is not call.args[-1]:
            args[-1] = args[-1].with_changes(comma=call.args[-1].comma)
        return call.with_changes(args=args)

    return edit


def with_keywords(options: Sequence[str]) -> Edit:
    """`f(a)` -> `f(a, k=v)`; `options` are written as `k=v`."""

    def edit(call: cst.Call) -> cst.Call:
        return _with_commas(call.with_changes(args=[*call.args, *_keyword_arguments(options)]))

    return edit


def with_argument(call: cst.Call, value: cst.BaseExpression) -> cst.Call:
    """`f(a)` -> `f(a, value)`."""
    return _with_commas(call.with_changes(args=[*call.args, cst.Arg(value)]))


def asynchronous(node: Any) -> Any:
    """`def`, `with` or `for` -> its `async` form."""
    return node.with_changes(asynchronous=cst.Asynchronous())


def renamed_definition(name: str) -> Edit:
    """`def f` -> `def name`."""

    def edit(node: cst.FunctionDef) -> cst.FunctionDef:
        return node.with_changes(name=node.name.with_changes(value=name))

    return edit


def list_comprehension(node: cst.GeneratorExp) -> cst.ListComp:
    """`(x for ...)` -> `[x for ...]`; only right where the generator is consumed at once."""
    return cst.ListComp(elt=node.elt, for_in=node.for_in)


def followed_by(make: Callable[[Any], Sequence[cst.BaseStatement]]) -> Edit:
    """A statement, then the statements that `make` builds from it."""

    def edit(node: Any) -> cst.FlattenSentinel[Any]:
        return cst.FlattenSentinel([node, *make(node)])

    return edit


def removed(_node: Any) -> cst.RemovalSentinel:
    """Takes the node out."""
    return cst.RemoveFromParent()
