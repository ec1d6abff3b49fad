"""Where the text of a module's definitions is, and what it defines under which name.

The text is, in this order: the ``.pyi`` beside the module, a stub package (``name-stubs``), the
standard library's stubs that an installed mypy brings, the module's own source. Conditions on
``sys.version_info``, ``sys.platform`` and ``TYPE_CHECKING`` are decided as a type checker of the
running interpreter would decide them.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "ClassText",
    "FunctionNode",
    "ModuleText",
    "find_class",
    "imported_from",
    "module_text",
    "source_text",
    "statements",
]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_LONGEST_CHAIN = 20
_TYPE_VARIABLES = {"TypeVar", "ParamSpec", "TypeVarTuple"}


@dataclass
class ClassText:
    """The definition of a class."""

    module: ModuleText
    qualname: str
    node: ast.ClassDef
    members: dict[str, list[ast.stmt]] = field(default_factory=dict)
    """By name, in order: all overloads of a method, all accessors of a property."""


@dataclass
class ModuleText:
    """The definitions of a module."""

    name: str
    path: Path
    is_package: bool
    tree: ast.Module
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Bound name: the module, and the name in it or None for the module itself."""
    dotted_imports: set[str] = field(default_factory=set)
    """Modules imported as ``import a.b``, which binds ``a``."""
    stars: list[str] = field(default_factory=list)
    exported: set[str] = field(default_factory=set)
    """Imported names that are offered to others: by ``__all__``, or as ``import x as x``."""
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    classes: dict[str, ClassText] = field(default_factory=dict)
    type_variables: dict[str, ast.Call] = field(default_factory=dict)

    @property
    def is_stub(self) -> bool:
        """Whether the text is a stub's."""
        return self.path.suffix == ".pyi"


_texts: dict[str, ModuleText | None] = {}


def module_text(name: str) -> ModuleText | None:
    """The definitions of the module ``name``; None where there is no text to read."""
    if name not in _texts:
        path = _text_file(name)
        try:
            _texts[name] = _read(name, path) if path is not None else None
        except (OSError, SyntaxError, ValueError):
            _texts[name] = None
    return _texts[name]


def source_text(name: str, path: Path) -> ModuleText:
    """The definitions of a module by its own source, whatever stubs there are of it.

    From now on :func:`module_text` gives them too.
    """
    text = _texts[name] = _read(name, path)
    return text


def _read(name: str, path: Path) -> ModuleText:
    tree = ast.parse(path.read_bytes(), str(path))
    text = ModuleText(name, path, path.stem == "__init__", tree)
    for statement in statements(tree.body):
        _record(text, statement)
    return text


def find_class(module: str, qualname: str, depth: int = 0) -> ClassText | None:
    """The definition of a class, also where ``module`` only imports it from another one."""
    text = module_text(module)
    if text is None or depth > _LONGEST_CHAIN:
        return None
    if qualname in text.classes:
        return text.classes[qualname]
    first, _, rest = qualname.partition(".")
    if first in text.imports:
        source, name = text.imports[first]
        if name is not None:
            return find_class(source, f"{name}.{rest}" if rest else name, depth + 1)
    for star in text.stars:
        found = find_class(star, qualname, depth + 1)
        if found is not None:
            return found
    return None


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, conditions decided or, where they cannot be, both branches."""
    for statement in body:
        if isinstance(statement, ast.If):
            verdict = _decide(statement.test)
            if verdict is not False:
                yield from statements(statement.body)
            if verdict is not True:
                yield from statements(statement.orelse)
        elif isinstance(statement, (ast.Try, ast.With)):
            yield from statements(statement.body)
        else:
            yield statement


def imported_from(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The absolute name of the module that ``from ... import`` reads, in ``module``."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    cut = node.level - 1 if is_package else node.level
    base = parts[: len(parts) - cut] if cut else parts
    return ".".join([*base, *([node.module] if node.module else [])])


def _record(text: ModuleText, statement: ast.stmt) -> None:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.asname:
                text.imports[alias.asname] = (alias.name, None)
            else:
                text.imports[alias.name.partition(".")[0]] = (alias.name.partition(".")[0], None)
                text.dotted_imports.add(alias.name)
    elif isinstance(statement, ast.ImportFrom):
        source = imported_from(statement, text.name, text.is_package)
        for alias in statement.names:
            if alias.name == "*":
                text.stars.append(source)
            else:
                text.imports[alias.asname or alias.name] = (source, alias.name)
                if alias.asname == alias.name:
                    text.exported.add(alias.name)
    elif isinstance(statement, ast.AugAssign):
        text.exported.update(_all_names(statement.target, statement.value))
    else:
        if isinstance(statement, ast.Assign):
            text.exported.update(_all_names(statement.targets[0], statement.value))
        for name in _bound(statement):
            text.definitions.setdefault(name, []).append(statement)
        if isinstance(statement, ast.ClassDef):
            _record_class(text, statement, statement.name)
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            called = statement.value.func
            kind = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            target = statement.targets[0]
            if kind in _TYPE_VARIABLES and isinstance(target, ast.Name):
                text.type_variables[target.id] = statement.value


def _all_names(target: ast.expr, value: ast.expr) -> list[str]:
    if not (isinstance(target, ast.Name) and target.id == "__all__"):
        return []
    strings = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return [name for name in strings if isinstance(name, str)]


def _record_class(text: ModuleText, node: ast.ClassDef, qualname: str) -> None:
    found = ClassText(text, qualname, node)
    for statement in statements(node.body):
        for name in _bound(statement):
            found.members.setdefault(name, []).append(statement)
        if isinstance(statement, ast.ClassDef):
            _record_class(text, statement, f"{qualname}.{statement.name}")
    text.classes[qualname] = found


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif sys.version_info >= (3, 12) and isinstance(statement, ast.TypeAlias):
        targets = [statement.name]
    return [
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    ]


def _decide(test: ast.expr) -> bool | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _decide(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [_decide(part) for part in test.values]
        if isinstance(test.op, ast.And):
            return False if False in parts else (None if None in parts else True)
        return True if True in parts else (None if None in parts else False)
    text = ast.unparse(test)
    if text in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "True"):
        return True
    if text == "False" or text.startswith("__name__ == "):
        return False
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    allowed = (ast.Compare, ast.Attribute, ast.Name, ast.Constant, ast.Tuple, ast.Subscript)
    if names == {"sys"} and isinstance(test, (ast.Compare, ast.Call)) and "sys." in text:
        plain = all(
            isinstance(node, (*allowed, ast.Slice, ast.cmpop, ast.expr_context))
            for node in ast.walk(test)
        )
        if plain and ("sys.version_info" in text or "sys.platform" in text):
            return bool(eval(compile(ast.Expression(test), "<condition>", "eval"), {"sys": sys}))
        if text.startswith("sys.platform.startswith("):
            return sys.platform.startswith(ast.literal_eval(test.args[0]))  # type: ignore[union-attr]
    return None


def _text_file(name: str) -> Path | None:
    if name in sys.stdlib_module_names or name.partition(".")[0] in sys.stdlib_module_names:
        found = _stdlib_stub(name)
        if found is not None:
            return found
    if name.startswith("_typeshed"):
        return _stdlib_stub(name)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin:
        return None
    origin = Path(spec.origin)
    beside = origin.parent / f"{origin.name.partition('.')[0]}.pyi"
    package = _stub_package(name)
    for candidate in (beside, package):
        if candidate is not None and candidate.is_file():
            return candidate
    return origin if origin.suffix == ".py" else None


def _stub_package(name: str) -> Path | None:
    top, _, rest = name.partition(".")
    parts = rest.split(".") if rest else []
    for entry in sys.path:
        base = Path(entry or ".") / f"{top}-stubs"
        if base.is_dir():
            return _module_file(base, parts)
    return None


@functools.cache
def _typeshed() -> Path | None:
    spec = importlib.util.find_spec("mypy")
    if spec is None or not spec.submodule_search_locations:
        return None
    found = Path(spec.submodule_search_locations[0]) / "typeshed" / "stdlib"
    return found if found.is_dir() else None


def _stdlib_stub(name: str) -> Path | None:
    base = _typeshed()
    return _module_file(base, name.split(".")) if base is not None else None


def _module_file(base: Path, parts: list[str]) -> Path | None:
    package = base.joinpath(*parts, "__init__.pyi")
    if package.is_file():
        return package
    module = base.joinpath(*parts[:-1], f"{parts[-1]}.pyi") if parts else package
    return module if module.is_file() else None
