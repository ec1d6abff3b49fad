"""Imports that move: `from a import x, y` -> `from a import y` + `from b import x`.

The statement stays where it is, in whatever scope it stands, so lazy and guarded imports keep their
place; comments on and above the line are kept, and so is every alias.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from bridgekit_codemods.editing import Edit, FileEdits
from bridgekit_codemods.program.source import SourceFile

Place = tuple[str, str]
"""A module and a name in it: `from module import name`."""
NameMove = Callable[[str, str], Place | None]
"""Where `from module import name` should come from now; None leaves it."""
ModuleMove = Callable[[str, bool], Place | None]
"""What `import module` becomes, as `from place import name`; None leaves it.

The flag says that it is `import module as alias`; otherwise the first part of the name is bound."""

_SPACE = cst.SimpleWhitespace(" ")


def move_imports(
    source: SourceFile,
    edits: FileEdits,
    names: NameMove,
    modules: ModuleMove = lambda _module, _aliased: None,
    *,
    keep_local_names: bool = True,
) -> bool:
    """Registers the edits for every absolute import in the file; says whether there were any.

    `import a.b` binds `a`: what it becomes must stand for `a`. A name that changes is imported
    `as` its old self, unless `keep_local_names` is false: then the caller renames its uses.
    """
    if source.tree is None:
        return False
    found = False
    imports: list[ast.Import | ast.ImportFrom] = [
        *source.of(ast.ImportFrom),
        *source.of(ast.Import),
    ]
    for node in imports:
        rewrite: Callable[[Any], list[Any] | None]
        if isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                continue
            module = node.module
            if not any(names(module, alias.name) for alias in node.names):
                continue
            rewrite = _from_rewrite(module, names, keep_local_names)
        else:
            if not any(modules(alias.name, alias.asname is not None) for alias in node.names):
                continue
            rewrite = _import_rewrite(modules)
        found = True
        span = source.span(node)
        if _alone(source, node):
            edits.at("SimpleStatementLine", span, _line_edit(rewrite))
        else:
            edits.at(type(node).__name__, span, _inline_edit(rewrite))
    return found


def _alone(source: SourceFile, node: ast.stmt) -> bool:
    """Says whether the statement has its line for itself."""
    span = source.span(node)
    before = source.lines[span.line - 1][: span.col]
    after = source.lines[span.end_line - 1][span.end_col :].lstrip()
    return not before.strip() and not after.startswith(";")


def _line_edit(rewrite: Callable[[Any], list[Any] | None]) -> Callable[[Any], Any]:
    def edit(line: cst.SimpleStatementLine) -> Any:
        statements = rewrite(line.body[0])
        if statements is None:
            return line
        lines = [cst.SimpleStatementLine(body=[statement]) for statement in statements]
        lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
        lines[-1] = lines[-1].with_changes(trailing_whitespace=line.trailing_whitespace)
        return cst.FlattenSentinel(lines)

    return edit


def _inline_edit(rewrite: Callable[[Any], list[Any] | None]) -> Callable[[Any], Any]:
    def edit(statement: Any) -> Any:
        statements = rewrite(statement)
        if statements is None:
            return statement
        statements[-1] = statements[-1].with_changes(semicolon=statement.semicolon)
        for index, item in enumerate(statements[:-1]):
            statements[index] = item.with_changes(semicolon=cst.Semicolon(whitespace_after=_SPACE))
        return cst.FlattenSentinel(statements)

    return edit


def _from_rewrite(
    module: str, names: NameMove, keep_local_names: bool
) -> Callable[[cst.ImportFrom], list[Any] | None]:
    def rewrite(node: cst.ImportFrom) -> list[Any] | None:
        if isinstance(node.names, cst.ImportStar):
            return None
        places = [names(module, _dotted(alias.name)) for alias in node.names]
        kept = [alias for alias, place in zip(node.names, places, strict=True) if place is None]
        moved: dict[str, list[cst.ImportAlias]] = {}
        for alias, place in zip(node.names, places, strict=True):
            if place is not None:
                moved.setdefault(place[0], []).append(
                    _renamed_alias(alias, place[1], keep_local_names)
                )
        if not moved:
            return None
        if not kept and len(moved) == 1:
            target, aliases = next(iter(moved.items()))
            return [node.with_changes(module=_module(target), names=aliases)]
        statements: dict[str, Any] = {
            target: _from(target, aliases) for target, aliases in moved.items()
        }
        if kept:
            statements[module] = node.with_changes(names=_closed(kept, node.names))
        return [statements[key] for key in sorted(statements)]

    return rewrite


def _import_rewrite(modules: ModuleMove) -> Callable[[cst.Import], list[Any] | None]:
    def rewrite(node: cst.Import) -> list[Any] | None:
        kept: list[cst.ImportAlias] = []
        added: list[Any] = []
        seen: set[tuple[Place, str]] = set()
        for alias in node.names:
            dotted = _dotted(alias.name)
            place = modules(dotted, alias.asname is not None)
            if place is None:
                kept.append(alias)
                continue
            local = (
                alias.evaluated_alias if alias.asname is not None else dotted.split(".")[0]
            ) or ""
            if (place, local) in seen:
                continue
            seen.add((place, local))
            new = cst.ImportAlias(
                name=cst.Name(place[1]),
                asname=None if local == place[1] else cst.AsName(cst.Name(local)),
            )
            added.append(_from(place[0], [new]))
        if not added:
            return None
        if kept:
            return [node.with_changes(names=_closed(kept, node.names)), *added]
        return added

    return rewrite


def _closed(kept: Sequence[cst.ImportAlias], all_: Sequence[cst.ImportAlias]) -> Any:
    """The aliases that stay; the last one ends as the last one of the source did."""
    return [*kept[:-1], kept[-1].with_changes(comma=all_[-1].comma)]


def _renamed_alias(alias: cst.ImportAlias, name: str, keep_local_name: bool) -> cst.ImportAlias:
    old = _dotted(alias.name)
    if old == name:
        return alias
    asname = alias.asname
    if asname is None:
        asname = cst.AsName(cst.Name(old)) if keep_local_name else None
    elif alias.evaluated_alias == name:
        asname = None
    return alias.with_changes(name=cst.Name(name), asname=asname)


def _from(module: str, aliases: Sequence[cst.ImportAlias]) -> cst.ImportFrom:
    last = len(aliases) - 1
    names = [
        cst.ImportAlias(
            name=alias.name,
            asname=alias.asname,
            comma=cst.Comma(whitespace_after=_SPACE) if index < last else cst.MaybeSentinel.DEFAULT,
        )
        for index, alias in enumerate(aliases)
    ]
    return cst.ImportFrom(module=_module(module), names=names)


def _module(dotted: str) -> Any:
    return cst.parse_expression(dotted)


def _dotted(node: cst.BaseExpression) -> str:
    return cst.Module([]).code_for_node(node)


def replaced_by(source: str) -> Edit:
    """The expression `source` in place of any other."""

    def edit(_node: Any) -> cst.BaseExpression:
        return cst.parse_expression(source)

    return edit
