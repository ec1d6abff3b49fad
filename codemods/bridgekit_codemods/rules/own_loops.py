"""`asyncio.run(f(...))` inside what has become async is `await f(...)`.

Only of a coroutine that is made in the call, by a function of the program, and that starts no task
which `asyncio.run` would cancel at its end: what else runs goes on in a worker thread with a loop
of its own, as before.
"""

from __future__ import annotations

import ast

import libcst as cst

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.symbols import Function

_STARTS = (
    "create_task", "ensure_future", "run_in_executor", "start_server", "set_event_loop",
    "get_event_loop", "shield", "call_later", "call_at", "call_soon",
)  # fmt: skip


def coroutine_run(colours: Colours, site: CallSite) -> ast.Call | None:
    """The call that makes the coroutine, if the site runs one to its end and may await it."""
    node = site.node
    if site.externals != ("asyncio.run",) or not isinstance(node, ast.Call) or site.in_lambda:
        return None
    match node:
        case ast.Call(args=[ast.Call() as made], keywords=[]):
            pass
        case _:
            return None
    program = colours.program
    targets = [
        target
        for other in program.calls
        if other.node is made and other.kind == "call"
        for target in other.targets
    ]
    if not targets or any(t.grade == "guess" or not t.function.is_async for t in targets):
        return None
    if any(t.function.is_generator for t in targets):
        return None
    return made if not _leaves_tasks(colours, [t.function for t in targets]) else None


def hands_a_coroutine_on(site: CallSite) -> bool:
    """Says whether the site calls an `async def` of the program without awaiting it.

    Sync code that does so wants the coroutine, to run it somewhere else or later.
    """
    return (
        site.kind == "call"
        and bool(site.targets)
        and all(t.function.is_async and t.grade != "guess" for t in site.targets)
    )


def _leaves_tasks(colours: Colours, roots: list[Function]) -> bool:
    """Says whether a coroutine may start what goes on when it has ended."""
    seen = set(roots)
    pending = list(roots)
    while pending:
        for site in colours.sites(pending.pop()):
            if site.name in _STARTS:
                return True
            for target in site.targets:
                if target.function not in seen:
                    seen.add(target.function)
                    pending.append(target.function)
    return False


def awaited_argument(call: cst.Call) -> cst.Await:
    """`run(x)` -> `await x`."""
    value = call.args[0].value
    whole = nodes.awaited(value)
    return whole.with_changes(lpar=[*call.lpar, *whole.lpar], rpar=[*whole.rpar, *call.rpar])
