"""Functions that wait and are handed to library code of which nobody knows when it calls them.

`sorted(rows, key=cost)` calls `cost` at once, and goes to a worker thread whole. What
`defaultdict(make)` gives calls `make` later, wherever it is used: on the event loop, if its user is
async.
"""

from __future__ import annotations

from collections import defaultdict

from bridgekit_codemods import catalog
from bridgekit_codemods.planning.anytime import CONSUMERS
from bridgekit_codemods.planning.bridges import is_loop_bridge, is_thread_bridge
from bridgekit_codemods.planning.frameworks import is_entry_registration, is_sync_registration
from bridgekit_codemods.program.calls import Reference
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

# These call nothing: they look at the function, or make another one of it that is resolved.
_QUIET = ("inspect.", "functools.", "typing.", "builtins.", "logging.", "asyncio.iscoroutine")
_STORING = frozenset({"builtins.iter", "functools.cmp_to_key"})


def handed_over(program: Program) -> dict[Function, tuple[Reference, ...]]:
    """By the function in which it happens, the functions handed to such code.

    Ask with `program.derived(handed_over)`.
    """
    found: dict[Function, list[Reference]] = defaultdict(list)
    for reference in program.references:
        consumer = reference.consumer
        if reference.user is None or reference.kind != "argument" or consumer is None:
            continue
        if _is_own(program, consumer) or not _calls_later(consumer):
            continue
        found[reference.user].append(reference)
    return {function: tuple(references) for function, references in found.items()}


def _is_own(program: Program, consumer: str) -> bool:
    return consumer in program.functions or consumer in program.classes


def _calls_later(consumer: str) -> bool:
    if consumer in _STORING:
        return True
    if consumer.startswith(_QUIET) or is_thread_bridge(consumer) or is_loop_bridge(consumer):
        return False
    if consumer in CONSUMERS:  # what they call is plain, so it may run anywhere
        return False
    if is_entry_registration(consumer) or is_sync_registration(consumer):
        return False
    return catalog.callback(consumer) is None
