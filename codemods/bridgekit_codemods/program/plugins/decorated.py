"""What a library's decorator makes of the function that it decorates.

`click.command` makes a command of the function, whose `callback` is the function; Celery makes a
task, whose `run` is the function and whose `apply` runs it at once.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import UNKNOWN, TypeRef, Types, external

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_KEPT = {
    "callback": ("click.", "typer.", "flask.cli.", "flask.Flask.cli"),
    "run": ("celery.",),
    "func": ("prefect.",),
    "fn": ("prefect.",),
}
_TASK = "celery.Task"
_MADE = {"celery.shared_task": _TASK, "celery.Celery.task": _TASK}
"""Decorators by the class of what they make."""
RUN_AT_ONCE = frozenset({f"{_TASK}.apply", f"{_TASK}.__call__", "celery.canvas.Signature.apply"})
"""The methods of these classes that run the function before they return."""


def of_decorated(engine: Inference, ref: TypeRef, name: str) -> Types:
    """What attribute `name` of a function is, which may be no function after its decorators."""
    if name == "__wrapped__":
        return frozenset({ref})
    fn = engine.facts.functions.get(ref.args[0].name)
    if fn is None or not fn.decorators:
        return frozenset({UNKNOWN})
    decorators = engine.decorators_of(fn)
    if any((d.dotted or "").startswith(_KEPT.get(name, ())) for d in decorators):
        return frozenset({ref})
    for decorator in decorators:
        made = _MADE.get(catalog.canonical(decorator.dotted)) if decorator.dotted else None
        if made is not None:
            return frozenset({external(f"{made}.{name}", TypeRef(made, (ref,)))})
    return frozenset({UNKNOWN})


def made_around(engine: Inference, fn: Function) -> Types | None:
    """What the first parameter of a function is to which a decorator passes what it made of it."""
    for decorator in engine.decorators_of(fn) if fn.cls is None else ():
        node = decorator.node
        if isinstance(node, ast.Call) and any(
            keyword.arg == "bind"
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
            for keyword in node.keywords
        ):
            made = _MADE.get(catalog.canonical(decorator.dotted)) if decorator.dotted else None
            if made is not None:
                return frozenset({TypeRef(made)})
    return None
