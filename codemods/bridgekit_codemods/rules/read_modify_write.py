"""BK246 read-modify-write: a value that is read, changed and written back with an await between.

What: `self.total += await price(item)` reads `self.total`, waits, and writes. Nothing is rewritten.

Why: while one task waits there, another may change the value, and its change is lost. Threads do
that too; a program whose server ran one request at a time never saw it.

Safety: advice. Only values that outlive the call count: attributes, items, globals. Whether tasks
share the object cannot be seen from the text.
Source: https://docs.python.org/3/reference/simple_stmts.html#augmented-assignment-statements
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Options, Safety


class ReadModifyWrite:
    """Reports updates of shared values that an await divides."""

    name = "read-modify-write"
    code = "BK246"
    safety: Safety = "advice"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """Nothing: where a lock belongs, and which, is for a person to say."""
        return None

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        colours = program.derived(Colours)
        return tuple(
            Finding(
                function.path, node.lineno, self.code,
                f"{written} is read before an await and written after it; another task may "
                "change it in between",
                "await first and update then, or hold an anyio.Lock around both",
                function.qualname,
            )
            for function in program.functions.values()
            if function.is_async and not program.files[function.path].is_test
            for node, written in _divided(colours, function)
        )  # fmt: skip


def _divided(colours: Colours, function: Function) -> Iterator[tuple[ast.stmt, str]]:
    outside = {
        name
        for node in colours.own_nodes(function)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }
    for node in colours.own_nodes(function):
        match node:
            case ast.AugAssign(target=target, value=value):
                read = True
            case ast.Assign(targets=[target], value=value):
                wanted = ast.unparse(target)
                read = any(
                    isinstance(part, ast.Name | ast.Attribute | ast.Subscript)
                    and ast.unparse(part) == wanted
                    for part in _before_await(value)
                )
            case _:
                continue
        shared = target.id in outside if isinstance(target, ast.Name) else not _is_local(target)
        if read and shared and _awaits(value):
            yield node, ast.unparse(target)


def _is_local(target: ast.expr) -> bool:
    return not isinstance(target, ast.Attribute | ast.Subscript)


def _awaits(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Await) for part in _evaluated(node))


def _before_await(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that stand left of its last await."""
    parts = list(_evaluated(node))
    places = [(p.lineno, p.col_offset) for p in parts if isinstance(p, ast.Await)]
    for part in parts:
        if not isinstance(part, ast.expr) or not places:
            continue
        if (part.lineno, part.col_offset) < max(places):
            yield part


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The parts that run with the expression: what a lambda holds runs later."""
    pending = [node]
    while pending:
        part = pending.pop()
        if not isinstance(part, ast.Lambda):
            yield part
            pending.extend(ast.iter_child_nodes(part))
