"""Where functions of the program are used as values, and where relationships are read."""

from __future__ import annotations

import ast

from bridgekit_codemods.program.callees import Callees
from bridgekit_codemods.program.calls import AttributeUse, Reference
from bridgekit_codemods.program.facts import UseFact
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import Types


class References:
    """Builds the program's references; one instance for one program."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.facts = engine.facts
        self.callees = Callees(engine)
        self._named: dict[Types, list[Function]] = {}

    def all(self) -> list[Reference]:
        """Project functions used as values. Parameters that hold functions do not count: what is
        passed to them is recorded where it is passed."""
        found: list[Reference] = []
        for use in self.facts.uses:
            types = self.engine.types(use.node)
            functions = self._named.get(types)
            if functions is None:
                functions = self._named[types] = self._functions(types)
            if functions and not self._is_parameter(use):
                found += [self._reference(use, fn) for fn in functions]
        return sorted(found, key=lambda r: (r.path, r.span, r.function.qualname))

    def _functions(self, types: Types) -> list[Function]:
        names = sorted(r.args[0].name for r in types if r.name == "function")
        return [self.facts.functions[n] for n in names if n in self.facts.functions]

    def _is_parameter(self, use: UseFact) -> bool:
        if not isinstance(use.node, ast.Name):
            return False
        place = self.facts.places.get(use.node)
        found = self.engine.linker.lookup(place.scope, use.node.id) if place is not None else None
        return found is not None and all(b.kind == "param" for b in found[1])

    def _reference(self, use: UseFact, fn: Function) -> Reference:
        consumer = None
        if use.call is not None:
            targets, externals = self.callees.of(self.engine.types(use.call.func), False)
            names = [*(f.qualname for f in targets), *sorted(externals)]
            owner = [r.args[0].name for r in self.engine.types(use.call.func) if r.name == "type"]
            consumer = (sorted(owner) or sorted(names) or [None])[0]  # type: ignore[list-item]
        return Reference(
            use.scope.file.path, use.scope.file.span(use.node), use.node, fn, use.scope.function,
            use.kind, consumer, use.keyword, use.position,
        )  # fmt: skip


def relationship_uses(engine: Inference, names: set[str]) -> list[AttributeUse]:
    """Accesses of attributes that are relationships of a model."""
    found = []
    for fact in engine.facts.attributes:
        node = fact.node
        if isinstance(node, ast.Attribute) and node.attr in names:
            scope = fact.scope
            found.append(
                AttributeUse(
                    scope.file.path,
                    scope.file.span(node),
                    node,
                    scope.function,
                    engine.stood_for(engine.types(node.value)),
                    node.attr,
                )
            )
    return sorted(found, key=lambda u: (u.path, u.span))
