"""Recognises the bridges that are already in the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.steps import Bridges, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Function

TWIN_SUFFIX = "_async"
_INTO_THREAD = (
    "to_thread.run_sync", "sync_to_async", "asyncio.to_thread",
    "bridgekit.async_iterator", "bridgekit.async_context_manager",
)  # fmt: skip

THREAD_OPTIONS = frozenset(
    {
        "abandon_on_cancel", "affinity", "cancel_grace", "context", "executor", "limiter",
        "on_abandoned", "timeout",
    }
)  # fmt: skip
"""Keywords of `to_thread.run_sync` that are its own and do not reach the function."""


def is_thread_bridge(dotted: str | None) -> bool:
    """Says whether `dotted` runs the function it is given in a worker thread."""
    return dotted is not None and dotted.endswith(_INTO_THREAD)


def is_loop_bridge(dotted: str | None) -> bool:
    """Says whether `dotted` makes a plain function of a coroutine function."""
    return dotted is not None and dotted.split(".")[-1] == "async_to_sync"


def sent_by(program: Program) -> dict[Function, tuple[Function, ...]]:
    """By function, those that it sends to worker threads; for a class, those that make instances.

    Ask with `program.derived(sent_by)`.
    """
    found: dict[Function, list[Function]] = {}
    for reference in program.references:
        if reference.user is not None and is_thread_bridge(reference.consumer):
            found.setdefault(reference.user, []).append(reference.function)
    for site in program.calls:
        if site.caller is None or not any(map(is_thread_bridge, site.externals)):
            continue
        if isinstance(site.node, ast.Call) and site.node.args:
            made = program.type_of(site.path, site.node.args[0])
            names = [ref.args[0].name for ref in made if ref.name == "type" and ref.args]
            for cls in filter(None, map(program.classes.get, names)):
                found.setdefault(site.caller, []).extend(_constructors(cls))
    return {user: tuple(functions) for user, functions in found.items()}


def _constructors(cls: Class) -> Iterator[Function]:
    for name in ("__new__", "__init__", "__post_init__"):
        lines = (line for line in cls.mro if isinstance(line, Class))
        method = next((line.methods[name] for line in lines if name in line.methods), None)
        if method is not None:
            yield method


def body_without_docstring(function: Function) -> list[ast.stmt]:
    """The statements of a function, its docstring left out."""
    body = function.node.body
    match body[0]:
        case ast.Expr(value=ast.Constant(value=str())):
            return body[1:]
        case _:
            return list(body)


def twin_of(program: Program, function: Function) -> Function | None:
    """The async function behind a sync facade, or None if `function` is no facade.

    A facade is a function whose whole body is `return async_to_sync(f_async)(...)`.
    """
    if function.is_async:
        return None
    body = body_without_docstring(function)
    if len(body) != 1:
        return None
    match body[0]:
        case ast.Return(
            value=ast.Call(func=ast.Call(func=bridge, args=[ast.Name() | ast.Attribute() as inner]))
        ):
            if not is_loop_bridge(program.resolve(function.path, bridge)):
                return None
            name = inner.id if isinstance(inner, ast.Name) else inner.attr
            base = function.qualname.rpartition(".")[0]
            twin = program.functions.get(f"{base}.{name}" if base else name)
            return twin if twin is not None and twin.is_async else None
        case _:
            return None


def count_bridges(program: Program) -> Bridges:
    """The bridges that stand in the text of a program. Ask with `program.derived(count_bridges)`.

    A bridge counts once for each place where it is written, however often it runs.
    """
    to_thread = to_loop = 0
    for site in program.calls:
        if site.kind != "call" or program.files[site.path].is_test:
            continue
        # `async_to_sync(f)(x)` is two calls and one bridge
        if isinstance(site.node, ast.Call) and not isinstance(site.node.func, ast.Call):
            to_thread += any(is_thread_bridge(dotted) for dotted in site.externals)
            to_loop += any(is_loop_bridge(dotted) for dotted in site.externals)
    return Bridges(to_thread, to_loop)


def predict_bridges(program: Program, step: Step) -> Bridges:
    """The bridges after a step, from those that stand in `program` and what the step announces."""
    return bridges_after(program, program.derived(count_bridges), step)


def bridges_after(program: Program, before: Bridges, step: Step) -> Bridges:
    """Those of `before` with what the step announces; what it names in tests does not count."""
    change = {"to_thread": before.to_thread, "async_to_sync": before.to_loop}
    for sign, names in ((1, step.bridges_added), (-1, step.bridges_removed)):
        for name in names:
            kind, _, what = name.partition(": ")
            user = program.functions.get(what.rpartition(" in ")[2])
            if kind in change and not (user is not None and program.files[user.path].is_test):
                change[kind] += sign
    return Bridges(change["to_thread"], change["async_to_sync"])
