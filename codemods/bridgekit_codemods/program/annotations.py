"""Annotations to types."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bridgekit_codemods.catalog import canonical
from bridgekit_codemods.program.scopes import Binding, Scope
from bridgekit_codemods.program.types import NONE, UNKNOWN, TypeRef, Types, instance

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_CONTAINERS = {
    "List": "list", "Set": "set", "FrozenSet": "frozenset", "Tuple": "tuple", "Dict": "dict",
    "Sequence": "list", "MutableSequence": "list", "Collection": "list",
    "Iterable": "iterable", "AbstractSet": "set", "MutableSet": "set", "Deque": "collections.deque",
    "Mapping": "dict", "MutableMapping": "dict", "DefaultDict": "dict", "OrderedDict": "dict",
    "Iterator": "generator", "Generator": "generator",
    "AsyncIterator": "async_generator", "AsyncGenerator": "async_generator",
    "AsyncIterable": "async_generator",
    "Awaitable": "coroutine", "Coroutine": "coroutine",
    "ContextManager": "contextlib.ContextManager",
    "AbstractContextManager": "contextlib.ContextManager",
    "AsyncContextManager": "contextlib.AsyncContextManager",
    "AbstractAsyncContextManager": "contextlib.AsyncContextManager",
}  # fmt: skip
_TRANSPARENT = frozenset(
    {
        "typing.Annotated", "typing.ClassVar", "typing.Final", "typing.Required",
        "typing.NotRequired", "typing.ReadOnly", "dataclasses.InitVar",
        "sqlalchemy.orm.Mapped", "sqlalchemy.orm.MappedColumn", "sqlalchemy.orm.relationship",
    }
)  # fmt: skip
_OPAQUE = frozenset(
    {"typing.Any", "builtins.object", "typing.Callable", "collections.abc.Callable",
     "typing.TypeVar", "typing.Type", "builtins.type", "typing.Unpack", "typing.Concatenate",
     "typing.ParamSpec"}
)  # fmt: skip
_MAXIMUM = 64


def product(name: str, parts: Iterable[Types]) -> Types:
    """`name[...]` for every combination of argument types; past a bound, with unknown ones."""
    choices = [sorted(p) or [UNKNOWN] for p in parts]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MAXIMUM:
        choices = [[UNKNOWN] if len(c) > 1 else c for c in choices]
    return frozenset(TypeRef(name, args) for args in itertools.product(*choices))


class Annotations:
    """Evaluates annotation expressions, strings included, in the scope they stand in."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self._parsed: dict[str, ast.expr | None] = {}
        self._active: set[tuple[str, int]] = set()
        self._solutions: Mapping[ast.Call, Types] = {}
        self._open = False

    def expression(self, node: ast.expr) -> ast.expr:
        """The annotation itself; of one that is written as a string, what the string says."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._parse(node.value) or node
        return node

    def solved(
        self,
        node: ast.expr,
        scope: Scope,
        solutions: Mapping[ast.Call, Types],
        *,
        open_to: bool = False,
    ) -> Types:
        """The types of an annotation where type variables stand for `solutions`.

        With `open_to` a variable without a solution is unknown, and does not mean its bound.
        """
        before = self._solutions, self._open
        self._solutions, self._open = solutions, open_to
        try:
            return self.types(node, scope)
        finally:
            self._solutions, self._open = before

    def variable(self, node: ast.expr, scope: Scope) -> ast.Call | None:
        """The `TypeVar(...)` call that a name in an annotation stands for."""
        node = self.expression(node)
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        dotted = self.dotted(node, scope)
        if dotted is None or not self._is_project_variable(dotted, scope):
            return None
        found = self._variable_bindings(node, scope, dotted)
        binding = found[1][-1] if found is not None else None
        if (
            found is None
            or binding is None
            or binding.kind not in ("value", "annotated")
            or not isinstance(binding.node, ast.Call)
            or self.dotted(binding.node.func, found[0]) != "typing.TypeVar"
        ):
            return None
        return binding.node

    def types(self, node: ast.expr, scope: Scope) -> Types:
        """The types of a value so annotated. Unknown parts give the unknown type."""
        if isinstance(node, ast.Constant):
            if node.value is None:
                return frozenset({NONE})
            if isinstance(node.value, str):
                parsed = self._parse(node.value)
                return self.types(parsed, scope) if parsed is not None else frozenset({UNKNOWN})
            return frozenset({UNKNOWN})
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.types(node.left, scope) | self.types(node.right, scope)
        if isinstance(node, ast.Subscript):
            return self._subscript(node, scope)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._named(node, scope)
        return frozenset({UNKNOWN})

    def _parse(self, text: str) -> ast.expr | None:
        if text not in self._parsed:
            try:
                self._parsed[text] = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError):
                self._parsed[text] = None
        return self._parsed[text]

    def dotted(self, node: ast.expr, scope: Scope) -> str | None:
        name = self.engine.linker.dotted(scope, node)
        if name in self.engine.facts.functions and scope.kind == "class" and scope.parent:
            # a method called `list` does not hide the type in its class's annotations
            name = self.engine.linker.dotted(scope.parent, node)
        if name is not None and name.startswith(("typing_extensions.", "collections.abc.")):
            last = name.rpartition(".")[2]
            return f"typing.{last}"
        return name

    def _named(self, node: ast.Name | ast.Attribute, scope: Scope) -> Types:
        dotted = self.dotted(node, scope)
        if dotted is None:
            if isinstance(node, ast.Name) and self.engine.linker.lookup(scope, node.id) is None:
                return self._by_class_name(node.id, scope)
            return self._alias(node, scope, None)
        return self._from_dotted(dotted, node, scope)

    def _from_dotted(self, dotted: str, node: ast.Name | ast.Attribute, scope: Scope) -> Types:
        if dotted in self.engine.facts.classes:
            return frozenset({TypeRef(dotted)})
        if dotted in _OPAQUE:
            return frozenset({UNKNOWN})
        if dotted in ("typing.Self",) and scope.cls is not None:
            return frozenset({TypeRef(scope.cls.qualname)})
        if dotted.startswith("builtins."):
            name = dotted.removeprefix("builtins.")
            if isinstance(node, ast.Name) and name not in _BUILTIN_TYPES:
                return self._by_class_name(node.id, scope)
            return frozenset({instance(name)})
        if dotted.startswith("typing."):
            last = dotted.removeprefix("typing.")
            name = _CONTAINERS.get(last, "")
            if last in ("Text", "AnyStr", "LiteralString"):
                return frozenset({TypeRef("str")})
            return frozenset({TypeRef(name, (UNKNOWN,)) if name else UNKNOWN})
        if self._is_project_variable(dotted, scope):
            return self._alias(node, scope, dotted)
        if "." not in dotted:
            return frozenset({UNKNOWN})
        return frozenset({TypeRef(canonical(dotted))})

    def _by_class_name(self, name: str, scope: Scope) -> Types:
        """A forward reference to a class that is not imported here, as ORM models use them.

        Declarative registries find such names in the whole program; so do we, if there is one.
        """
        found = self.engine.classes_named.get(name, ())
        return frozenset({TypeRef(found[0].qualname) if len(found) == 1 else UNKNOWN})

    def _is_project_variable(self, dotted: str, scope: Scope) -> bool:
        module = dotted.rpartition(".")[0]
        return self.engine.linker.module_path(module, scope.file.path) is not None

    def _alias(self, node: ast.Name | ast.Attribute, scope: Scope, dotted: str | None) -> Types:
        """A name for a type: `Json = dict[str, Any]`, a TypeVar, a conditional import."""
        name = node.id if isinstance(node, ast.Name) else node.attr
        found = self._variable_bindings(node, scope, dotted)
        key = (name, id(scope))
        if found is None or key in self._active:
            return frozenset({UNKNOWN})
        owner, bindings = found
        binding = bindings[-1]
        if binding.kind not in ("value", "annotated") or binding.node is None:
            return frozenset({UNKNOWN})
        self._active.add(key)
        try:
            if isinstance(binding.node, ast.Call):
                return self._type_variable(binding.node, owner)
            return self.types(binding.node, owner)
        finally:
            self._active.discard(key)

    def _variable_bindings(
        self, node: ast.Name | ast.Attribute, scope: Scope, dotted: str | None
    ) -> tuple[Scope, list[Binding]] | None:
        name = node.id if isinstance(node, ast.Name) else node.attr
        found = None
        if isinstance(node, ast.Name):
            found = self.engine.linker.lookup(scope, name)
            if found is not None and found[1][-1].kind == "from" and dotted is not None:
                module = dotted.rpartition(".")[0]
                path = self.engine.linker.module_path(module, scope.file.path)
                found = self.engine.linker.module_names(path, name) if path else None
        elif dotted is not None:
            path = self.engine.linker.module_path(dotted.rpartition(".")[0], scope.file.path)
            found = self.engine.linker.module_names(path, name) if path else None
        return found

    def _type_variable(self, call: ast.Call, scope: Scope) -> Types:
        dotted = self.dotted(call.func, scope)
        if dotted == "typing.TypeVar":
            if call in self._solutions:
                return self._solutions[call]
            if self._open:
                return frozenset({UNKNOWN})
            for keyword in call.keywords:
                if keyword.arg == "bound":
                    return self.types(keyword.value, scope)
        if dotted == "typing.NewType" and len(call.args) == 2:
            return self.types(call.args[1], scope)
        return frozenset({UNKNOWN})

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Types:
        dotted = self.dotted(node.value, scope) or ""
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not inner:
            return frozenset({UNKNOWN})
        if dotted == "typing.Optional":
            return self.types(inner[0], scope) | {NONE}
        if dotted == "typing.Union":
            return frozenset().union(*(self.types(i, scope) for i in inner))
        if dotted in _TRANSPARENT:
            return self.types(inner[0], scope)
        if dotted in ("typing.Type", "builtins.type"):
            return self._class_objects(self.types(inner[0], scope))
        if dotted == "typing.Literal":
            values = [i.value for i in inner if isinstance(i, ast.Constant)]
            return frozenset(TypeRef(type(v).__name__) for v in values) or frozenset({UNKNOWN})
        if dotted in _OPAQUE:
            return frozenset({UNKNOWN})
        last = dotted.rpartition(".")[2]
        if dotted.startswith("typing.") and last in _CONTAINERS:
            name = _CONTAINERS[last]
        elif dotted.startswith("builtins."):
            name = last
        elif dotted in self.engine.facts.classes:
            name = dotted
        elif "." in dotted:
            name = canonical(dotted)
        else:
            return frozenset({UNKNOWN})
        parts = [
            self.types(i, scope)
            for i in inner
            if not (isinstance(i, ast.Constant) and i.value is Ellipsis)
        ]
        if last in ("Generator", "AsyncGenerator"):
            parts = parts[:1]
        elif last == "Coroutine":
            parts = parts[-1:]
        return product(name, parts)

    def _class_objects(self, instances: Types) -> Types:
        found = set()
        for ref in instances:
            if ref in (UNKNOWN, NONE):
                found.add(ref)
            elif ref.name in self.engine.facts.classes:
                found.add(TypeRef("type", (ref,)))
            else:
                name = ref.name if "." in ref.name else f"builtins.{ref.name}"
                found.add(TypeRef("external", (TypeRef(name),)))
        return frozenset(found)


_BUILTIN_TYPES = frozenset(
    {
        "str", "bytes", "int", "float", "bool", "complex", "list", "dict", "set", "frozenset",
        "tuple", "object", "bytearray", "memoryview", "range", "slice",
        "BaseException", "Exception", "ValueError", "KeyError", "RuntimeError", "OSError",
        "TypeError", "IOError", "TimeoutError", "ConnectionError", "LookupError",
        "PermissionError", "FileNotFoundError", "IndexError", "AttributeError",
    }
)  # fmt: skip
