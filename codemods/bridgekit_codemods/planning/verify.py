"""The static check of a program after a step: what a green test run may still hide."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.bridges import is_loop_bridge, is_thread_bridge
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.decorators import is_two_coloured
from bridgekit_codemods.planning.reach import calls_what_it_wraps
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

# Callables that take a coroutine object and see to it that it is awaited.
_CONSUMERS = (
    "asyncio.create_task",
    "asyncio.ensure_future",
    "asyncio.gather",
    "asyncio.wait_for",
    "asyncio.run",
    "asyncio.shield",
    "asyncio.run_coroutine_threadsafe",
    "asyncio.TaskGroup.create_task",
)


def lost_coroutines(program: Program) -> Iterator[str]:
    """Calls of the program's own async functions that nobody awaits."""
    colours = program.derived(Colours)
    for site in program.calls:
        if site.kind != "call" or site.awaited or not _all_async(site):
            continue
        parents = colours.parents(site.path)
        parent = parents.get(site.node)
        if isinstance(parent, ast.Starred):
            parent = parents.get(parent)
        if isinstance(parent, ast.Call) and parent.func is not site.node:
            consumer = program.resolve(site.path, parent.func)
            if is_thread_bridge(consumer) and parent.args and site.node is not parent.args[0]:
                consumer = program.resolve(site.path, parent.args[0])
            if consumer in _CONSUMERS or is_loop_bridge(consumer):
                continue
        if isinstance(parent, ast.Return) and not (
            site.caller is not None and site.caller.is_async
        ):
            continue  # a plain function may hand the coroutine to its caller
        if isinstance(parent, ast.Lambda) or _never_given_it(site):
            continue
        yield f"{site.path}:{site.span.line}: {site.name}(...) is never awaited"


def _never_given_it(site: CallSite) -> bool:
    """Says whether the site is in the plain wrapper of a decorator that has another for coroutine
    functions."""
    return (
        site.caller is not None
        and not site.caller.is_async
        and calls_what_it_wraps(site)
        and any(is_two_coloured(around) for around in _around(site.caller))
    )


def _around(function: Function) -> Iterator[Function]:
    while function.parent is not None:
        function = function.parent
        yield function


def _all_async(site: CallSite) -> bool:
    targets = [target.function for target in site.targets if target.grade != "guess"]
    return bool(targets) and all(target.is_async and not target.is_generator for target in targets)


def blocked_loops(program: Program) -> Iterator[str]:
    """Calls from an async function to a blocking one that go over no bridge. Tests are left out."""
    colours = program.derived(Colours)
    for function in program.functions.values():
        if not function.is_async or program.files[function.path].is_test:
            continue
        for site in colours.sites(function):
            if site.awaited or _only_makes_generator(site):
                continue
            effects = set(colours.external_effects(site))
            for target in site.targets:
                if target.grade != "guess" and not target.function.is_async:
                    effects |= colours.blocks(target.function)
            if effects:
                kinds = ", ".join(sorted(effects))
                yield (
                    f"{site.path}:{site.span.line}: {function.qualname} blocks the loop: "
                    f"{site.name}(...) ({kinds})"
                )


def _only_makes_generator(site: CallSite) -> bool:
    return (
        site.kind == "call"
        and bool(site.targets)
        and all(target.function.is_generator for target in site.targets)
    )


def verify_program(program: Program, members: frozenset[str]) -> tuple[str, ...]:
    """Messages about the program after a step that changed the functions `members`.

    Blocking calls count only in those members: what others do was there before the step.
    """
    messages = list(lost_coroutines(program))
    changed: set[Function] = set()
    for name in members:
        for candidate in (name, f"{name}_async"):
            if candidate in program.functions:
                changed.add(program.functions[candidate])
    lines = {
        (function.path, line)
        for function in changed
        for line in range(function.node.lineno, (function.node.end_lineno or 0) + 1)
    }
    for message in blocked_loops(program):
        path, line = message.split(":")[:2]
        if (path, int(line)) in lines:
            messages.append(message)
    for problem in program.problems:
        messages.append(f"{problem.path}:{problem.line}: {problem.message}")
    return tuple(messages)
