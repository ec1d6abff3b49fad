"""How far each kind of waiting reaches, so that one can choose the scope before planning."""

from __future__ import annotations

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.overview import Closure
from bridgekit_codemods.planning.scope import FRAMEWORK, KINDS, Scope
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.walk.prospects import Outlook, Prospects


def closures(program: Program, scope: Scope) -> tuple[Closure, ...]:
    """One closure for each kind of waiting that occurs, the largest first.

    The scope's goals, prices and settings count; its choice of kinds does not.
    """
    colours = program.derived(Colours)
    ahead = program.derived(Prospects).colours
    functions = [
        function
        for function in program.functions.values()
        if not program.files[function.path].is_test
    ]
    seeds = dict.fromkeys(KINDS, 0)
    waiting = dict.fromkeys(KINDS, 0)
    for function in functions:
        kinds: set[str] = set(colours.blocks(function))
        for site in ahead.sites(function):
            here = set(ahead.external_effects(site))
            if FRAMEWORK in ahead.forms(site):
                here.add(FRAMEWORK)
            for kind in here:
                seeds[kind] = seeds.get(kind, 0) + 1
            kinds |= here & {FRAMEWORK}
        loads = len(colours.lazy_loads.get(function, ()))
        seeds["db"] += loads
        reads = len(colours.request_awaitables(function)) if not function.is_async else 0
        seeds[FRAMEWORK] += reads
        if reads:
            kinds.add(FRAMEWORK)
        if not colours.native(function):
            for kind in kinds & waiting.keys():
                waiting[kind] += 1
    found = []
    for kind in KINDS:
        if not seeds[kind] and not waiting[kind]:
            continue
        wanted = _wanted(program, scope, kind)
        found.append(
            Closure(kind, seeds[kind], waiting[kind], len(wanted), len(wanted & colours.entries))
        )
    return tuple(sorted(found, key=lambda c: (-c.waiting, c.kind)))


def _wanted(program: Program, scope: Scope, kind: str) -> frozenset[Function]:
    one = Scope(frozenset({kind}), scope.goals, scope.bridge_below)
    return program.derived(Outlook(one)).wanted
