"""Functions out of which a `StopIteration` comes that a caller catches: no coroutine can raise it.

Python turns a `StopIteration` that leaves a coroutine into a `RuntimeError`, and so does every
bridge between threads and coroutines, because a coroutine ends with one. Where nobody catches it,
it is an error under either name.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function

_NAME = "StopIteration"


def stopping(program: Program) -> dict[Function, ast.AST]:
    """The functions on the way from where it is raised to where it is caught, both included.

    Each with the place that raises, calls or catches. Ask with `program.derived(stopping)`.
    """
    raising = dict(_raising(program))
    if not raising:
        return {}
    calls: dict[Function, list[CallSite]] = defaultdict(list)
    leaving = dict(raising)
    caught: dict[Function, ast.AST] = {}
    pending = list(raising)
    while pending:
        callee = pending.pop()
        for site in program.callers_of(callee):
            caller = site.caller
            if caller is None or site.kind == "decorator":
                continue
            calls[callee].append(site)
            if caller.name == "__next__" or _is_caught(program.files[site.path], site.node):
                caught.setdefault(caller, site.node)
            elif caller not in leaving and not caller.is_generator:
                leaving[caller] = site.node
                pending.append(caller)
    found = dict(caught)
    below = list(caught)
    while below:
        caller = below.pop()
        for callee, sites in calls.items():
            if callee not in found and any(site.caller is caller for site in sites):
                found[callee] = leaving[callee]
                below.append(callee)
    return found


def _raising(program: Program) -> Iterator[tuple[Function, ast.AST]]:
    """The functions that let one out themselves: by name, or by `next(x)` without a default."""
    for path, file in program.files.items():
        if _NAME not in file.text and "next(" not in file.text:
            continue
        nodes: list[ast.Raise | ast.Call] = [*file.of(ast.Raise), *file.of(ast.Call)]
        for node in nodes:
            function = program.enclosing(path, node)
            if function is None or function.is_generator or function.name == "__next__":
                continue
            if _raises(node) and not _is_caught(file, node):
                yield function, node


def _raises(node: ast.Raise | ast.Call) -> bool:
    match node:
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == _NAME
        case ast.Call(func=ast.Name(id="next"), args=[_]):
            return True
        case _:
            return False


def _is_caught(file: SourceFile, node: ast.AST) -> bool:
    """Says whether a handler around the node takes it, by its name."""
    inner: ast.AST = node
    around = file.parents.get(inner)
    while around is not None and not isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
        tried = isinstance(around, ast.Try) and any(inner is part for part in around.body)
        if tried and any(_takes(handler) for handler in around.handlers):  # type: ignore[attr-defined]
            return True
        inner, around = around, file.parents.get(around)
    return False


def _takes(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(
        isinstance(part, ast.Name) and part.id == _NAME for part in ast.walk(handler.type)
    )
