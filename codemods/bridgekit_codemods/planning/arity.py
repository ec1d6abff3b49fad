"""Whether a call could be one of a function, seen from the arguments alone."""

from __future__ import annotations

import ast

from bridgekit_codemods.program.symbols import Function


def accepts(function: Function, call: ast.Call) -> bool:
    """Says whether the arguments of `call` fit the parameters of the method `function`.

    Used to rule out a target, never to find one: a call that unpacks its arguments fits anything.
    """
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        return True
    if any(keyword.arg is None for keyword in call.keywords):
        return True
    params = function.params
    if function.cls is not None and not function.is_static:
        params = params[1:]
    kinds = {param.kind for param in params}
    positional = [param for param in params if param.kind in ("posonly", "arg")]
    if len(call.args) > len(positional) and "vararg" not in kinds:
        return False
    given = {param.name for param in positional[: len(call.args)]}
    named = {keyword.arg for keyword in call.keywords}
    by_name = {param.name for param in params if param.kind in ("arg", "kwonly")}
    if named & given or (not named <= by_name and "kwarg" not in kinds):
        return False
    needed = {
        param.name
        for param in params
        if param.default is None and param.kind in ("posonly", "arg", "kwonly")
    }
    return needed <= given | {name for name in named if name is not None}
