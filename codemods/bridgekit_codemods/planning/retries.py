"""Which functions that `tenacity.retry` decorates may become async.

tenacity wraps a coroutine function in an async loop of attempts that sleeps without holding up the
event loop: the same stops, waits and callbacks. What it would do otherwise keeps the function sync:
its own `sleep`, a condition that may take the cancellation of a task for a failure to retry,
callbacks that wait, and uses of what the decorator hangs on the function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.symbols import Decorator, Function

RETRY = frozenset({"tenacity.retry"})
_CALLBACKS = frozenset({"before", "after", "before_sleep", "retry_error_callback"})
_PLAIN = frozenset({"stop", "wait", "reraise", "retry_error_cls", "name", "enabled"})
_CONDITIONS = frozenset({"retry_if_exception_type", "retry_if_result", "retry_if_not_result"})
_HUNG_ON = frozenset({"retry", "retry_with", "statistics"})


def retry_problem(colours: Colours, function: Function, decorator: Decorator) -> str | None:
    """Why a function that the decorator retries has to stay sync; None if it has not."""
    return next(_problems(colours, function, decorator.node), None)


def _problems(colours: Colours, function: Function, node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Call):
        if node.args:
            yield "tenacity.retry gets arguments by position"
        for keyword in node.keywords:
            if keyword.arg == "retry":
                if not _spares_cancellation(colours, function, keyword.value):
                    yield "its retry condition might retry a cancellation"
            elif keyword.arg not in _PLAIN | _CALLBACKS:
                name = keyword.arg or "**"
                yield f"tenacity.retry gets {name}=, which an async retry uses otherwise"
        if _waits(colours, function, node):
            yield "a callback of tenacity.retry waits, and would hold up the loop"
    program = colours.program
    for path, file in program.files.items():
        for use in file.of(ast.Attribute):
            if use.attr in _HUNG_ON and program.resolve(path, use.value) == function.qualname:
                yield f"{function.name}.{use.attr} is used at {path}:{use.lineno}"
    for patch in program.patches:
        if patch.dotted.startswith((f"{function.qualname}.", "tenacity.nap")):
            yield f"{patch.path}:{patch.span.line} patches {patch.dotted}"


def _spares_cancellation(colours: Colours, function: Function, node: ast.expr) -> bool:
    match node:
        case ast.BinOp(left=left, right=right):
            return all(_spares_cancellation(colours, function, part) for part in (left, right))
        case ast.Call(func=called, args=args):
            dotted = colours.program.resolve(function.path, called) or ""
            known = dotted.startswith("tenacity.") and dotted.rpartition(".")[2] in _CONDITIONS
            return known and not any(
                isinstance(part, ast.Name) and part.id == "BaseException"
                for arg in args
                for part in ast.walk(arg)
            )
        case _:
            return False


def _waits(colours: Colours, function: Function, node: ast.Call) -> bool:
    inside = set(ast.walk(node))
    used = [r.function for r in colours.program.references if r.node in inside]
    for site in colours.program.calls:
        if site.path == function.path and site.node in inside and site.node is not node:
            if colours.external_effects(site):
                return True
            used += [target.function for target in site.targets]
    return any(colours.native(f) or colours.blocks(f) for f in used)
