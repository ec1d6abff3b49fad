"""The stub of a whole module: its own text without code, and its proxies written out.

The module is imported, because only the running program knows which of its names are proxies and
by which rules. Everything else is taken from its text.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from bridgekit.adapters.proxies.classes import Proxy, ProxyClass
from bridgekit.stubs.bridged import bridged
from bridgekit.stubs.classes import Typed, class_text, instance_attributes, parameters
from bridgekit.stubs.definitions import (
    ClassText,
    FunctionNode,
    ModuleText,
    source_text,
    statements,
)
from bridgekit.stubs.kept_imports import bound_names, kept_import
from bridgekit.stubs.names import Imports, Note, Place, Qualified, Translator, load
from bridgekit.stubs.proxies import ProxyStubs
from bridgekit.stubs.signatures import body, function
from bridgekit.stubs.turned import is_overload

__all__ = ["ModuleStub", "StubError", "stub_of"]

_KEPT_CALLS = {"TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "namedtuple", "NamedTuple"}
_KEPT_CALLS |= {"TypedDict", "Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"}
_FunctionNodes = (ast.FunctionDef, ast.AsyncFunctionDef)


class StubError(Exception):
    """The module cannot be imported, or there is no source of it."""


@dataclass(frozen=True)
class ModuleStub:
    """The stub of one module."""

    module: str
    is_package: bool
    source: Path
    text: str
    notes: tuple[Note, ...]

    def path(self, out: Path | None) -> Path:
        """Where the stub belongs: beside the module, or at its place below ``out``."""
        if out is None:
            return self.source.with_suffix(".pyi")
        parts = self.module.split(".")
        if self.is_package:
            return out.joinpath(*parts, "__init__.pyi")
        return out.joinpath(*parts[:-1], f"{parts[-1]}.pyi")


def stub_of(name: str) -> ModuleStub:
    """Import the module ``name`` and write its stub.

    :raises StubError: it cannot be imported, or it is not written in Python.
    """
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # whatever the code of the module raises, exits included
        if isinstance(error, KeyboardInterrupt):
            raise
        raise StubError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    source = getattr(module, "__file__", None)
    if not source or not source.endswith(".py"):
        raise StubError(f"{name} has no Python source")
    text = source_text(name, Path(source))
    writer = _ModuleWriter(module, text)
    return ModuleStub(name, text.is_package, Path(source), writer.write(), tuple(writer.notes))


class _ModuleWriter:
    def __init__(self, module: ModuleType, text: ModuleText) -> None:
        self.module = module
        self.text = text
        self.place = Place(text)
        self.notes: list[Note] = []
        self.imports = Imports({*vars(module), *text.definitions, *text.imports})
        self.translator = Translator(text, self.imports, self.notes)
        self.proxies = ProxyStubs(self.translator, self.imports, self.notes)
        self.plain = self.proxies.signatures(None)
        self.written: set[str] = set()
        for name, value in vars(module).items():
            if isinstance(value, ProxyClass) and value not in self.proxies.names:
                self.proxies.names[value] = name

    def write(self) -> str:
        head: list[ast.stmt] = []
        lines: list[ast.stmt] = []
        for statement in statements(self.text.tree.body):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                imported = kept_import(statement, self.module, self.text, self.translator)
                if imported is not None:
                    head.append(imported)
                    self.written.update(bound_names(imported))
                elif getattr(statement, "module", None) != "__future__":
                    lines.extend(self.instead(statement))
            else:
                lines.extend(self.statement(statement))
        for name, value in vars(self.module).items():
            if name not in self.written and isinstance(value, (ProxyClass, Proxy)):
                lines.extend(self.value(name, value))  # assigned in a loop, or by globals()
        lines.extend(self.proxies.unnamed())
        tree = ast.Module([*self.imports.statements(), *head, *lines], [])
        return _HEADER.format(self.text.name) + _layout(
            ast.unparse(ast.fix_missing_locations(tree))
        )

    def instead(self, node: ast.Import | ast.ImportFrom) -> Iterator[ast.stmt]:
        """What the module has under names that it could not import."""
        for name in bound_names(node):
            if name in vars(self.module) and name not in self.written:
                self.written.add(name)
                yield self.typed(name, vars(self.module)[name], node)

    def statement(self, node: ast.stmt) -> Iterator[ast.stmt]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name not in self.written:
                self.written.add(node.name)
                value = getattr(self.module, node.name, None)
                yield from self.functions(node.name, value, self.text.definitions, None)
        elif isinstance(node, ast.ClassDef):
            if node.name not in self.written:
                self.written.add(node.name)
                value = getattr(self.module, node.name, None)
                if isinstance(value, ProxyClass):
                    yield self.proxies.class_stub(value, node.name)
                else:
                    yield self.class_(node, self.text.classes[node.name], value)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from self.assignment(node)
        elif sys.version_info >= (3, 12) and isinstance(node, ast.TypeAlias):
            yield node

    # Functions

    def functions(
        self,
        name: str,
        value: Any,
        definitions: dict[str, list[ast.stmt]],
        cls: ClassText | None,
        first: str | None = None,
        decorators: tuple[str, ...] = (),
    ) -> Iterator[ast.stmt]:
        nodes = [
            n for n in definitions[name] if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        place = Place(self.text, cls)
        found = bridged(value)
        if found is not None and found.is_own(name, cls):
            yield from self.proxies.functions(
                name, nodes, place, found.colour, family=found.family, kind=found.kind,
                first=first, decorators=decorators,
            )  # fmt: skip
            return
        overloads = [node for node in nodes if is_overload(node)]
        for node in overloads or _defined(nodes, value):
            yield self.kept(node, place, first)

    def kept(self, node: FunctionNode, place: Place, first: str | None) -> FunctionNode:
        """A function as it is, without its code."""
        args = self.plain.arguments(node, place, {}, first=first)
        positional = [*node.args.posonlyargs, *node.args.args]
        if first is not None and positional and positional[0].annotation is not None:
            (*args.posonlyargs, *args.args)[0].annotation = self.translator.annotation(
                positional[0].annotation, place
            )
        is_generator = isinstance(node, ast.AsyncFunctionDef) and any(
            isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in _own_nodes(node)
        )
        if node.returns is None and node.name in ("__init__", "__init_subclass__"):
            returns: ast.expr = ast.Constant(None)
        else:
            returns = self.plain.result(
                Typed(node.returns, place), f"the result of {node.name}", node
            )
        is_async = isinstance(node, ast.AsyncFunctionDef) and not is_generator
        made = function(
            node.name, args, returns, is_async=is_async, decorators=list(node.decorator_list)
        )
        if getattr(node, "type_params", None):
            made.type_params = node.type_params  # type: ignore[union-attr, unused-ignore]
        return made

    # Classes

    def class_(self, node: ast.ClassDef, text: ClassText, value: Any) -> ast.ClassDef:
        """A class as it is, without its code."""
        lines: list[ast.stmt] = []
        done: set[str] = set()
        for name, nodes in text.members.items():
            done.add(name)
            first = nodes[0]
            if isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines.extend(self.method(name, text, value))
            elif isinstance(first, ast.ClassDef):
                inner = self.text.classes[f"{text.qualname}.{name}"]
                lines.append(self.class_(first, inner, getattr(value, name, None)))
            elif isinstance(first, ast.AnnAssign):
                lines.append(self.field(first, Place(self.text, text)))
            elif isinstance(first, ast.Assign):
                lines.append(self.class_value(name, first, value))
            else:
                lines.append(first)
        place = Place(self.text, text)
        for name, (annotation, at) in instance_attributes(text).items():
            if name in done or hasattr(value, name):
                continue
            if annotation is None and name.startswith("_"):
                written = self.translator.typing("Any")
            else:
                what = f"the attribute {name!r}"
                written = self.translator.annotation(annotation, place, what=what, at=at)
            lines.append(ast.AnnAssign(ast.Name(name, ast.Store()), written, None, 1))
        made = ast.parse(f"class {node.name}: ...").body[0]
        assert isinstance(made, ast.ClassDef)
        made.bases, made.keywords = node.bases, node.keywords
        made.decorator_list, made.body = node.decorator_list, lines or body()
        if getattr(node, "type_params", None):
            made.type_params = node.type_params  # type: ignore[attr-defined, unused-ignore]
        return made

    def method(self, name: str, text: ClassText, owner: Any) -> Iterator[ast.stmt]:
        member = vars(owner).get(name) if isinstance(owner, type) else None
        node = text.members[name][-1]
        marks = {ast.unparse(d) for d in getattr(node, "decorator_list", [])}
        if isinstance(member, staticmethod) or "staticmethod" in marks:
            yield from self.functions(name, member, text.members, text, None, ("staticmethod",))
        elif isinstance(member, classmethod) or "classmethod" in marks:
            yield from self.functions(name, member, text.members, text, "cls", ("classmethod",))
        else:
            yield from self.functions(name, member, text.members, text, "self")

    def field(self, node: ast.AnnAssign, place: Place) -> ast.stmt:
        annotation = self.translator.annotation(node.annotation, place)
        value = node.value
        if value is not None and not isinstance(value, (ast.Constant, ast.Call)):
            value = ast.Constant(...)
        return ast.AnnAssign(node.target, annotation, value, node.simple)

    def class_value(self, name: str, node: ast.Assign, owner: Any) -> ast.stmt:
        found = getattr(owner, "__members__", {})
        if name in found or isinstance(node.value, (ast.Name, ast.Attribute)):
            return node
        value = vars(owner).get(name) if isinstance(owner, type) else None
        return self.typed(name, value, node)

    # Values

    def assignment(self, node: ast.Assign | ast.AnnAssign) -> Iterator[ast.stmt]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        for name in names:
            if name in self.written:
                continue
            self.written.add(name)
            missing = object()
            value = getattr(self.module, name, missing)
            if isinstance(value, (ProxyClass, Proxy)):
                yield from self.value(name, value)
            elif isinstance(node, ast.AnnAssign):
                alias = ast.unparse(node.annotation).rpartition(".")[2].partition("[")[0]
                if alias in ("TypeAlias", "Final"):
                    yield node
                else:
                    yield self.field(
                        ast.AnnAssign(node.target, node.annotation, None, 1), self.place
                    )
            elif value is not missing:
                yield from self.assigned(name, value, node, len(names) == 1)

    def assigned(self, name: str, value: Any, node: ast.Assign, alone: bool) -> Iterator[ast.stmt]:
        found = bridged(value)
        if found is not None:
            nodes, place = found.definition(self.text)
            yield from self.proxies.functions(
                name, nodes, place, found.colour, family=found.family, kind=found.kind
            )
        elif alone and (name == "__all__" or _is_kept(node.value, value)):
            yield node
        else:
            yield self.typed(name, value, node)

    def value(self, name: str, value: Any) -> Iterator[ast.stmt]:
        """A proxy class or a proxy that the module has under ``name``."""
        self.written.add(name)
        if issubclass(type(value), Proxy):
            cls = ast.Name(self.proxies.name_for(cast(ProxyClass, type(value))), ast.Load())
            yield ast.AnnAssign(ast.Name(name, ast.Store()), cls, None, 1)
        elif self.proxies.names[value] == name:
            yield self.proxies.class_stub(value, name)
        else:
            known = ast.Name(self.proxies.names[value], ast.Load())
            yield ast.Assign([ast.Name(name, ast.Store())], known, lineno=0)

    def typed(self, name: str, value: Any, node: ast.stmt) -> ast.stmt:
        """``name: T`` for a value without an annotation."""
        annotation = self.type_of(value)
        if annotation is None:
            annotation = self.translator.any(self.place, node, f"{name!r} has no annotation")
        return ast.AnnAssign(ast.Name(name, ast.Store()), annotation, None, 1)

    def type_of(self, value: Any) -> ast.expr | None:
        cls = type(value)
        if value is None or isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
            return None
        qualified = Qualified(cls.__module__, cls.__qualname__)
        if load(qualified) is not cls:
            return None
        text = class_text(cls)
        names = parameters(text, self.translator) if text is not None else []
        reference = self.translator.reference(qualified)
        if not names:
            return reference
        unknown: list[ast.expr] = [self.translator.typing("Any") for _ in names]
        if cls is tuple:
            unknown.append(ast.Constant(...))
        index = unknown[0] if len(unknown) == 1 else ast.Tuple(unknown, ast.Load())
        return ast.Subscript(reference, index, ast.Load())


def _defined(nodes: list[FunctionNode], value: Any) -> list[FunctionNode]:
    """Of several definitions in several branches, the one there is; accessors all stay."""
    code = getattr(inspect.unwrap(getattr(value, "__func__", value)), "__code__", None)
    if len(nodes) < 2 or code is None:
        return nodes
    here = [
        node
        for node in nodes
        if code.co_firstlineno in (node.lineno, *(d.lineno for d in node.decorator_list[:1]))
    ]
    return here or nodes[-1:]


_HEADER = """\
# Written by `bridgekit stubs {0}`. Changes are lost when it runs again.
"""


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, those of functions inside it left out."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _own_nodes(child)


def _is_kept(expression: ast.expr, value: Any) -> bool:
    """Whether a type checker understands the assignment as it is: types, aliases, functions."""
    if isinstance(expression, ast.Call):
        called = expression.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return name in _KEPT_CALLS
    if isinstance(expression, (ast.Name, ast.Attribute)):
        return callable(value) or isinstance(value, ModuleType)
    if isinstance(expression, (ast.Subscript, ast.BinOp)):
        kind = type(value)
        return kind in (types.GenericAlias, types.UnionType) or kind.__module__ == "typing"
    return False


def _layout(text: str) -> str:
    """Bodies on the line of their definition, and blank lines around classes only."""
    text = re.sub(r":\n +\.\.\.(?=\n|$)", ": ...", text)
    lines: list[str] = []
    for line in text.splitlines():
        if not line:
            continue
        before = lines[-1] if lines else ""
        begins = line.startswith(("class ", "@")) and not before.startswith("@")
        if begins or (before.startswith("    ") and not line.startswith(" ")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"
