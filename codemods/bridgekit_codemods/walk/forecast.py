"""All steps of the walk from one reading of the program, without rewriting any file.

`RulePlanner.next_step` takes a step, reads the program that comes of it, and asks for the next; on
a program of a hundred thousand lines that is many readings of some seconds each. A forecast follows
the same rules through one model instead: what a step will have changed is counted as changed (see
`ahead`). It names the steps under the keys that the walk gives them, as long as no step's result
surprises; the walk itself decides anew at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from bridgekit_codemods.planning.bridges import bridges_after, count_bridges
from bridgekit_codemods.planning.merging import JOINED, joined
from bridgekit_codemods.planning.order import Group, groups
from bridgekit_codemods.planning.selection import Selection
from bridgekit_codemods.planning.steps import Finding, Foreseen, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.async_tests import AsyncTests, async_tests_run
from bridgekit_codemods.rules.base import Changes, Options
from bridgekit_codemods.rules.body import Unconvertible
from bridgekit_codemods.rules.flask_bridge import makes_application, own_applications
from bridgekit_codemods.rules.flip import Walk, held_back, serves_async_views
from bridgekit_codemods.rules.fold import FoldFacades
from bridgekit_codemods.rules.pure_views import PureViews
from bridgekit_codemods.rules.quart import FlaskToQuart
from bridgekit_codemods.walk.ahead import Ahead, ObstaclesAhead, Preparation
from bridgekit_codemods.walk.prospects import PreparationSteps, serves


def forecast(program: Program, options: Options, kept: frozenset[str]) -> Iterator[Foreseen]:
    """The steps to come, in order. A pure function of its arguments; never opens a file again."""
    bridges = program.derived(count_bridges)
    steps = _steps(program, options, kept)
    for together in _runs(steps) if options.granularity == "layer" else ([s] for s in steps):
        whole = joined(together)
        for step in together if whole.key in kept else [whole]:
            bridges = bridges_after(program, bridges, step)
            files = _files(program, together if step is whole else [step])
            yield Foreseen(step, files, bridges)


def _runs(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Steps of one kind that follow each other and may be one."""
    for kind, run in groupby(steps, lambda step: step.kind):
        if kind in JOINED:
            yield list(run)
        else:
            yield from ([step] for step in run)


def _files(program: Program, steps: Iterable[Step]) -> tuple[str, ...]:
    found: set[str] = set()
    for step in steps:
        if isinstance(step.changes, Changes):
            found.update(step.changes.paths)
            continue
        for name in step.members:
            function = program.functions[name]
            found.add(function.path)
            found.update(site.path for site in program.callers_of(function))
    return tuple(sorted(found))


def _steps(program: Program, options: Options, kept: frozenset[str]) -> Iterator[Step]:
    preparing = [
        step
        for step in program.derived(PreparationSteps(options.client, kept))
        if serves(program, options.scope, step)
    ]
    yield from preparing
    ahead = Ahead(program, Preparation(preparing, options.client))
    held = Selection(program, options.scope).held
    obstacles = ObstaclesAhead(ahead, held_back(program, kept), held)
    application = serves_async_views(program) or (
        ahead.preparation.application and not own_applications(program)
    )
    yield from _flips(obstacles, options, kept, application=application)
    tests_run = async_tests_run(program)
    if options.target == "quart":
        quart = FlaskToQuart()
        found = quart.ahead(ahead) if quart.key not in kept else None
        if found is not None and serves(program, options.scope, found[0]):
            step, tests = found
            yield step
            obstacles.forget(ahead.flip(tests))
            if not application and makes_application(program):
                yield from _flips(obstacles, options, kept, application=True)
            tests_run = tests_run or bool(tests)
            if options.scope.changes_framework:
                pure = PureViews().on_quart(obstacles, kept)
                if pure is not None:
                    yield pure
                    ahead.flip(program.functions[name] for name in pure.members)
    if tests_run:
        for step in AsyncTests().steps(ahead, kept):
            yield step
            ahead.flip(program.functions[name] for name in step.members)
    yield from FoldFacades().ahead(ahead, options, kept)


def _flips(
    obstacles: ObstaclesAhead, options: Options, kept: frozenset[str], *, application: bool
) -> Iterator[Step]:
    """The steps of `Flip`, each with what it flips counted as flipped for those after it."""
    ahead = obstacles.colours
    program = ahead.program
    refused: dict[str, Finding] = {}
    again = True
    while again:
        again = False
        walk = Walk(program, kept, refused, options, obstacles, application)
        left = dict(groups(ahead, walk.wanted))
        ready = [atom for atom, before in left.items() if not before]
        users: dict[Group, set[Group]] = {}
        for atom, before in left.items():
            for other in before:
                users.setdefault(other, set()).add(atom)
        while not again:
            batch = walk.next_of(ready)
            if batch is None:
                break
            key, members = batch
            try:
                step = walk.build(key, members)
            except Unconvertible as problem:
                refused[problem.function.qualname] = problem.finding
                obstacles.refuse(problem.function)
                again = True
                break
            yield step
            done = {atom for atom in ready if not set(atom).isdisjoint(members)}
            again = _changes_what_is_wanted(obstacles, done, walk.wanted)
            ready = [atom for atom in ready if atom not in done]
            for atom in {user for each in done for user in users.get(each, ())}:
                left[atom] -= done
                if not left[atom]:
                    ready.append(atom)


def _changes_what_is_wanted(
    obstacles: ObstaclesAhead, flipped: set[Group], wanted: frozenset[Function]
) -> bool:
    """Flips the atoms, and says whether others are wanted then than those that were before."""
    ahead = obstacles.colours
    members = [function for atom in flipped for function in atom]
    pure = any(not ahead.blocks(function) for function in members)
    around = ahead.users_of(members)
    before = {function: bool(obstacles.of(function)) for function in around}
    changed = ahead.flip(members)
    obstacles.forget(changed)
    return pure or any(
        bool(obstacles.of(function)) is not stood
        for function, stood in before.items()
        if not ahead.native(function)
    )
