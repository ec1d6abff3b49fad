"""What keeps most of a program sync, the largest first: what to change by hand before the walk.

The findings of a plan name every place; a program that was written for blocking libraries has
hundreds. Most of them hang on a few: an engine that an extension makes keeps every query sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridgekit_codemods.planning.overview import Barrier
from bridgekit_codemods.planning.scope import FRAMEWORK, Scope
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.flask_bridge import FlaskBridge
from bridgekit_codemods.rules.requests_client import RequestsClient
from bridgekit_codemods.rules.sqlalchemy_engine import SqlalchemyEngine
from bridgekit_codemods.walk.prospects import Outlook, Prospects


def barriers(program: Program, scope: Scope) -> tuple[Barrier, ...]:
    """The barriers within a scope: first those before a whole kind of waiting, then those in single
    functions that views or goals reach, by kind of obstacle."""
    prospects = program.derived(Prospects)
    options, nothing = Options(), frozenset[str]()
    found: list[Barrier] = []
    for kind, rule in (("http", RequestsClient()), ("db", SqlalchemyEngine())):
        waiting = _waiting(program, prospects, kind)
        if waiting and scope.includes((kind,)):
            found += _alike(kind, rule.findings(program, options, nothing), waiting)
    views = sum(not program.files[f.path].is_test for f in prospects.colours.entries)
    if views and not prospects.application:
        own = FlaskBridge().findings(program, options, nothing)
        found += _alike("views", own or _no_application(prospects), views)
    found.sort(key=lambda barrier: -barrier.functions)
    return (*found, *_in_functions(program, prospects, scope))


def _waiting(program: Program, prospects: Prospects, kind: str) -> int:
    return sum(
        kind in prospects.now.blocks(function)
        for function in program.functions.values()
        if not program.files[function.path].is_test
    )


def _alike(what: str, findings: Iterable[Finding], functions: int) -> Iterator[Barrier]:
    """One barrier for all findings of one remedy, which is what there is to do."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.remedy, []).append(finding)
    for remedy, places in groups.items():
        first = min(places, key=lambda f: (f.path, f.line))
        yield Barrier(
            what, first.code, first.reason, remedy, first.path, first.line, len(places), functions
        )


def _no_application(prospects: Prospects) -> list[Finding]:
    view = min(prospects.colours.entries, key=lambda f: (f.path, f.node.lineno))
    return [
        Finding(
            view.path, view.node.lineno, "BK221",
            "no application is known that would run async views on one event loop",
            "make it with flask.Flask(...) in the program; other frameworks are not migrated",
            view.qualname,
        )
    ]  # fmt: skip


def _in_functions(program: Program, prospects: Prospects, scope: Scope) -> list[Barrier]:
    """Obstacles of blocking functions below the entries, those of one code together."""
    wanted = program.derived(Outlook(scope)).wanted
    groups: dict[str, list[Finding]] = {}
    families: set[frozenset[Function]] = set()
    for function in _reached(program, prospects, scope):
        if function in wanted or not _could_change(prospects, function, scope):
            continue
        families.add(program.family(function))
        for obstacle in prospects.lasting(function)[:1]:
            groups.setdefault(obstacle.code, []).append(obstacle)
    found = []
    for code, places in groups.items():
        first = min(places, key=lambda f: (f.path, f.line))
        found.append(
            Barrier(
                "functions", code, first.reason, first.remedy, first.path, first.line,
                len(places), len(places),
            )
        )  # fmt: skip
    found += _in_families(prospects, families)
    return sorted(found, key=lambda barrier: (-barrier.functions, barrier.code, barrier.path))


def _in_families(
    prospects: Prospects, families: Iterable[frozenset[Function]]
) -> Iterator[Barrier]:
    """Families that stay sync as a whole because some of their methods have to."""
    for family in families:
        obstacles = [
            obstacle
            for member in sorted(family, key=lambda f: (f.path, f.node.lineno))
            if not prospects.colours.native(member)
            for obstacle in prospects.lasting(member)[:1]
        ]
        if not obstacles or len(obstacles) == len(family):
            continue
        first = obstacles[0]
        yield Barrier(
            "family", first.code,
            f"overrides of {next(iter(family)).name} change colour together, and "
            f"{len(obstacles)} of them cannot, the first because: {first.reason}",
            first.remedy, first.path, first.line, len(obstacles), len(family),
        )  # fmt: skip


def _could_change(prospects: Prospects, function: Function, scope: Scope) -> bool:
    colours = prospects.colours
    if colours.native(function) or not colours.blocks(function):
        return False
    return scope.includes(colours.blocks(function) | {FRAMEWORK})


def _reached(program: Program, prospects: Prospects, scope: Scope) -> set[Function]:
    """What the entries, or the goals, call."""
    colours = prospects.colours
    seen = set(prospects.goals(scope) or colours.entries)
    pending = list(seen)
    while pending:
        for site in colours.sites(pending.pop()):
            for target in site.targets:
                for function in program.family(target.function) - seen:
                    seen.add(function)
                    pending.append(function)
    return {function for function in seen if not program.files[function.path].is_test}
