"""Expression types, on demand.

Evaluation goes in rounds. In a round every expression is evaluated at most once; where evaluation
comes back to something that is still being evaluated (a loop, a recursion) the answer of the round
before is used. Argument types that flow into parameters are those of the round before as well.

A round evaluates again only what can have changed. While a value is computed, everything it reads
that a later round may change is noted down: argument types of parameters, attributes that other
code assigns, answers of the round before, and values that read such things themselves. A value that
read none of them is settled. The next round drops what depends on a change, and keeps the rest.
"""

from __future__ import annotations

import ast
import builtins
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import Annotations, product
from bridgekit_codemods.program.externals import Externals
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.generics import Generics
from bridgekit_codemods.program.linker import Linker
from bridgekit_codemods.program.members import Members
from bridgekit_codemods.program.results import Results
from bridgekit_codemods.program.scopes import Binding, Place, Position, Scope, reaching
from bridgekit_codemods.program.symbols import Class, Decorator, Function, Param
from bridgekit_codemods.program.types import (
    NONE,
    NOTHING,
    UNKNOWN,
    TypeRef,
    Types,
    external,
    function,
)

if TYPE_CHECKING:
    from bridgekit_codemods.program.fixtures import Fixtures

_ANY: Types = frozenset({UNKNOWN})
_MAPPINGS = frozenset(
    {
        "dict", "collections.defaultdict", "collections.OrderedDict", "collections.UserDict",
        "requests.structures.CaseInsensitiveDict", "weakref.WeakValueDictionary",
    }
)  # fmt: skip
_FILLED = _MAPPINGS | {"list", "set", "collections.deque"}
_DEPTH = 250
_WIDTH = 256
_CONSTANTS = {
    kind: frozenset({TypeRef(kind.__name__)})
    for kind in (str, bytes, bool, int, float, complex, type(...))
} | {type(None): frozenset({NONE})}
_BEFORE = "an answer of the round before"
_T = TypeVar("_T")


class Inference:
    """The evaluator and what all its parts share."""

    def __init__(self, linker: Linker, facts: Facts) -> None:
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
        self.contents: dict[Binding, list[Binding]] = {}
        """What is put into a container, by the binding that makes it."""
        self.fixed: dict[Binding, Types] = {}
        """Bindings whose value is known from elsewhere."""
        self.foreign: frozenset[str] = frozenset()
        """The names of attributes and items that code assigns to objects other than `self`."""
        self.named = False
        """Whether decorators that are members of objects (`app.route`) have their names."""
        self.settled: dict[Hashable, Types] = {}
        """Answers that no later round can change."""
        self.memo: dict[Hashable, Types] = {}
        """This round's answers to everything else."""
        self.previous: dict[Hashable, Types] = {}
        self._active: set[Hashable] = set()
        self._shared: dict[Types, Types] = {}
        """Equal answers, of which one is kept."""
        self._kept: dict[Hashable, object] = {}
        self._nobody: deque[Hashable] = deque(maxlen=0)
        self._reads: list[Hashable] | deque[Hashable] = self._nobody
        """What the value being computed has read so far that may change."""
        self._dependencies: dict[Hashable, list[Hashable]] = {}
        self.annotations = Annotations(self)
        self.generics = Generics(self)
        self.members = Members(self)
        self.results = Results(self)
        self.externals = Externals(self)

    # -- rounds ----------------------------------------------------------------------------

    def forget(self) -> None:
        """Drop every answer, because something was changed that is not noted when it is read."""
        self.settled, self.memo, self._kept, self._dependencies = {}, {}, {}, {}
        self.members.lines = {}

    def next_round(self, changed: Iterable[Hashable]) -> None:
        """Keep this round's answers for recursion and start the next.

        `changed` are the keys of `flows` and `stored`, and the functions whose decorators are named
        differently, from now on.
        """
        self.named = True
        self.previous = self.memo
        outdated = {_BEFORE, *changed}
        # in the order of completion: what a value has read stands before it
        for key, reads in self._dependencies.items():
            if not outdated.isdisjoint(reads):
                outdated.add(key)
        self.memo = self.memo.copy()
        for key in outdated:
            self.memo.pop(key, None)
            self._kept.pop(key, None)
            self._dependencies.pop(key, None)

    def finish(self) -> None:
        """After the last round: what it read need not be known any more."""
        self._dependencies = {}
        self._kept = {}

    def kept(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """What `compute` gives, from an earlier round where it would give the same again."""
        if key in self._kept:
            return cast(_T, self._kept[key])
        reads: list[Hashable] = []
        outer, self._reads = self._reads, reads
        try:
            found = compute()
        finally:
            self._reads = outer
        self._kept[key] = found
        if reads:
            self._dependencies[key] = reads
        return found

    def evaluate(self, key: Hashable, compute: Callable[[], Types]) -> Types:
        """The value of `key` in this round, computed at most once; the last round's within
        itself."""
        known = self.settled.get(key)
        if known is not None:
            return known
        known = self.memo.get(key)
        if known is not None:
            self._reads.append(key)
            return known
        if key in self._active or len(self._active) > _DEPTH:
            self._reads.append(_BEFORE)
            return self.previous.get(key, NOTHING)
        reads: list[Hashable] = []
        outer, self._reads = self._reads, reads
        self._active.add(key)
        try:
            found = compute()
        finally:
            self._active.discard(key)
            self._reads = outer
        if len(found) > _WIDTH:
            found = _bounded(found)
        found = self._shared.setdefault(found, found)
        if reads:
            self.memo[key] = found
            self._dependencies[key] = reads
            outer.append(key)
        else:
            self.settled[key] = found
        return found

    def types(self, node: ast.expr) -> Types:
        """The types of an expression of the program."""
        # `evaluate` written out: this is the hot path
        known = self.settled.get(node)
        if known is not None:
            return known
        known = self.memo.get(node)
        if known is not None:
            self._reads.append(node)
            return known
        if type(node) is ast.Constant:
            return self.constant(node)
        handler = _HANDLERS.get(type(node))
        if handler is None:
            return _ANY
        if node in self._active or len(self._active) > _DEPTH:
            self._reads.append(_BEFORE)
            return self.previous.get(node, NOTHING)
        reads: list[Hashable] = []
        outer, self._reads = self._reads, reads
        self._active.add(node)
        try:
            found = handler(self, node)
        finally:
            self._active.discard(node)
            self._reads = outer
        if len(found) > _WIDTH:
            found = _bounded(found)
        found = self._shared.setdefault(found, found)
        if reads:
            self.memo[node] = found
            self._dependencies[node] = reads
            outer.append(node)
        else:
            self.settled[node] = found
        return found

    def decorators_of(self, fn: Function) -> tuple[Decorator, ...]:
        """The decorators of a function; the first round does not know all their names."""
        if fn.decorators and not self.named:
            self._reads.append(fn)
        return fn.decorators

    def stored_in(self, owner: str, name: str) -> list[Binding]:
        """The assignments to an attribute or item from elsewhere, as far as they are known."""
        key = (owner, name)
        if name in self.foreign:
            self._reads.append(key)
        return self.stored.get(key, [])

    def union(self, nodes: Iterable[ast.expr]) -> Types:
        return frozenset().union(*(self.types(n) for n in nodes))

    # -- names -----------------------------------------------------------------------------

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
        chosen = bindings
        if owner.kind != "module" or place.scope is owner:
            chosen = reaching(bindings, owner, place, position)
        return self.bound(chosen)

    def bound(self, bindings: Sequence[Binding]) -> Types:
        if len(bindings) == 1:
            return self.binding(bindings[0])
        found: Types = NOTHING
        for binding in bindings:
            types = self.binding(binding)
            found |= types if types else (NOTHING if binding.kind == "value" else types)
        return found

    def binding(self, binding: Binding) -> Types:
        return self.evaluate(binding, lambda: self._binding(binding))

    def _binding(self, binding: Binding) -> Types:
        if binding in self.fixed:
            return self.fixed[binding]
        match binding.kind:
            case "value":
                if binding.node is None:
                    return _ANY
                return self._filled(binding, self.types(binding.node))
            case "annotated":
                return self._filled(binding, self._annotated(binding))
            case "element":
                return self.elements(self.types(binding.node)) if binding.node else _ANY
            case "entered":
                return self.entered(self.types(binding.node)) if binding.node else _ANY
            case "item":
                if binding.source is None or binding.index is None:
                    return _ANY
                return self.item(self.binding(binding.source), binding.index)
            case "caught":
                return self.instances(binding.node) if binding.node is not None else _ANY
            case "narrowed":
                return self._narrowed(binding)
            case "import":
                return self.module(binding.module, binding.scope.file.path)
            case "from":
                return self._imported(binding)
            case "function":
                assert binding.function is not None
                return self.defined(binding.function)
            case "class":
                assert binding.cls is not None
                return frozenset({TypeRef("type", (TypeRef(binding.cls.qualname),))})
            case "param":
                assert binding.function is not None
                assert binding.param is not None
                return self.parameter(binding.function, binding.param)
            case _:
                return _ANY

    def _narrowed(self, binding: Binding) -> Types:
        """What an `isinstance` test leaves of a value: `list` of a `list[Order] | None`."""
        if binding.node is None:
            return _ANY
        classes = self.instances(binding.node)
        if binding.subject is None:
            return classes
        names = {c.name for c in classes}
        kept = frozenset(
            t
            for t in self.types(binding.subject)
            if t.name in names
            or ((cls := self.facts.classes.get(t.name)) is not None
                and any(isinstance(b, Class) and b.qualname in names for b in cls.mro))
        )  # fmt: skip
        missing = {c for c in classes if not any(t.name == c.name for t in kept)}
        covered = {b.qualname for t in kept for b in self._line(t)}
        return kept | {c for c in missing if c.name not in covered}

    def _line(self, ref: TypeRef) -> list[Class]:
        cls = self.facts.classes.get(ref.name)
        return [b for b in cls.mro if isinstance(b, Class)] if cls is not None else []

    def _filled(self, binding: Binding, made: Types) -> Types:
        """A container with what is put into it after it was made."""
        sources = self.contents.get(binding)
        if sources is None:
            return made
        added = self.bound(sources)
        found: Types = NOTHING
        for ref in made:
            open_items = not ref.args or ref.args[-1] == UNKNOWN
            if not added or ref.name not in _FILLED:
                found |= {ref}
            elif ref.name in _MAPPINGS:
                found |= product("dict", [frozenset(ref.args[:1]) or _ANY, added])
                found |= NOTHING if open_items else {ref}
            else:
                found |= product(ref.name, [added])
                found |= NOTHING if open_items else {ref}
        return found

    def _annotated(self, binding: Binding) -> Types:
        assert binding.annotation is not None
        declared = self.annotations.types(binding.annotation, binding.scope)
        if declared <= {UNKNOWN} and binding.node is not None:
            return self.types(binding.node)
        return declared

    def module(self, name: str, importer: str) -> Types:
        path = self.linker.module_path(name, importer)
        if path is not None:
            return frozenset({TypeRef("module", (TypeRef(path),))})
        if self.linker.is_namespace(name):
            return frozenset({TypeRef("namespace", (TypeRef(name), TypeRef(importer)))})
        return frozenset({external(name)})

    def _imported(self, binding: Binding) -> Types:
        importer = binding.scope.file.path
        path = self.linker.module_path(binding.module, importer)
        if path is not None:
            if path == importer and binding.scope.kind == "module":
                inner = self.linker.submodule(path, binding.attribute)
                if inner is not None:
                    return frozenset({TypeRef("module", (TypeRef(inner),))})
            return self.module_member(path, binding.attribute)
        if self.linker.is_namespace(binding.module):
            inner_name = binding.attribute
            if binding.module != ".":
                inner_name = f"{binding.module}.{binding.attribute}"
            return self.module(inner_name, importer)
        return frozenset({external(catalog.canonical(f"{binding.module}.{binding.attribute}"))})

    def module_member(self, path: str, name: str) -> Types:
        """An attribute of a module of the program."""
        found = self.linker.module_names(path, name)
        stored = self.stored_in(f"module:{path}", name)
        if found is not None:
            return self.bound(found[1]) | self.bound(stored)
        inner = self.linker.submodule(path, name)
        if inner is not None:
            return frozenset({TypeRef("module", (TypeRef(inner),))})
        scope = self.facts.modules.get(path)
        star = self.linker.external_star(scope, name) if scope is not None else None
        if star is not None:
            return frozenset({external(star)})
        return self.bound(stored) or _ANY

    def defined(self, fn: Function) -> Types:
        """The value that a `def` statement binds: the function itself, whatever decorates it."""
        if any(
            d.dotted in ("typing.overload", "typing_extensions.overload")
            for d in self.decorators_of(fn)
        ):
            return NOTHING
        return frozenset({function(fn.qualname, "exact")})

    # -- parameters ------------------------------------------------------------------------

    def parameter(self, fn: Function, param: Param) -> Types:
        return self.evaluate((fn, param), lambda: self._parameter(fn, param))

    def _parameter(self, fn: Function, param: Param) -> Types:
        if param.kind == "vararg":
            return product("tuple", [self._declared(fn, param) or _ANY])
        if param.kind == "kwarg":
            value = self._declared(fn, param) or _ANY
            return product("dict", [frozenset({TypeRef("str")}), value])
        if fn.cls is not None and not fn.is_static and fn.params and fn.params[0] is param:
            this = TypeRef(fn.cls.qualname)
            is_class = fn.is_classmethod or fn.name in ("__new__", "__init_subclass__")
            return frozenset({TypeRef("type", (this,)) if is_class else this})
        declared = self._declared(fn, param)
        if declared and not declared <= {UNKNOWN}:
            return declared
        if self.fixtures is not None:
            fixture = self.fixtures.for_parameter(fn, param)
            if fixture is not None:
                return self.fixtures.value(fixture)
            builtin = self.fixtures.builtin(fn, param)
            if builtin is not None:
                return builtin
        self._reads.append((fn, param.name))
        flowed = self.flows.get((fn, param.name), NOTHING)
        default = self.types(param.default) if param.default is not None else NOTHING
        if not flowed:
            return default | {UNKNOWN}
        return flowed | default

    def _declared(self, fn: Function, param: Param) -> Types:
        if param.annotation is None:
            return NOTHING
        return self.annotations.types(param.annotation, self.facts.definition_scopes[fn])

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
        return self.bound(bindings)

    def item_owner(self, base: ast.expr) -> str | None:
        """What `base[...] = value` stores into, as a key; None when that is not a shared object."""
        for ref in sorted(self.types(base)):
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


def _bounded(types: Types) -> Types:
    return frozenset(sorted(types)[:_WIDTH]) | {UNKNOWN}


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
