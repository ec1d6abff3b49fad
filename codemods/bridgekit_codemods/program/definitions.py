"""Parts of function and class definitions: names, parameters, `global` declarations."""

from __future__ import annotations

import ast

from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.symbols import Class, Function, Param


def unused(qualname: str, taken: dict[str, Function] | dict[str, Class]) -> str:
    if qualname not in taken:
        return qualname
    number = 2
    while f"{qualname}#{number}" in taken:
        number += 1
    return f"{qualname}#{number}"


def declare(body: list[ast.stmt], scope: Scope) -> None:
    """`global` and `nonlocal` hold for the whole function, wherever they stand in it."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            for name in node.names:
                scope.redirected[name] = "global" if isinstance(node, ast.Global) else "nonlocal"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            continue
        else:
            pending.extend(ast.iter_child_nodes(node))


def parameters(arguments: ast.arguments) -> tuple[Param, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = padding + list(arguments.defaults)
    found = [
        Param(a.arg, "posonly" if i < len(arguments.posonlyargs) else "arg", a.annotation, d)
        for i, (a, d) in enumerate(zip(positional, defaults, strict=True))
    ]
    if arguments.vararg:
        found.append(Param(arguments.vararg.arg, "vararg", arguments.vararg.annotation, None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Param(argument.arg, "kwonly", argument.annotation, default))
    if arguments.kwarg:
        found.append(Param(arguments.kwarg.arg, "kwarg", arguments.kwarg.annotation, None))
    return tuple(found)
