"""Results of library calls, from the catalog's return types.

A return type is written like an annotation over dotted names and these variables:

    Self       the receiver                 T, T2      its first and second type argument
    Args       all its type arguments       A0         an instance of the class given as argument 0
    As         instances of all the classes given as arguments
    Es         an instance of the one class given, or a sqlalchemy.Row of those given
    E0         argument 0 itself            I0         an element of argument 0
    R0, Rs     first, all type arguments of argument 0
    C0         the result of calling argument 0 (of awaiting that, when it is a coroutine: W0)
    Unknown    anything
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import product
from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.types import (
    NONE,
    NOTHING,
    UNKNOWN,
    TypeRef,
    Types,
    external,
    instance,
    is_mock,
)

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_ANY: Types = frozenset({UNKNOWN})
_DEPENDENCIES = frozenset(
    f"fastapi.{place}{name}"
    for place in ("", "param_functions.")
    for name in ("Depends", "Security")
)
FIXTURE_REQUEST = "pytest.FixtureRequest.getfixturevalue"
_NAMESPACE_READS = frozenset(
    f"{root}.g.{name}" for root in ("flask", "quart") for name in ("get", "pop", "setdefault")
)


@lru_cache(maxsize=4096)
def _parsed(spec: str) -> ast.expr:
    return ast.parse(spec, mode="eval").body


@lru_cache(maxsize=4096)
def _written(spec: ast.expr) -> str:
    return ast.unparse(spec)


@lru_cache(maxsize=4096)
def _plain(dotted: str) -> Types:
    return frozenset({TypeRef(dotted)})


class Externals:
    """Evaluates calls of library functions, classes and methods."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine

    def call(self, ref: TypeRef, node: ast.Call | None) -> Types:
        """The result of calling the library object `ref`; unknown when the catalog is silent."""
        dotted = ref.args[0].name
        receiver = ref.args[1] if len(ref.args) > 1 else None
        if is_mock(ref):
            return frozenset({TypeRef("unittest.mock.MagicMock")})
        if dotted == "builtins.getattr" and node is not None:
            return self._getattr(node)
        if dotted == "builtins.type" and node is not None and len(node.args) == 1:
            return frozenset(
                TypeRef("type", (r,)) if r.name in self.engine.facts.classes else UNKNOWN
                for r in self.engine.types(node.args[0])
            )
        if dotted == FIXTURE_REQUEST and node is not None and self.engine.fixtures is not None:
            fixtures = self.engine.fixtures
            values = [fixtures.value(fixture) for fixture in fixtures.requested(node)]
            return frozenset[TypeRef]().union(*values) or _ANY
        if dotted == "importlib.import_module" and node is not None:
            return self._module(node)
        if dotted in ("typing.cast", "typing_extensions.cast") and node is not None:
            return self._cast(node)
        owner, _, last = dotted.rpartition(".")
        if last in ("get", "pop", "setdefault") and node is not None:
            if dotted in _NAMESPACE_READS:
                return self._getattr_of(external(owner), node.args)
            stored = self._stored_item(owner, node.args)
            if stored:
                return stored
        if last == "_get_current_object":
            provided = self.engine.provided(owner)
            if provided:
                return provided
        spec = catalog.returns(dotted)
        if spec is None:
            spec = self._object_returns(dotted)
        if spec is not None:
            return self.evaluate(spec, node, receiver)
        if catalog.is_class(dotted):
            return frozenset({instance(dotted)})
        return _ANY

    def _object_returns(self, dotted: str) -> str | None:
        owner, _, name = dotted.rpartition(".")
        kind = catalog.object_type(owner)
        return catalog.returns(f"{kind}.{name}") if kind is not None else None

    def _stored_item(self, owner: str, args: list[ast.expr]) -> Types:
        """`app.extensions.get("name")`, when the program assigns that item somewhere."""
        if not args or not isinstance(args[0], ast.Constant) or not isinstance(args[0].value, str):
            return NOTHING
        bindings = self.engine.stored_in(self.engine.items_of(owner), args[0].value)
        return self.engine.bindings.union(bindings)

    def injected(self, node: ast.Call) -> Types | None:
        """What FastAPI passes for a parameter whose default is `Depends(make)`: what the function
        returns, or yields. None for other defaults."""
        names = (r.args[0].name for r in self.engine.types(node.func) if r.name == "external")
        if _DEPENDENCIES.isdisjoint(names):
            return None
        found: Types = NOTHING
        for ref in self._argument(node, 0):
            made = self.engine.results.of_reference(ref)
            for each in made:
                if each.name in ("generator", "async_generator"):
                    found |= self.engine.elements(frozenset({each}))
                elif each.name == "coroutine":
                    found |= self.engine.results.awaited(each)
                else:
                    found |= {each}
        return found or _ANY

    def _cast(self, node: ast.Call) -> Types:
        """The type that is named, or the value's own where the name says nothing (a TypeVar)."""
        if len(node.args) != 2 or isinstance(node.args[1], ast.Starred):
            return _ANY
        scope = self._scope(node)
        named = self.engine.annotations.types(node.args[0], scope) if scope else _ANY
        return named if not named <= {UNKNOWN} else self.engine.types(node.args[1])

    def _module(self, node: ast.Call) -> Types:
        """The module of the program that `import_module("its.name")` gives."""
        name = node.args[0] if len(node.args) == 1 and not node.keywords else None
        scope = self._scope(node)
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or scope is None:
            return _ANY
        path = self.engine.linker.module_path(name.value, scope.file.path)
        return frozenset({TypeRef("module", (TypeRef(path),))}) if path is not None else _ANY

    def _scope(self, node: ast.expr) -> Scope | None:
        """The scope an expression stands in, if a name in it tells."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part in self.engine.facts.places:
                return self.engine.facts.places[part].scope
        return None

    def _getattr(self, node: ast.Call) -> Types:
        if not node.args or isinstance(node.args[0], ast.Starred):
            return _ANY
        found: Types = NOTHING
        for ref in self.engine.types(node.args[0]):
            found |= self._getattr_of(ref, node.args[1:])
        return found

    def _getattr_of(self, ref: TypeRef, args: list[ast.expr]) -> Types:
        """`getattr(x, "name", default)`, and `g.get("name", default)` and the like."""
        if not args or not isinstance(args[0], ast.Constant):
            return _ANY
        name = args[0].value
        if not isinstance(name, str):
            return _ANY
        found = self.engine.members.of(ref, name)
        return found | self.engine.types(args[1]) if len(args) > 1 else found

    def evaluate(self, spec: str, node: ast.Call | None, receiver: TypeRef | None) -> Types:
        """The types that a catalog's type expression means at this call."""
        return self._evaluate(_parsed(spec), node, receiver)

    def _evaluate(self, spec: ast.expr, node: ast.Call | None, receiver: TypeRef | None) -> Types:
        if isinstance(spec, ast.BinOp):
            return self._evaluate(spec.left, node, receiver) | self._evaluate(
                spec.right, node, receiver
            )
        if isinstance(spec, ast.Constant):
            return frozenset({NONE})
        if isinstance(spec, ast.Subscript):
            parts = spec.slice.elts if isinstance(spec.slice, ast.Tuple) else [spec.slice]
            arguments: list[Types] = []
            for part in parts:
                arguments += self._splice(part, node, receiver)
            name = _written(spec.value)
            if name == "type":
                return self._class_objects(arguments[0])
            return product(name, arguments)
        if isinstance(spec, ast.Name):
            known = self._variable(spec.id, node, receiver)
            return known if known is not None else _plain(spec.id)
        return _plain(_written(spec))

    def _class_objects(self, instances: Types) -> Types:
        return frozenset(
            TypeRef("type", (r,)) if r.name in self.engine.facts.classes
            else external(r.name) if "." in r.name else UNKNOWN
            for r in instances
        )  # fmt: skip

    def _splice(
        self, part: ast.expr, node: ast.Call | None, receiver: TypeRef | None
    ) -> list[Types]:
        if isinstance(part, ast.Name):
            if part.id == "Args":
                args = receiver.args if receiver is not None else ()
                return [frozenset({a}) for a in args] or [_ANY]
            if part.id == "As":
                if node is None or not node.args:
                    return [_ANY]
                return [self._instances(a) for a in node.args]
            if part.id == "Rs":
                refs = sorted(self._argument(node, 0))
                args = refs[0].args if len(refs) == 1 else ()
                return [frozenset({a}) for a in args] or [_ANY]
        return [self._evaluate(part, node, receiver)]

    def _variable(self, name: str, node: ast.Call | None, receiver: TypeRef | None) -> Types | None:
        match name:
            case "Self":
                return frozenset({receiver}) if receiver is not None else _ANY
            case "T" | "T2":
                index = 0 if name == "T" else 1
                if receiver is not None and len(receiver.args) > index:
                    return frozenset({receiver.args[index]})
                return _ANY
            case "Unknown":
                return _ANY
            case "Es":
                given = [self._instances(a) for a in node.args] if node is not None else []
                if len(given) > 1:
                    return product("sqlalchemy.Row", given)
                return given[0] if given else _ANY
            case "None":
                return frozenset({NONE})
        if len(name) == 2 and name[0] in "AEIRCW" and name[1].isdigit():
            return self._of_argument(name[0], node, int(name[1]))
        return None

    def _argument(self, node: ast.Call | None, index: int) -> Types:
        if node is None or len(node.args) <= index:
            return _ANY
        argument = node.args[index]
        if isinstance(argument, ast.Starred):
            return _ANY
        return self.engine.types(argument)

    def _of_argument(self, kind: str, node: ast.Call | None, index: int) -> Types:
        if kind == "A":
            if node is None or len(node.args) <= index:
                return _ANY
            return self._instances(node.args[index])
        refs = self._argument(node, index)
        if kind == "E":
            return refs
        if kind == "I":
            return self.engine.elements(refs)
        if kind == "R":
            return frozenset(a for r in refs for a in (r.args[:1] or (UNKNOWN,)))
        found = self.engine.results.union_of_calls(refs)
        if kind == "W":
            found = frozenset().union(
                *(self.engine.results.awaited(r) if r.name == "coroutine" else {r} for r in found)
            )
        return found

    def _instances(self, node: ast.expr) -> Types:
        """What a query over this entity gives: instances of a model, or an unknown column."""
        found: set[TypeRef] = set()
        for ref in self.engine.types(node):
            if ref.name == "type":
                found.add(ref.args[0])
            elif ref.name == "external" and catalog.is_class(ref.args[0].name):
                found.add(instance(ref.args[0].name))
            else:
                found.add(UNKNOWN)
        return frozenset(found) or _ANY
