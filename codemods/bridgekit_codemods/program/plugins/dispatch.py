"""`functools.singledispatch`: a call may go to any of the functions that are registered.

    @singledispatch
    def shown(value): ...

    @shown.register
    def _(value: Order): ...

Which one it is depends on the class of the first argument; all of them count.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bridgekit_codemods.program.symbols import Function

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_DISPATCHERS = frozenset({"functools.singledispatch", "functools.singledispatchmethod"})


class Dispatch:
    """The registrations of a program; empty until `find`."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.registered: dict[Function, tuple[Function, ...]] = {}
        """The implementations of each dispatching function, itself not among them."""
        self.first: dict[Function, ast.expr] = {}
        """The class that is written as an implementation's first argument."""

    def find(self) -> None:
        """Look for registrations. The decorators must have the names that imports give them."""
        functions = self.engine.facts.functions
        found: dict[Function, dict[Function, None]] = {
            fn: {}
            for fn in functions.values()
            if any(d.dotted in _DISPATCHERS for d in fn.decorators)
        }
        if not found:
            return
        for fn in functions.values():
            for decorator in fn.decorators:
                owner, _, last = (decorator.dotted or "").rpartition(".")
                dispatcher = functions.get(owner) if last == "register" else None
                if dispatcher in found:
                    found[dispatcher][fn] = None
                    node = decorator.node
                    if isinstance(node, ast.Call) and len(node.args) == 1:
                        self.first[fn] = node.args[0]
        for call in self.engine.facts.calls:
            func = call.node.func
            if isinstance(func, ast.Attribute) and func.attr == "register" and call.node.args:
                owner_name = self.engine.linker.dotted(call.scope, func.value)
                dispatcher = functions.get(owner_name or "")
                given = functions.get(
                    self.engine.linker.dotted(call.scope, call.node.args[-1]) or ""
                )
                if dispatcher in found and given is not None and len(call.node.args) == 2:
                    found[dispatcher][given] = None
        self.registered = {fn: tuple(others) for fn, others in found.items() if others}
