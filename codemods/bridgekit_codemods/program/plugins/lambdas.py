"""What a library passes to a lambda that it is given: `sorted(orders, key=lambda order: ...)`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.hidden import argument_of
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, Types

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_ANY: Types = frozenset({UNKNOWN})


def passed(engine: Inference, binding: Binding) -> Types:
    """The types of a parameter of a lambda that is an argument of a call."""
    call, index = binding.node, binding.index
    assert isinstance(call, ast.Call)
    assert index is not None
    found: Types = NOTHING
    for ref in engine.types(call.func):
        callback = catalog.callback(ref.args[0].name) if ref.name == "external" else None
        places = callback.passes.split() if callback is not None else []
        if (
            callback is None
            or index >= len(places)
            or argument_of(call, callback.parameter, callback.position) is not binding.subject
        ):
            return _ANY
        place = places[index]
        if place == "T" and len(ref.args) > 1:
            found |= engine.elements(frozenset(ref.args[1:2]))
        elif place.isdigit() and int(place) < len(call.args):
            iterable = call.args[int(place)]
            if isinstance(iterable, ast.Starred):
                return _ANY
            found |= engine.elements(engine.types(iterable))
        else:
            return _ANY
    return found or _ANY
