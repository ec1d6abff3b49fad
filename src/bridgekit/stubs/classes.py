"""A class as its definitions describe it: every member with its text, through all bases."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridgekit.stubs.definitions import ClassText, ModuleText, find_class, module_text
from bridgekit.stubs.names import Place, Qualified, Translator, load, name_of

__all__ = ["Level", "Typed", "class_text", "instance_attributes", "levels", "parameters"]


@dataclass(frozen=True)
class Typed:
    """A type expression, where it stands, and what its type variables stand for."""

    node: ast.expr | None
    place: Place
    variables: Mapping[str, ast.expr] = field(default_factory=dict)

    def at(self, node: ast.expr | None) -> Typed:
        """Another expression of the same place."""
        return Typed(node, self.place, self.variables)


@dataclass(frozen=True)
class Level:
    """One class of a method resolution order."""

    cls: type
    text: ClassText | None
    variables: Mapping[str, ast.expr]

    @property
    def place(self) -> Place:
        """Where the annotations of its members stand."""
        assert self.text is not None
        return Place(self.text.module, self.text)


def class_text(cls: type) -> ClassText | None:
    """The definition of ``cls``; None where there is no text of it."""
    return find_class(cls.__module__, cls.__qualname__)


def is_type_variable(qualified: Qualified) -> bool:
    """Whether the name is that of a ``TypeVar``, ``ParamSpec`` or ``TypeVarTuple``."""
    text = module_text(qualified.module)
    if text is not None and qualified.name in text.type_variables:
        return True
    found = load(qualified) if qualified.module in ("typing", "typing_extensions") else None
    return isinstance(found, (typing.TypeVar, typing.ParamSpec))


def parameters(text: ClassText, translator: Translator) -> list[str]:
    """The names of the type variables that a class is generic in, in order."""
    declared = getattr(text.node, "type_params", [])
    if declared:
        return [parameter.name for parameter in declared]
    place = Place(text.module)
    found: list[str] = []
    for base in text.node.bases:
        if not isinstance(base, ast.Subscript):
            continue
        names = []
        for node in ast.walk(base.slice):
            dotted = name_of(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
            qualified = translator.resolve(dotted, place) if dotted else None
            if dotted and qualified is not None and is_type_variable(qualified):
                names.append(dotted)
        qualified = translator.resolve(name_of(base.value) or "", place)
        if qualified is not None and qualified.name in ("Generic", "Protocol"):
            return names
        found.extend(name for name in names if name not in found)
    return found


def levels(origin: type, translator: Translator) -> list[Level]:
    """The classes of the method resolution order, then those that only the text has as bases.

    ``object`` and ``Generic`` are left out. A stub may give a class other bases than it has.
    """
    order = [cls for cls in origin.__mro__ if cls is not object and cls.__module__ != "abc"]
    texts = [(cls, class_text(cls)) for cls in order]
    by_name = {(t.module.name, t.qualname): cls for cls, t in texts if t is not None}
    known: dict[tuple[str, str], Mapping[str, ast.expr]] = {}
    found = []
    waiting = [*texts]
    seen: set[tuple[str, str]] = set()
    while waiting:
        cls, text = waiting.pop(0)
        if text is None:
            found.append(Level(cls, None, {}))
            continue
        key = (text.module.name, text.qualname)
        if key in seen:
            continue
        seen.add(key)
        if key not in known and cls is not origin:
            known[key] = {name: translator.typing("Any") for name in parameters(text, translator)}
        level = Level(cls, text, known.get(key, {}))
        found.append(level)
        for base, variables in _bases(level, translator):
            name = (base.module.name, base.qualname)
            known.setdefault(name, variables)
            if name not in by_name and base.qualname not in _NO_BASES:
                waiting.append((object, base))
    return found


_NO_BASES = {"object", "Generic", "Protocol", "ABC"}


def _bases(
    level: Level, translator: Translator
) -> Iterator[tuple[ClassText, Mapping[str, ast.expr]]]:
    """The bases that the text of a class names, and what their type variables stand for."""
    assert level.text is not None
    place = Place(level.text.module)
    for base in level.text.node.bases:
        value = base.value if isinstance(base, ast.Subscript) else base
        qualified = translator.resolve(name_of(value) or "", place)
        text = find_class(qualified.module, qualified.name) if qualified is not None else None
        if text is None:
            continue
        arguments: list[ast.expr] = []
        if isinstance(base, ast.Subscript):
            arguments = base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]
        names = parameters(text, translator)
        written = [
            translator.annotation(argument, place, variables=level.variables)
            for argument in arguments
        ]
        written += [translator.typing("Any")] * (len(names) - len(written))
        yield text, dict(zip(names, written, strict=False))


def instance_attributes(text: ClassText) -> dict[str, tuple[ast.expr | None, ast.stmt]]:
    """What methods assign to ``self``: name, annotation if one can be told, and the statement."""
    found: dict[str, tuple[ast.expr | None, ast.stmt]] = {}
    if text.module.is_stub:
        return found
    for members in text.members.values():
        for method in members:
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method.args.args:
                _assigned(text.module, method, found)
    return found


def _assigned(
    module: ModuleText,
    method: ast.FunctionDef | ast.AsyncFunctionDef,
    found: dict[str, tuple[ast.expr | None, ast.stmt]],
) -> None:
    arguments = method.args
    annotations = {
        a.arg: a.annotation
        for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }
    this = (arguments.posonlyargs + arguments.args)[0].arg
    for node in ast.walk(method):
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
            annotation: ast.expr | None = node.annotation
        elif isinstance(node, ast.Assign):
            targets = node.targets
            annotation = _type_of_value(module, node.value, annotations)
        else:
            continue
        for target in targets:
            if (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == this
            ):
                known = found.get(target.attr)
                if known is None or (known[0] is None and annotation is not None):
                    found[target.attr] = (annotation, node)


def _type_of_value(
    module: ModuleText, value: ast.expr, annotations: Mapping[str, ast.expr | None]
) -> ast.expr | None:
    if isinstance(value, ast.Name):
        return annotations.get(value.id)
    if isinstance(value, ast.Constant) and value.value is not None and value.value is not ...:
        return ast.copy_location(ast.Name(type(value.value).__name__, ast.Load()), value)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        name = value.func.id
        source = module.imports.get(name)
        text = module.classes.get(name)
        if source is not None and source[1] is not None:
            text = find_class(source[0], source[1])
        # Of a generic class the parameters are not known.
        if text is not None and not any(isinstance(b, ast.Subscript) for b in text.node.bases):
            return value.func
    return None
