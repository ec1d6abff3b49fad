"""Makes the graph of a report from a program and its colours: functions, calls, blocking paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from bridgekit_codemods.planning.bridges import is_loop_bridge, is_thread_bridge
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.reports.layers import (
    breadth_first,
    depths_and_heights,
    reachable_marks,
)
from bridgekit_codemods.reports.model import (
    BlockingPath,
    Counts,
    Edge,
    FunctionNode,
    HotFile,
    LeafCall,
    Suspect,
)
from bridgekit_codemods.reports.suspects import suspects

_GRADES = ("exact", "traced", "engine", "method", "override", "guess")
"""Evidence for a call, the best first."""


@dataclass(frozen=True)
class Graph:
    """The part of a report that comes from the program as it is."""

    functions: tuple[FunctionNode, ...]
    edges: tuple[Edge, ...]
    leaves: tuple[LeafCall, ...]
    paths: tuple[BlockingPath, ...]
    counts: Counts
    suspects: tuple[Suspect, ...] = ()
    tests: tuple[str, ...] = ()


def counts_of(program: Program) -> Counts:
    """Functions per colour and calls over bridges; tests do not count."""
    colours = program.derived(Colours)
    own = _functions(program)
    numbers = Counter(colours.colour(f) for f in own if f not in colours.facades)
    bridges = {(e.caller, e.callee) for e in _edges(program, colours, own) if e.bridge}
    return Counts(numbers["pure"], numbers["blocking"], numbers["native"], len(bridges))


def collect(program: Program) -> Graph:
    """The functions of a program with their calls, what blocks, and the ways to it.

    Tests are left out. Of several ways from an entry point to a function that blocks, the graph
    holds the shortest.
    """
    colours = program.derived(Colours)
    own = _functions(program)
    waits = _waits(colours, own)
    edges = tuple(
        replace(edge, waits=edge.callee in waits[edge.caller])
        for edge in _edges(program, colours, own)
    )
    leaves = _leaves(colours, own)
    leaves_of: dict[int, list[int]] = {}
    for number, leaf in enumerate(leaves):
        leaves_of.setdefault(leaf.function, []).append(number)
    calls: list[list[int]] = [[] for _ in own]
    for edge in edges:
        calls[edge.caller].append(edge.callee)
    entry_kinds: dict[Function, str] = dict(colours.sync_entries)
    entry_kinds.update(dict.fromkeys(colours.entries, "view or hook"))
    entries = [number for number, function in enumerate(own) if function in entry_kinds]
    marks = reachable_marks(calls, entries)
    depth, height = depths_and_heights(calls)
    effects = [tuple(sorted(colours.blocks(function))) for function in own]
    via = _via(waits, leaves_of)
    reaching = [program.tests_reaching(function) for function in own]
    tests = sorted(set().union(*reaching))
    places = {name: number for number, name in enumerate(tests)}
    functions = tuple(
        FunctionNode(
            name=function.qualname,
            module=function.module,
            path=function.path,
            line=function.node.lineno,
            colour=colours.colour(function),
            effects=effects[number],
            entry=entry_kinds.get(function),
            via=via[number],
            via_line=_line_of(waits[number], via[number]),
            leaves=tuple(leaves_of.get(number, ())),
            depth=depth[number],
            height=height[number],
            entries=marks[number].bit_count(),
            is_facade=function in colours.facades,
            tests=tuple(places[name] for name in reaching[number]),
        )
        for number, function in enumerate(own)
    )
    numbers = Counter(function.colour for function in functions if not function.is_facade)
    return Graph(
        functions,
        edges,
        leaves,
        _paths(waits, entries, leaves_of),
        Counts(
            numbers["pure"],
            numbers["blocking"],
            numbers["native"],
            sum(edge.bridge is not None for edge in edges),
        ),
        suspects(program, {function: number for number, function in enumerate(own)}),
        tuple(tests),
    )


def hot_files(graph: Graph, findings: Iterable[Finding]) -> tuple[HotFile, ...]:
    """The files with something that blocks, those that most entry points wait for first."""
    found = Counter(finding.path for finding in findings)
    files: dict[str, HotFile] = {}
    reached: dict[str, set[int]] = {}
    for path in graph.paths:
        for number in path.functions:
            reached.setdefault(graph.functions[number].path, set()).add(path.functions[0])
    for function in graph.functions:
        name = function.path
        known = files.get(name) or HotFile(name, 0, 0, 0, found[name], len(reached.get(name, ())))
        files[name] = replace(
            known,
            functions=known.functions + 1,
            blocking=known.blocking + (function.colour == "blocking"),
            calls=known.calls + len(function.leaves),
        )
    hot = [file for file in files.values() if file.blocking or file.calls]
    return tuple(sorted(hot, key=lambda f: (-f.entries, -f.calls, -f.blocking, f.path)))


def _functions(program: Program) -> list[Function]:
    return [f for f in program.functions.values() if not program.files[f.path].is_test]


def _edges(program: Program, colours: Colours, own: Sequence[Function]) -> tuple[Edge, ...]:
    index = {function: number for number, function in enumerate(own)}
    found: dict[tuple[int, int], Edge] = {}

    def add(
        caller: Function | None,
        callee: Function,
        line: int,
        grade: str,
        over: str | None,
        evidence: Callable[[], str],
    ) -> None:
        if caller is None or caller not in index or callee not in index or caller is callee:
            return
        key = index[caller], index[callee]
        known = found.get(key)
        if known is None:
            found[key] = Edge(*key, line, grade, over, evidence=evidence())
            return
        is_better = _rank(grade) < _rank(known.grade)
        found[key] = replace(
            known,
            line=min(known.line, line),
            grade=grade if is_better else known.grade,
            bridge=known.bridge or over,
            evidence=evidence() if is_better else known.evidence,
        )

    for site in program.calls:
        if site.kind == "decorator":
            continue
        over = "thread" if site.in_lambda and colours.bridged(site) else None
        for target in site.targets:
            why = partial(program.evidence, site, target)
            add(site.caller, target.function, site.span.line, target.grade, over, why)
    for reference in program.references:
        if reference.kind != "argument" or reference.consumer is None:
            continue
        if is_thread_bridge(reference.consumer):
            over = "thread"
        elif is_loop_bridge(reference.consumer):
            over = "loop"
        else:
            continue
        why = partial("passed to {}".format, reference.consumer)
        add(reference.user, reference.function, reference.span.line, "exact", over, why)
    for facade, twin in colours.facades.items():
        add(facade, twin, facade.node.lineno, "exact", "loop", lambda: "its sync face")
    return tuple(found[key] for key in sorted(found))


def _rank(grade: str) -> int:
    return _GRADES.index(grade) if grade in _GRADES else len(_GRADES)


def _leaves(colours: Colours, own: Sequence[Function]) -> tuple[LeafCall, ...]:
    found: list[LeafCall] = []
    for number, function in enumerate(own):
        if function.is_async:
            continue
        here: list[LeafCall] = []
        for site in colours.running(function):
            for effect in sorted(colours.external_effects(site))[:1]:
                here.append(LeafCall(number, site.path, site.span.line, site.externals[0], effect))
        for load in colours.lazy_loads.get(function, ()):
            place = (number, load.path, load.node.lineno)
            here.append(LeafCall(*place, load.node.attr, "db", "lazy load"))
        if function in colours.facades:
            twin = colours.facades[function]
            place = (number, function.path, function.node.lineno)
            here.append(LeafCall(*place, twin.qualname, "bridge", "facade"))
        found += sorted(set(here), key=lambda leaf: (leaf.line, leaf.target))
    return tuple(found)


def _waits(colours: Colours, own: Sequence[Function]) -> list[dict[int, int]]:
    """For each function that blocks, the blocking functions it calls, with the first line.

    These are the calls through which blocking spreads: those of coroutine functions are not."""
    index = {function: number for number, function in enumerate(own)}
    found: list[dict[int, int]] = [{} for _ in own]
    for number, function in enumerate(own):
        if function.is_async:
            continue
        for site in colours.running(function):
            for target in site.targets:
                callee = index.get(target.function)
                if callee is None or callee == number or not colours.blocks(target.function):
                    continue
                line = found[number].get(callee, site.span.line)
                found[number][callee] = min(line, site.span.line)
    return found


def _via(waits: Sequence[dict[int, int]], leaves_of: dict[int, list[int]]) -> list[int | None]:
    """For each function the next one on its shortest way to a blocking call."""
    callers: list[list[int]] = [[] for _ in waits]
    for caller, callees in enumerate(waits):
        for callee in callees:
            callers[callee].append(caller)
    before = breadth_first(callers, sorted(leaves_of))
    return [before.get(number) for number in range(len(waits))]


def _line_of(calls: dict[int, int], callee: int | None) -> int | None:
    return None if callee is None else calls[callee]


def _paths(
    waits: Sequence[dict[int, int]], entries: Sequence[int], leaves_of: dict[int, list[int]]
) -> tuple[BlockingPath, ...]:
    graph = [sorted(callees) for callees in waits]
    found: list[BlockingPath] = []
    for entry in entries:
        before = breadth_first(graph, [entry])
        for number in before:  # nearest first
            if number not in leaves_of:
                continue
            way = [number]
            while (previous := before[way[-1]]) is not None:
                way.append(previous)
            way.reverse()
            lines = tuple(waits[a][b] for a, b in pairwise(way))
            found.append(BlockingPath(tuple(way), lines))
    return tuple(found)
