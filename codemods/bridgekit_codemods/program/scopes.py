"""Scopes, blocks and bindings: where a name gets its values.

A binding stands in a block (one statement list) at a position. For a use of a local name only the
bindings that can reach it count: the last one that surely ran before it, the conditional ones
after that, and those of enclosing loops that come round again.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class, Function, Param

ScopeKind: TypeAlias = Literal["module", "class", "function", "lambda", "comprehension"]
BindingKind: TypeAlias = Literal[
    "value",  # node is the value
    "annotated",  # annotation, and node is the value if there is one
    "element",  # an element of the iterable node
    "entered",  # what entering the context manager node gives
    "item",  # one item of what `source` is; index says which
    "caught",  # an exception of the class node
    "narrowed",  # isinstance(subject, node)
    "import",  # `module`
    "from",  # attribute `attribute` of `module`
    "function",
    "class",
    "param",
    "passed",  # argument `index` of the lambda `subject` that is given to the call `node`
    "opaque",  # something unknown
]
Position: TypeAlias = tuple[int, int]
END: Position = (1 << 60, 0)


@dataclass(eq=False, slots=True)
class Block:
    """A statement list. Statements of a nested block may run never, once or many times."""

    parent: Block | None
    loop: bool = False

    def encloses(self, other: Block | None) -> bool:
        """Whether `other` is this block or nested in it."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False


@dataclass(eq=False, slots=True)
class Binding:
    """One way in which a name gets a value. The position is where the binding is complete."""

    kind: BindingKind
    block: Block
    position: Position
    scope: Scope
    node: ast.expr | None = None
    annotation: ast.expr | None = None
    source: Binding | None = None
    index: int | None = None
    module: str = ""
    attribute: str = ""
    function: Function | None = None
    cls: Class | None = None
    param: Param | None = None
    subject: ast.expr | None = None


@dataclass(eq=False, slots=True)
class Scope:
    """A namespace. `function` and `cls` are the innermost ones whose body this is part of."""

    kind: ScopeKind
    parent: Scope | None
    file: SourceFile
    function: Function | None
    cls: Class | None
    block: Block
    names: dict[str, list[Binding]] = field(default_factory=dict)
    redirected: dict[str, Literal["global", "nonlocal"]] = field(default_factory=dict)
    star_imports: list[str] = field(default_factory=list)
    narrowings: list[tuple[str, Binding]] = field(default_factory=list)

    @property
    def module_scope(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def bind(self, name: str, binding: Binding) -> None:
        """Add a binding, following `global` and `nonlocal`."""
        owner = self
        where = self.redirected.get(name)
        if where == "global":
            owner = self.module_scope
        elif where == "nonlocal":
            candidate = self.parent
            while candidate is not None and candidate.kind != "module":
                if candidate.kind == "function" and name in candidate.names:
                    owner = candidate
                    break
                candidate = candidate.parent
        owner.names.setdefault(name, []).append(binding)

    def find(self, name: str) -> tuple[Scope, list[Binding]] | None:
        """The scope that a name read here belongs to, with its bindings; None for builtins."""
        if self.redirected and self.redirected.get(name) == "global":
            scope: Scope | None = self.module_scope
        else:
            scope = self
        first = True
        while scope is not None:
            if scope.kind != "class" or first:
                bindings = scope.names.get(name)
                if bindings:
                    return scope, bindings
            # a comprehension in a class body does not see the class's names (but its first
            # iterable is visited in the class scope itself)
            first = False
            scope = scope.parent
        return None


class Place(NamedTuple):
    """Where names are read; all names of a block share one place."""

    scope: Scope
    block: Block


def reaching(
    bindings: list[Binding], owner: Scope, place: Place, position: Position
) -> list[Binding]:
    """The bindings of a name in `owner` that may be in force at `place` and `position`.

    From another function every binding counts, because it may run at any time.
    """
    if len(bindings) == 1 and bindings[0].kind != "narrowed":
        return bindings
    if any(b.kind == "narrowed" for b in bindings):
        # a test says something where it holds and nothing elsewhere: it does not bind the name
        bindings = [
            b for b in bindings
            if b.kind != "narrowed" or b.subject is None or b.block.encloses(place.block)
        ]  # fmt: skip
    if len(bindings) == 1:
        return bindings
    scope: Scope | None = place.scope
    while scope is not None and scope is not owner:
        if scope.kind in ("function", "lambda"):
            return bindings
        scope = scope.parent
    if owner.kind == "comprehension":
        return bindings
    earlier = [b for b in bindings if b.position <= position and owner.block.encloses(b.block)]
    foreign = [b for b in bindings if not owner.block.encloses(b.block)]
    dominator: Binding | None = None
    for binding in sorted(earlier, key=lambda b: b.position):
        if binding.block.encloses(place.block):
            dominator = binding
    if dominator is None:
        found = list(earlier)
    else:
        found = [b for b in earlier if b is dominator or b.position > dominator.position]
    block: Block | None = place.block
    while block is not None and block is not owner.block:
        if dominator is not None and block.encloses(dominator.block):
            break
        if block.loop:
            found += [b for b in bindings if b.position > position and block.encloses(b.block)]
        block = block.parent
    unique = list(dict.fromkeys(found + foreign))
    return unique or bindings
