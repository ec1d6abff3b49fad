"""Expression types, on demand: every expression is evaluated at most once a round."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import Annotations, product
from bridgekit_codemods.program.bindings import Bindings
from bridgekit_codemods.program.externals import Externals
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.generics import Generics
from bridgekit_codemods.program.linker import Linker
from bridgekit_codemods.program.members import Members
from bridgekit_codemods.program.plugins.attribute_access import AttributeAccess
from bridgekit_codemods.program.plugins.dispatch import Dispatch
from bridgekit_codemods.program.results import Results
from bridgekit_codemods.program.rounds import BEFORE, DEPTH, WIDTH, Rounds, bounded
from bridgekit_codemods.program.scopes import Binding, Place, Position, Scope, reaching
from bridgekit_codemods.program.symbols import Class, Decorator, Function
from bridgekit_codemods.program.types import (
    NONE,
    NOTHING,
    UNKNOWN,
    TypeRef,
    Types,
    external,
    ordered,
)

if TYPE_CHECKING:
    from bridgekit_codemods.program.fixtures import Fixtures

_ANY: Types = frozenset({UNKNOWN})
_CONSTANTS = {
    kind: frozenset({TypeRef(kind.__name__)})
    for kind in (str, bytes, bool, int, float, complex, type(...))
} | {type(None): frozenset({NONE})}
PROVIDERS = "the functions that provide library objects"


class Inference(Rounds):
    """The evaluator and what all its parts share."""

    def __init__(self, linker: Linker, facts: Facts) -> None:
        super().__init__()
        self.linker = linker
        self.facts = facts
        self.classes_named: dict[str, list[Class]] = {}
        for cls in facts.classes.values():
            self.classes_named.setdefault(cls.name, []).append(cls)
        self.subclasses: dict[Class, list[Class]] = {}
        self.fixtures: Fixtures | None = None
        self.flows: dict[tuple[Function, str], Types] = {}
        self.stored: dict[tuple[str, str], list[Binding]] = {}
        """Bindings of attributes and literal items, keyed by (owner, name)."""
        self.filed: set[tuple[tuple[str, str], Binding]] = set()
        """What of `stored` is assigned to other objects than `self`."""
        self.contents: dict[Binding, list[Binding]] = {}
        """What is put into a container, by the binding that makes it."""
        self.fixed: dict[Binding, Types] = {}
        """Bindings whose value is known from elsewhere."""
        self.providers: dict[str, tuple[Function, ...]] = {}
        """The functions whose results library objects stand for, by the object."""
        self.foreign: frozenset[str] = frozenset()
        """The names of attributes and items that code assigns to objects other than `self`."""
        self.bindings = Bindings(self)
        self.annotations = Annotations(self)
        self.generics = Generics(self)
        self.members = Members(self)
        self.access = AttributeAccess(self)
        self.dispatch = Dispatch(self)
        self.results = Results(self)
        self.externals = Externals(self)

    def forget(self) -> None:
        super().forget()
        self.members.lines = {}

    def types(self, node: ast.expr) -> Types:
        """The types of an expression of the program."""
        # `evaluate` written out: this is the hot path
        known = self.settled.get(node)
        if known is not None:
            return known
        if type(node) is ast.Constant:
            return _CONSTANTS.get(type(node.value), _ANY)
        known = self.memo.get(node)
        if known is not None:
            self.reads.append(node)
            return known
        handler = _HANDLERS.get(type(node))
        if handler is None:
            return _ANY
        if node in self.active or len(self.active) > DEPTH:
            self.reads.append(BEFORE)
            return self.previous.get(node, NOTHING)
        if type(node) is ast.Name:
            # its value is that of its binding, which is kept once for all names that read it
            binding = self._only_binding(node)
            if binding is not None:
                known = self.settled.get(binding)
                if known is None:
                    return self.bindings.of(binding)
                self.settled[node] = known
                return known
        reads: list[Hashable] = []
        outer, self.reads = self.reads, reads
        self.active.add(node)
        try:
            found = handler(self, node)
        finally:
            self.active.discard(node)
            self.reads = outer
        if len(found) > WIDTH:
            found = bounded(found)
        found = self.shared.setdefault(found, found)
        if reads:
            self.memo[node] = found
            self.dependencies[node] = reads
            outer.append(node)
        else:
            self.settled[node] = found
        return found

    def decorators_of(self, fn: Function) -> tuple[Decorator, ...]:
        """The decorators of a function; the first round does not know all their names."""
        if fn.decorators and not self.named:
            self.reads.append(fn)
        return fn.decorators

    def stored_in(self, owner: str, name: str) -> list[Binding]:
        """The assignments to an attribute or item from elsewhere, as far as they are known."""
        key = (owner, name)
        if name in self.foreign:
            self.reads.append(key)
        return self.stored.get(key, [])

    def provided(self, dotted: str) -> Types:
        """What a library object stands for, where the program provides it; else nothing."""
        if not catalog.providers(dotted):
            return NOTHING
        self.reads.append(PROVIDERS)
        found = frozenset().union(
            *(self.results.called(fn, None) for fn in self.providers.get(dotted, ()))
        )
        return found - {NONE}

    def stood_for(self, types: Types) -> Types:
        """The same types, with what the program provides in place of library objects."""
        found = types
        for ref in types:
            if ref.name == "external" and len(ref.args) == 1:
                provided = self.provided(ref.args[0].name)
                if provided:
                    found = found - {ref} | provided
        return found

    def union(self, nodes: Iterable[ast.expr]) -> Types:
        return frozenset().union(*(self.types(n) for n in nodes))

    # -- names -----------------------------------------------------------------------------

    def _only_binding(self, node: ast.Name) -> Binding | None:
        """The binding of a name that is bound once."""
        place = self.facts.places.get(node)
        if place is None:
            return None
        found = self.linker.lookup(place.scope, node.id)
        if found is None:
            return None
        bindings = found[1]
        if len(bindings) != 1 or bindings[0].kind == "narrowed":
            return None
        return bindings[0]

    def name(self, node: ast.Name) -> Types:
        place = self.facts.places.get(node)
        if place is None:
            return NOTHING
        return self.lookup(node.id, place, (node.lineno, node.col_offset))

    def lookup(self, name: str, place: Place, position: Position) -> Types:
        found = self.linker.lookup(place.scope, name)
        if found is None:
            star = self.linker.external_star(place.scope, name)
            if star is None and not hasattr(builtins, name):
                return _ANY
            return frozenset({external(star or f"builtins.{name}")})
        owner, bindings = found
        if len(bindings) == 1 and bindings[0].kind != "narrowed":
            return self.bindings.of(bindings[0])
        chosen = bindings
        if owner.kind != "module" or place.scope is owner:
            chosen = reaching(bindings, owner, place, position)
        return self.bindings.union(chosen)

    # -- derived values --------------------------------------------------------------------

    def instances(self, node: ast.expr) -> Types:
        """The instances of the class (or tuple of classes) that an expression names."""
        if isinstance(node, ast.Tuple):
            return frozenset().union(*(self.instances(e) for e in node.elts))
        return (
            frozenset(i for ref in self.types(node) for i in self.results.instance_of(ref)) or _ANY
        )

    def elements(self, iterable: Types, *, is_async: bool = False) -> Types:
        """What iterating over such values gives."""
        if not iterable:
            return NOTHING
        return frozenset().union(*(self.results.elements(ref) for ref in iterable))

    def entered(self, managers: Types) -> Types:
        """What `with` binds for such context managers."""
        if not managers:
            return NOTHING
        return frozenset().union(*(self.results.entered(ref) for ref in managers))

    def item(self, containers: Types, index: int) -> Types:
        """Item `index` of such tuples."""
        found: Types = NOTHING
        for ref in containers:
            if ref.name in ("tuple", "sqlalchemy.Row") and len(ref.args) > index:
                found |= {ref.args[index]}
            else:
                found |= self.results.elements(ref)
        return found

    # -- expressions -----------------------------------------------------------------------

    def attribute(self, node: ast.Attribute) -> Types:
        receivers = self.types(node.value)
        if not receivers:
            return NOTHING
        if len(receivers) == 1:
            (ref,) = receivers
            if ref.name != "type":
                return self.members.of(ref, node.attr)
        found: Types = NOTHING
        for ref in receivers:
            member = self.members.of(ref, node.attr)
            found = found | member if found else member
            if ref.name == "type" and self.is_open_class(node.value):
                found |= self.members.class_overrides(ref, node.attr)
        return found

    def is_open_class(self, node: ast.expr) -> bool:
        """Whether an expression for a class may mean any subclass: `cls`, `type(self)`."""
        if isinstance(node, ast.Name):
            place = self.facts.places.get(node)
            fn = place.scope.function if place is not None else None
            return fn is not None and any(p.name == node.id for p in fn.params)
        return isinstance(node, ast.Call) or (
            isinstance(node, ast.Attribute) and node.attr == "__class__"
        )

    def call(self, node: ast.Call) -> Types:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            place = self.facts.places.get(node.func)
            cls = place.scope.cls if place is not None else None
            if cls is not None:
                return frozenset({TypeRef("super", (TypeRef(cls.qualname),))})
        callees = self.types(node.func)
        if not callees:
            return NOTHING
        if len(callees) == 1:
            (callee,) = callees
            return self.results.call(callee, node)
        return frozenset().union(*(self.results.call(ref, node) for ref in callees))

    def awaited(self, node: ast.Await) -> Types:
        return frozenset().union(*(self.results.awaited(r) for r in self.types(node.value)))

    def subscript(self, node: ast.Subscript) -> Types:
        containers = self.types(node.value)
        if isinstance(node.slice, ast.Slice):
            return containers
        found: Types = NOTHING
        if isinstance(node.slice, ast.Constant):
            key = node.slice.value
            if isinstance(key, str):
                stored = self.stored_items(node.value, key)
                if stored:
                    return stored
            if isinstance(key, int) and key >= 0:
                return self.item(containers, key)
        for ref in containers:
            found |= self.results.subscripted(ref)
        return found

    def stored_items(self, base: ast.expr, key: str) -> Types:
        owner = self.item_owner(base)
        bindings = self.stored_in(owner, key) if owner is not None else []
        return self.bindings.union(bindings)

    def item_owner(self, base: ast.expr) -> str | None:
        """What `base[...] = value` stores into, as a key; None when that is not a shared object."""
        for ref in ordered(self.types(base)):
            if ref.name == "external" and not ref.args[0].name.startswith("builtins."):
                return self.items_of(ref.args[0].name)
        return None

    def items_of(self, dotted: str) -> str:
        """The key of a library object's items; the same for `current_app`, for the app, and for an
        app of a class derived from the library's."""
        owner, _, name = dotted.rpartition(".")
        kind = catalog.object_type(owner) or owner
        return f"items:{catalog.root_class(kind)}.{name}"

    def constant(self, node: ast.Constant) -> Types:
        return _CONSTANTS.get(type(node.value), _ANY)

    def sequence(self, node: ast.List | ast.Set) -> Types:
        name = "list" if isinstance(node, ast.List) else "set"
        if not node.elts:
            return frozenset({TypeRef(name)})
        return product(name, [self._items(node.elts) or _ANY])

    def tuple(self, node: ast.Tuple) -> Types:
        if any(isinstance(e, ast.Starred) for e in node.elts):
            return product("tuple", [self._items(node.elts) or _ANY])
        return product("tuple", [self.types(e) or _ANY for e in node.elts])

    def _items(self, nodes: Iterable[ast.expr]) -> Types:
        found: Types = NOTHING
        for node in nodes:
            if isinstance(node, ast.Starred):
                found |= self.elements(self.types(node.value))
            else:
                found |= self.types(node)
        return found

    def dictionary(self, node: ast.Dict) -> Types:
        if not node.keys:
            return frozenset({TypeRef("dict")})
        keys = self.union(k for k in node.keys if k is not None)
        values = self.union(v for k, v in zip(node.keys, node.values, strict=True) if k)
        if any(k is None for k in node.keys):
            values |= {UNKNOWN}
        return product("dict", [keys or _ANY, values or _ANY])

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Types:
        name = {ast.ListComp: "list", ast.SetComp: "set"}.get(type(node), "generator")
        return product(name, [self.types(node.elt) or _ANY])

    def dict_comprehension(self, node: ast.DictComp) -> Types:
        return product("dict", [self.types(node.key) or _ANY, self.types(node.value) or _ANY])

    def conditional(self, node: ast.IfExp) -> Types:
        return self.types(node.body) | self.types(node.orelse)

    def boolean(self, node: ast.BoolOp) -> Types:
        found = self.union(node.values)
        if isinstance(node.op, ast.Or):
            last = self.types(node.values[-1])
            found = frozenset(r for r in found if r != NONE or NONE in last)
        return found

    def binary(self, node: ast.BinOp) -> Types:
        left = self.types(node.left)
        return frozenset().union(*(self.results.operated(ref) for ref in left))

    def unary(self, node: ast.UnaryOp) -> Types:
        if isinstance(node.op, ast.Not):
            return frozenset({TypeRef("bool")})
        return self.types(node.operand)

    def compared(self, node: ast.Compare) -> Types:
        return frozenset({TypeRef("bool")})

    def text(self, node: ast.JoinedStr) -> Types:
        return frozenset({TypeRef("str")})

    def inner(self, node: ast.NamedExpr | ast.Starred) -> Types:
        return self.types(node.value)

    def function_lambda(self, node: ast.Lambda) -> Types:
        return frozenset({TypeRef("lambda")})

    def scope_of(self, node: ast.AST) -> Scope | None:
        place = self.facts.places.get(node)
        return place.scope if place is not None else None


_HANDLERS: dict[type[ast.AST], Callable[..., Types]] = {
    ast.Name: Inference.name,
    ast.Attribute: Inference.attribute,
    ast.Call: Inference.call,
    ast.Await: Inference.awaited,
    ast.Subscript: Inference.subscript,
    ast.Constant: Inference.constant,
    ast.List: Inference.sequence,
    ast.Set: Inference.sequence,
    ast.Tuple: Inference.tuple,
    ast.Dict: Inference.dictionary,
    ast.ListComp: Inference.comprehension,
    ast.SetComp: Inference.comprehension,
    ast.GeneratorExp: Inference.comprehension,
    ast.DictComp: Inference.dict_comprehension,
    ast.IfExp: Inference.conditional,
    ast.BoolOp: Inference.boolean,
    ast.BinOp: Inference.binary,
    ast.UnaryOp: Inference.unary,
    ast.Compare: Inference.compared,
    ast.JoinedStr: Inference.text,
    ast.NamedExpr: Inference.inner,
    ast.Starred: Inference.inner,
    ast.Lambda: Inference.function_lambda,
}
