"""Attributes by which a library's decorator keeps the function that it decorates.

`click.command` makes a command of the function, whose `callback` is the function; a Celery task's
`run` is the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgekit_codemods.program.types import TypeRef

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_KEPT = {
    "callback": ("click.", "typer.", "flask.cli.", "flask.Flask.cli"),
    "run": ("celery.",),
    "func": ("prefect.",),
    "fn": ("prefect.",),
}


def kept_by_decorator(engine: Inference, ref: TypeRef, name: str) -> bool:
    """Whether attribute `name` of a decorated function is the function itself."""
    if name == "__wrapped__":
        return True
    roots = _KEPT.get(name)
    fn = engine.facts.functions.get(ref.args[0].name)
    return (
        roots is not None
        and fn is not None
        and any((d.dotted or "").startswith(roots) for d in engine.decorators_of(fn))
    )
