"""Awaits before the reading: `self.n += f()` becomes `change = await f_async(); self.n += change`.

`self.n += await f_async()` reads `self.n`, waits, and writes: what another task adds meanwhile is
lost. Where nothing that the call may run writes to an attribute of that name, it does not matter
whether the value is read before the call or after it, and afterwards is safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import libcst as cst

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft
from bridgekit_codemods.rules.bindings import bound_names

_NAME = "change"


def hoist_awaits(colours: Colours, draft: Draft, function: Function) -> None:
    """Registers the edits for the updates of attributes whose value is awaited or bridged.

    To be called when the calls of the function have theirs.
    """
    file = colours.program.files[function.path]
    edits = draft.edits(function.path)
    for node in colours.own_nodes(function):
        match node:
            case ast.AugAssign(target=ast.Attribute(value=ast.Name()) as target, value=value):
                pass
            case _:
                continue
        waits = [
            part
            for part in ast.walk(value)
            if isinstance(part, ast.Call) and edits.has("Call", file.span(part))
        ]
        if not waits or _NAME in bound_names(function.node) or not _alone(file, node):
            continue
        if any(_may_write(colours, call, function, target.attr) for call in waits):
            continue
        edits.at("SimpleStatementLine", file.span(node), _hoisted)


def _alone(file: SourceFile, node: ast.AugAssign) -> bool:
    """Says whether the statement has its lines for itself."""
    span = file.span(node)
    before = file.lines[span.line - 1][: span.col]
    after = file.lines[span.end_line - 1][span.end_col :].strip()
    return not before.strip() and not after.startswith(";")


def _may_write(colours: Colours, call: ast.Call, function: Function, attr: str) -> bool:
    """Says whether the call may run something that binds an attribute of that name."""
    sites = [site for site in colours.sites(function) if site.node is call]
    if any(not site.targets and not site.externals for site in sites):
        return True
    reached = {target.function for site in sites for target in site.targets}
    pending = list(reached)
    while pending:
        function = pending.pop()
        if function in colours.facades and colours.facades[function] not in reached:
            reached.add(colours.facades[function])
            pending.append(colours.facades[function])
        for site in colours.sites(function):
            if not site.targets and not site.externals:
                return True
            for target in site.targets:
                if target.function not in reached:
                    reached.add(target.function)
                    pending.append(target.function)
    writers = set(_writers(colours.program, attr))
    return not writers.isdisjoint(reached)


def _writers(program: Program, attr: str) -> Iterator[Function]:
    for path, file in program.files.items():
        for node in file.of(ast.Attribute):
            if node.attr == attr and not isinstance(node.ctx, ast.Load):
                function = program.enclosing(path, node)
                if function is not None:
                    yield function


def _hoisted(line: cst.SimpleStatementLine) -> cst.FlattenSentinel[Any]:
    (update,) = line.body
    assert isinstance(update, cst.AugAssign)
    first = cst.SimpleStatementLine(
        [cst.Assign([cst.AssignTarget(cst.Name(_NAME))], update.value)],
        leading_lines=line.leading_lines,
    )
    second = line.with_changes(body=[update.with_changes(value=cst.Name(_NAME))], leading_lines=[])
    return cst.FlattenSentinel([first, second])
