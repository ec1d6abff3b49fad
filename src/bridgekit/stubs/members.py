"""The members of a class that has a proxy: which there are, and where each is defined."""

from __future__ import annotations

import ast
from pathlib import Path

from bridgekit.adapters.proxies.rules import static_member
from bridgekit.stubs.classes import Level, Typed, instance_attributes, levels, parameters
from bridgekit.stubs.definitions import ClassText, FunctionNode, ModuleText, module_text
from bridgekit.stubs.names import Translator
from bridgekit.stubs.signatures import from_runtime

__all__ = ["Members"]


class Members:
    """The members of ``origin``, through all its bases."""

    def __init__(self, origin: type, translator: Translator) -> None:
        self.origin = origin
        self.translator = translator
        self.levels = levels(origin, translator)
        if all(level.text is None for level in self.levels):
            self.levels.append(Level(origin, _nowhere(origin), {}))
        self.attributes = {
            name: (level, annotation, at)
            for level in reversed(self.levels)
            if level.text is not None
            for name, (annotation, at) in instance_attributes(level.text).items()
        }

    def names(self) -> set[str]:
        """The public names, those of instances included."""
        found = {name for name in dir(self.origin) if not name.startswith("_")}
        for level in self.levels:
            if level.text is not None:
                for name, nodes in level.text.members.items():
                    if not name.startswith("_") and isinstance(nodes[0], ast.AnnAssign):
                        found.add(name)
        found.update(name for name in self.attributes if not name.startswith("_"))
        return found

    def text_of(self, name: str) -> tuple[Level, list[ast.stmt]] | None:
        """The definitions of a member, and the class that they stand in."""
        for level in self.levels:
            if level.text is None:
                if name in level.cls.__dict__:
                    return None  # defined here, but without text
                continue
            nodes = level.text.members.get(name)
            first = nodes[0] if nodes else None
            if isinstance(first, ast.Assign) and isinstance(first.value, ast.Name):
                nodes = level.text.members.get(first.value.id, nodes)  # another name of a method
            if nodes is not None:
                return level, nodes
        return None

    def definition(self, name: str) -> tuple[Level, list[FunctionNode]]:
        """The method ``name``, by its text or else by its signature at run time."""
        found = self.text_of(name)
        if found is not None:
            functions = [
                node
                for node in found[1]
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            if functions:
                return found[0], functions
        level = found[0] if found is not None else self.any_level()
        made = from_runtime(static_member(self.origin, name))
        if made is None:
            parsed = ast.parse("def f(self, *args, **kwargs): ...").body[0]
            assert isinstance(parsed, ast.FunctionDef)
            made = parsed
        made.name = name
        if level.text is not None:
            for node in ast.walk(made):
                ast.copy_location(node, level.text.node)
        return level, [made]

    def any_level(self) -> Level:
        """The nearest class that has a text, for what has none."""
        for level in self.levels:
            if level.text is not None:
                return level
        raise AssertionError("one level always has a text")

    def type_of_attribute(
        self, name: str, found: tuple[Level, list[ast.stmt]] | None
    ) -> tuple[Typed, ast.AST | None]:
        """The type of a member that is no method, and the place for a note."""
        if found is not None:
            level, (first, *_) = found
            annotation = first.annotation if isinstance(first, ast.AnnAssign) else None
            if annotation is None and isinstance(first, ast.Assign):
                annotation = _constant_type(first.value)
            return Typed(_bare(annotation), level.place, level.variables), first
        if name in self.attributes:
            level, annotation, at = self.attributes[name]
            return Typed(annotation, level.place, level.variables), at
        level = self.any_level()
        return Typed(None, level.place), level.text.node if level.text else None

    def covariant(self, level: Level) -> dict[str, ast.expr]:
        """``Any`` for every type variable that a class is covariant in."""
        assert level.text is not None
        found = {}
        for name in parameters(level.text, self.translator):
            qualified = self.translator.resolve(name, level.place)
            text = module_text(qualified.module) if qualified is not None else None
            call = text.type_variables.get(name) if text is not None else None
            if call is not None and any(keyword.arg == "covariant" for keyword in call.keywords):
                found[name] = self.translator.typing("Any")
        return found


def _bare(annotation: ast.expr | None) -> ast.expr | None:
    """``T`` of ``ClassVar[T]`` and ``Final[T]``: on the proxy it is an attribute to read."""
    if isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value).rpartition(".")[2]
        if name in ("ClassVar", "Final"):
            return annotation.slice
    return annotation


def _constant_type(value: ast.expr) -> ast.expr | None:
    if isinstance(value, ast.Constant) and value.value is not None and value.value is not ...:
        return ast.Name(type(value.value).__name__, ast.Load())
    return None


def _nowhere(cls: type) -> ClassText:
    """An empty definition, for a class that is written in C and has no stub."""
    module = ModuleText(cls.__module__, Path(cls.__module__), False, ast.Module([], []))
    node = ast.parse(f"class {cls.__name__}: ...").body[0]
    assert isinstance(node, ast.ClassDef)
    return ClassText(module, cls.__qualname__, node)
