"""Annotations of one module, written for another: every name qualified, every import recorded."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridgekit.stubs.definitions import ClassText, ModuleText, module_text

__all__ = ["Imports", "Note", "Place", "Qualified", "Translator", "load", "name_of", "union"]


@dataclass(frozen=True)
class Note:
    """Something that the stub says less exactly than the program."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Qualified:
    """A name and the module that it is to be taken from."""

    module: str
    name: str


@dataclass(frozen=True)
class Place:
    """Where an annotation stands: its module, and the classes around it."""

    module: ModuleText
    cls: ClassText | None = None


def load(qualified: Qualified) -> Any:
    """The object of that name, or None: a stub may have names that do not exist at run time."""
    try:
        found: Any = importlib.import_module(qualified.module)
        for part in qualified.name.split("."):
            found = getattr(found, part)
    except Exception:  # whatever the import of a stranger's module raises
        return None
    return found


def name_of(expression: ast.expr) -> str | None:
    """``a.b.c`` of a name or a chain of attributes."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        base = name_of(expression.value)
        return None if base is None else f"{base}.{expression.attr}"
    return None


def _private_alias(text: ModuleText, name: str) -> str | None:
    """What a private name is only another name of; pyright does not show those of stubs."""
    node = text.definitions[name][0]
    if not name.startswith("_") or not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return None
    return name_of(node.value) if node.value is not None else None


@dataclass
class Imports:
    """The modules that the stub imports under names of its own."""

    taken: set[str]
    aliases: dict[str, str] = field(default_factory=dict)

    def alias(self, module: str) -> str:
        """The name by which the stub knows ``module``."""
        if module not in self.aliases:
            wanted = "_" + re.sub(r"\W", "_", module).strip("_")
            while wanted in self.taken or keyword.iskeyword(wanted):
                wanted += "_"
            self.taken.add(wanted)
            self.aliases[module] = wanted
        return self.aliases[module]

    def reference(self, qualified: Qualified) -> ast.expr:
        """The expression for a name of another module."""
        return ast.parse(f"{self.alias(qualified.module)}.{qualified.name}", mode="eval").body

    def statements(self) -> list[ast.stmt]:
        """The import statements."""
        return [
            ast.Import([ast.alias(module, alias)]) for module, alias in sorted(self.aliases.items())
        ]


Replace = Callable[[Qualified], list[ast.expr] | None]
"""The alternatives that stand for a name; None to leave it."""

_LONGEST_CHAIN = 20
_UNIONS = {"Union", "Optional"}
_CONTAINERS = {"list", "tuple", "dict", "List", "Tuple", "Dict"}


def union(parts: list[ast.expr]) -> ast.expr:
    """``a | b | ...``"""
    return functools.reduce(lambda left, right: ast.BinOp(left, ast.BitOr(), right), parts)


class Translator:
    """Writes annotations for the module ``home``."""

    def __init__(self, home: ModuleText, imports: Imports, notes: list[Note]) -> None:
        self.home = home.name
        # What the module's own import statements, which its stub keeps, bind.
        self._bound = {source: name for name, source in home.imports.items()}
        self.imports = imports
        self.notes = notes
        self.shadowed: frozenset[str] = frozenset()
        """Names that the class being written defines: they hide builtins and globals in it."""

    def typing(self, name: str) -> ast.expr:
        """A name of :mod:`typing`."""
        return self.reference(Qualified("typing", name))

    def any(self, place: Place, node: ast.AST | None, why: str) -> ast.expr:
        """``Any``, with a note of the reason."""
        line = getattr(node, "lineno", 1)
        note = Note(str(place.module.path), line, why)
        if note not in self.notes:
            self.notes.append(note)
        return self.typing("Any")

    def resolve(self, dotted: str, place: Place) -> Qualified | None:
        """What a name means in a module; None for a name that is not defined there."""
        first, _, rest = dotted.partition(".")
        cls = place.cls
        while cls is not None:
            members = cls.members.get(first)
            if members and not isinstance(members[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
                return Qualified(place.module.name, f"{cls.qualname}.{dotted}")
            cls = place.module.classes.get(cls.qualname.rpartition(".")[0])
        found = self._resolve_global(dotted, first, rest, place.module)
        return self._followed(found) if found is not None else None

    def _followed(self, qualified: Qualified) -> Qualified:
        """The name where it is defined, unless a module on the way offers it to others."""
        for _ in range(_LONGEST_CHAIN):
            text = module_text(qualified.module)
            first, _, rest = qualified.name.partition(".")
            if text is None or first in text.exported:
                break
            if first in text.definitions:
                aliased = _private_alias(text, first)
                found = self.resolve(aliased, Place(text)) if aliased and not rest else None
                return found or qualified
            source, name = text.imports.get(first, ("", None))
            if name is None or (qualified.module, first) in self._bound:
                break
            qualified = Qualified(source, f"{name}.{rest}" if rest else name)
        return qualified

    def _resolve_global(
        self, dotted: str, first: str, rest: str, module: ModuleText
    ) -> Qualified | None:
        if first in module.definitions:
            return Qualified(module.name, dotted)
        if first in module.imports:
            source, name = module.imports[first]
            if name is not None:
                if module_text(f"{source}.{name}") is not None and rest:
                    return Qualified(f"{source}.{name}", rest)
                return Qualified(source, f"{name}.{rest}" if rest else name)
            candidates = [m for m in module.dotted_imports if dotted.startswith(f"{m}.")]
            if candidates:
                source = max(candidates, key=len)
                return Qualified(source, dotted[len(source) + 1 :])
            return Qualified(source, rest) if rest else None
        for star in module.stars:
            text = module_text(star)
            found = self._resolve_global(dotted, first, rest, text) if text else None
            if found is not None and found.module != "builtins":
                return found
        if hasattr(builtins, first):
            return Qualified("builtins", dotted)
        return None

    def reference(self, qualified: Qualified) -> ast.expr:
        """The expression for a name, from wherever it comes."""
        first, _, rest = qualified.name.partition(".")
        known: str | None = None
        if qualified.module == self.home:
            known = qualified.name
        elif (qualified.module, first) in self._bound:
            name = self._bound[qualified.module, first]
            known = f"{name}.{rest}" if rest else name
        elif (qualified.module, None) in self._bound:
            known = f"{self._bound[qualified.module, None]}.{qualified.name}"
        elif qualified.module == "builtins" and first not in self.imports.taken:
            known = qualified.name
        if known is not None and known.partition(".")[0] not in self.shadowed:
            return ast.parse(known, mode="eval").body
        return self.imports.reference(qualified)

    def annotation(
        self,
        node: ast.expr | None,
        place: Place,
        *,
        replace: Replace | None = None,
        deep: bool = False,
        variables: Mapping[str, ast.expr] | None = None,
        what: str = "",
        at: ast.AST | None = None,
    ) -> ast.expr:
        """``node`` as an annotation of the stub.

        :param replace: gives other expressions for some names. Only the annotation itself and
            the parts of a union are asked for; with ``deep``, the items of a container too.
        :param variables: expressions for type variables, by their name in ``place``.
        :param what, at: for the note where there is no annotation.
        """
        if node is None:
            return self.any(place, at, f"{what} has no annotation")
        rewriter = _Rewriter(self, place, replace, deep, variables or {})
        return rewriter.rewrite(node, replaced=replace is not None)


class _Rewriter:
    def __init__(
        self,
        translator: Translator,
        place: Place,
        replace: Replace | None,
        deep: bool,
        variables: Mapping[str, ast.expr],
    ) -> None:
        self.translator = translator
        self.place = place
        self.replace = replace
        self.deep = deep
        self.variables = variables

    def rewrite(self, node: ast.expr, replaced: bool = False) -> ast.expr:
        translator, place = self.translator, self.place
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                parsed = _parsed(node)
                if parsed is None:
                    return translator.any(place, node, f"{node.value!r} is no annotation")
                return self.rewrite(parsed, replaced)
            return node
        if isinstance(node, (ast.Name, ast.Attribute)):
            return union(self.names(node, replaced))
        if isinstance(node, ast.Subscript):
            return self.subscript(node, replaced)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            left, right = self.rewrite(node.left, replaced), self.rewrite(node.right, replaced)
            return ast.BinOp(left, ast.BitOr(), right)
        if isinstance(node, (ast.List, ast.Tuple)):
            elements = [self.rewrite(item, replaced) for item in node.elts]
            return type(node)(elements, ast.Load())
        if isinstance(node, ast.Starred):
            return ast.Starred(self.rewrite(node.value), ast.Load())
        return translator.any(place, node, f"{ast.unparse(node)} is no annotation")

    def names(self, node: ast.expr, replaced: bool) -> list[ast.expr]:
        dotted = name_of(node)
        if dotted is None:
            text = ast.unparse(node)
            return [self.translator.any(self.place, node, f"{text} cannot be resolved")]
        if dotted in self.variables:
            return [self.variables[dotted]]
        first, _, last = dotted.rpartition(".")
        if last in ("args", "kwargs") and first in self.variables:
            return [ast.Attribute(self.variables[first], last, ast.Load())]
        qualified = self.translator.resolve(dotted, self.place)
        if qualified is None:
            why = f"the name {dotted!r} is not defined"
            return [self.translator.any(self.place, node, why)]
        if replaced and self.replace is not None:
            alternatives = self.replace(qualified)
            if alternatives is not None:
                return alternatives
        return [self.translator.reference(qualified)]

    def subscript(self, node: ast.Subscript, replaced: bool) -> ast.expr:
        dotted = name_of(node.value)
        qualified = self.translator.resolve(dotted, self.place) if dotted else None
        special = qualified.name if qualified is not None else ""
        if special == "Literal":
            return ast.Subscript(self.rewrite(node.value), node.slice, ast.Load())
        if special == "Annotated" and isinstance(node.slice, ast.Tuple):
            return self.rewrite(node.slice.elts[0], replaced)
        inside = replaced and (special in _UNIONS or (self.deep and special in _CONTAINERS))
        index = self.rewrite(node.slice, inside)
        bases = self.names(node.value, replaced)
        return union([ast.Subscript(base, index, ast.Load()) for base in bases])


def _parsed(node: ast.Constant) -> ast.expr | None:
    """The annotation that a string holds, at the string's place in the file."""
    try:
        parsed = ast.parse(str(node.value).strip(), mode="eval").body
    except SyntaxError:
        return None
    for inner in ast.walk(parsed):
        ast.copy_location(inner, node)
    return parsed
