"""Which functions of a file a step changes, and what else of it changes.

Functions are told apart by their qualified names as the interpreter gives them
(``Class.method``, ``f.<locals>.g``). A function's own text leaves out the functions defined in it,
so that a change in a view that is defined inside ``create_app`` is none of ``create_app``.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Outline:
    """A file as a set of functions and what stands around them."""

    functions: dict[str, list[str]] = field(default_factory=dict)
    """Qualified name to the text of each definition of that name."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """Qualified name to the plain names that it uses."""
    lines: dict[tuple[int, str], str] = field(default_factory=dict)
    """First line (decorators included) and plain name to the qualified name."""
    imports: Counter[str] = field(default_factory=Counter)
    """What each import at the top of the file binds, as ``name = origin``."""
    rest: Counter[str] = field(default_factory=Counter)
    """Every other statement outside of functions."""


@dataclass(frozen=True)
class Difference:
    """What a step does to one file."""

    changed: frozenset[str]
    """Functions of the old file that differ, or see another import, or are gone."""
    added: frozenset[str]
    """Functions that the old file does not have."""
    elsewhere: bool
    """Whether code outside of functions differs by more than imports."""


def outline(data: bytes) -> Outline:
    """Take a file apart.

    Raises:
        SyntaxError, ValueError: it cannot be parsed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(data)
    found = Outline()
    _body(tree.body, "", found, found.rest)
    return found


def difference(old: bytes | None, new: bytes | None) -> Difference:
    """Compare two forms of a Python file; ``None`` stands for no file.

    Raises:
        SyntaxError, ValueError: one of them cannot be parsed.
    """
    before, after = outline(old or b""), outline(new or b"")
    changed = {
        name for name, texts in before.functions.items() if after.functions.get(name) != texts
    }
    if new is None:
        changed = set(before.functions)
    if gone := before.imports - after.imports:
        # Tests may replace what an import binds, by a name that no function of the file shows.
        changed |= before.functions.keys() if gone else set()
    for name in _bound(after.imports - before.imports):
        changed |= {function for function, used in before.names.items() if name in used}
    added = after.functions.keys() - before.functions.keys()
    return Difference(frozenset(changed), frozenset(added), before.rest != after.rest)


def _bound(imports: Iterable[str]) -> Iterator[str]:
    return (text.partition(" = ")[0] for text in imports)


def _body(body: list[ast.stmt], prefix: str, found: Outline, rest: Counter[str]) -> None:
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                _function(statement, prefix, found)
            case ast.ClassDef():
                rest[f"class {prefix}{statement.name}: {_texts(_head(statement))}"] += 1
                _body(statement.body, f"{prefix}{statement.name}.", found, rest)
            case ast.Import() | ast.ImportFrom() if not prefix:
                _import(statement, found)
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                rest[f"{prefix}: {_own(statement, prefix, found)}"] += 1


def _import(statement: ast.Import | ast.ImportFrom, found: Outline) -> None:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            origin = alias.name if alias.asname else alias.name.partition(".")[0]
            # `import a.b` binds a, and has a.b loaded
            found.imports[f"{alias.asname or origin} = {alias.name}"] += 1
        else:
            origin = f"{'.' * statement.level}{statement.module or ''}:{alias.name}"
            found.imports[f"{alias.asname or alias.name} = {origin}"] += 1


def _function(node: Definition, prefix: str, found: Outline) -> None:
    name = f"{prefix}{node.name}"
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    found.lines[first, node.name] = name
    inner = f"{name}.<locals>."
    parts = [type(node).__name__, _texts([*node.decorator_list, node.args])]
    parts += [_own(statement, inner, found) for statement in node.body]
    found.functions.setdefault(name, []).append("\n".join(parts))
    used = found.names.setdefault(name, set())
    used |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _own(node: ast.AST, prefix: str, found: Outline) -> str:
    """The text of a statement without the functions defined in it, which are added to `found`."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _function(node, prefix, found)
            return ""
        case ast.ClassDef():
            parts = [f"class {node.name}", _texts(_head(node))]
            parts += [_own(each, f"{prefix}{node.name}.", found) for each in node.body]
            return "\n".join(parts)
    parts = [type(node).__name__]
    for field_name, value in ast.iter_fields(node):
        for each in value if isinstance(value, list) else [value]:
            text = _own(each, prefix, found) if isinstance(each, ast.AST) else repr(each)
            parts.append(f"{field_name}={text}")
    return f"({' '.join(parts)})"


def _head(node: ast.ClassDef) -> list[ast.AST]:
    return [*node.decorator_list, *node.bases, *node.keywords]


def _texts(nodes: Iterable[ast.AST]) -> str:
    return " ".join(ast.dump(node) for node in nodes)
