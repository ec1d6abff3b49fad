"""Module-level imports that a rewrite needs or no longer needs."""

from __future__ import annotations

import re
import symtable
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import libcst as cst
from libcst.helpers import get_full_name_for_node

from bridgekit_codemods.editing.sections import in_their_sections


@dataclass(frozen=True)
class ImportChange:
    """`import module` (no name) or `from module import name [as alias]`, to add or to drop.

    A drop takes effect only where nothing refers to the imported name any more.
    """

    action: Literal["add", "drop"]
    module: str
    name: str | None = None
    alias: str | None = None


def change_imports(
    module: cst.Module, changes: Sequence[ImportChange], first_party: Collection[str] = ()
) -> cst.Module:
    """Applies the additions, then the removals that nothing needs any more.

    `first_party` are the top-level names of the program itself, by which new imports find their
    section.
    """
    additions = [change for change in changes if change.action == "add"]
    additions = [change for change in additions if not _is_there(module, change)]
    if additions:
        module = _with_added(module, additions, first_party)
    drops = [change for change in changes if change.action == "drop"]
    if drops:
        module = _without_blank_start(_without_unused(module, drops))
    return module


def _with_added(
    module: cst.Module, changes: Sequence[ImportChange], first_party: Collection[str]
) -> cst.Module:
    """LibCST's visitor adds to the imports at the top and touches what follows them only to put an
    empty line above it. A file being large, it sees no more than that: the statements up to the
    last import, and one that stands for the rest."""
    imports = [index for index, line in enumerate(module.body) if _is_import_line(line)]
    first = 1 if module.body and isinstance(module.body[0], cst.SimpleStatementLine) else 0
    head = imports[-1] + 1 if imports else first
    seen, rest = list(module.body[:head]), list(module.body[head:])
    if rest:
        seen.append(cst.SimpleStatementLine([cst.Pass()], leading_lines=rest[0].leading_lines))
    before = module.with_changes(body=seen)
    # imported here because it takes longer than reading a small program
    from libcst.codemod import CodemodContext
    from libcst.codemod.visitors import AddImportsVisitor

    context = CodemodContext()
    for change in changes:
        AddImportsVisitor.add_needed_import(context, change.module, change.name, change.alias)
    after = AddImportsVisitor(context).transform_module(before)
    body = list(in_their_sections(before, after, first_party).body)
    if before.body and before.code_for_node(body[0]).strip() == _code(before.body[0]).strip():
        # The visitor puts an empty line between the imports it adds and what follows them.
        body[0] = body[0].with_changes(leading_lines=before.body[0].leading_lines)
    if rest:
        stand_in = body.pop()
        body += [rest[0].with_changes(leading_lines=stand_in.leading_lines), *rest[1:]]
    return module.with_changes(body=body)


def _is_there(module: cst.Module, wanted: ImportChange) -> bool:
    """Says whether a line of the module imports it already; LibCST looks at the topmost only."""
    for statement in module.body:
        if not isinstance(statement, cst.SimpleStatementLine):
            continue
        for small in statement.body:
            match small:
                case cst.ImportFrom(relative=(), names=names) if wanted.name is not None:
                    if isinstance(names, cst.ImportStar):
                        continue
                    home = get_full_name_for_node(small.module) if small.module else None
                    pairs = [(a.evaluated_name, a.evaluated_alias) for a in names]
                    if home == wanted.module and (wanted.name, wanted.alias) in pairs:
                        return True
                case cst.Import() if wanted.name is None:
                    pairs = [(a.evaluated_name, a.evaluated_alias) for a in small.names]
                    if (wanted.module, wanted.alias) in pairs:
                        return True
    return False


def _code(statement: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(statement)


def _is_import_line(statement: cst.CSTNode) -> bool:
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and len(statement.body) == 1
        and isinstance(statement.body[0], cst.Import | cst.ImportFrom)
    )


def _without_unused(module: cst.Module, drops: Sequence[ImportChange]) -> cst.Module:
    """Leaves the analysis of scopes to LibCST only where it is not clear without it."""
    lines = [
        (index, change, local)
        for index, statement in enumerate(module.body)
        for change, local in _dropped_in(statement, drops)
    ]
    if any(any(_dropped_in(nested, drops)) for nested in _nested_lines(module)):
        return _removed(module, drops)
    if not lines:
        return module
    text = module.code
    try:
        read = _names_read(text)
    except SyntaxError:
        return _removed(module, drops)  # the edits' author finds out; this is not the place
    unused = [line for line in lines if line[2] not in read]
    if any(len(re.findall(rf"\b{local}\b", text)) > 1 for _, _, local in unused):
        return _removed(module, drops)  # a string, an export or another import of that name
    body: list[cst.BaseStatement] = list(module.body)
    for index in sorted({index for index, _, _ in unused}, reverse=True):
        alone = module.with_changes(header=[], footer=[], body=[body[index]])
        body[index : index + 1] = _removed(alone, [c for i, c, _ in unused if i == index]).body
    return module.with_changes(body=body)


def _removed(module: cst.Module, drops: Sequence[ImportChange]) -> cst.Module:
    from libcst.codemod import CodemodContext
    from libcst.codemod.visitors import RemoveImportsVisitor

    context = CodemodContext()
    for change in drops:
        RemoveImportsVisitor.remove_unused_import(context, change.module, change.name, change.alias)
    return RemoveImportsVisitor(context).transform_module(module)


def _dropped_in(
    statement: cst.CSTNode, drops: Sequence[ImportChange]
) -> Iterator[tuple[ImportChange, str]]:
    """The drops that speak of an import in that line, with the local names that would go."""
    if not isinstance(statement, cst.SimpleStatementLine | cst.SimpleStatementSuite):
        return
    for small in statement.body:
        if isinstance(small, cst.ImportFrom) and not small.relative and small.module is not None:
            module = get_full_name_for_node(small.module)
            aliases = () if isinstance(small.names, cst.ImportStar) else small.names
        elif isinstance(small, cst.Import):
            module = None
            aliases = small.names
        else:
            continue
        for alias in aliases:
            named = alias.evaluated_name
            wanted = (named, None) if module is None else (module, named)
            for change in drops:
                if (change.module, change.name, change.alias) == (*wanted, alias.evaluated_alias):
                    yield change, alias.evaluated_alias or named.split(".")[0]


_BLOCKS = (
    cst.BaseCompoundStatement,
    cst.BaseSuite,
    cst.Else,
    cst.Finally,
    cst.ExceptHandler,
    cst.ExceptStarHandler,
    cst.MatchCase,
)


def _nested_lines(module: cst.Module) -> Iterator[cst.CSTNode]:
    """The simple statements inside functions, classes and conditions."""
    pending: list[cst.CSTNode] = [s for s in module.body if isinstance(s, _BLOCKS)]
    while pending:
        node = pending.pop()
        if isinstance(node, cst.SimpleStatementLine | cst.SimpleStatementSuite):
            yield node
        elif isinstance(node, _BLOCKS):
            pending.extend(node.children)


def _names_read(text: str) -> set[str]:
    """The names that code of the module, at any depth, reads as globals."""
    found: set[str] = set()
    pending = [symtable.symtable(text, "<edited>", "exec")]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        outermost = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (outermost or symbol.is_global()):
                found.add(symbol.get_name())
    return found


def _without_blank_start(module: cst.Module) -> cst.Module:
    """Takes away the empty lines that a removed first import leaves at the top of the file."""
    if not module.body or any(line.comment is not None for line in module.header):
        return module
    first = module.body[0]
    lines = list(first.leading_lines)
    while lines and lines[0].comment is None:
        del lines[0]
    if len(lines) == len(first.leading_lines):
        return module
    return module.with_changes(
        header=[], body=[first.with_changes(leading_lines=lines), *module.body[1:]]
    )
