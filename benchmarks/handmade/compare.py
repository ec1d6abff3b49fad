"""The functions that became async, and those of which the model of the program before says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.selection import Selection
from bridgekit_codemods.program import Function, Program
from bridgekit_codemods.walk.prospects import Outlook

Key = tuple[str, str]
"""File, and qualified name within it."""
LASTING = frozenset({"BK302", "BK303", "BK304", "BK307", "BK312"})
"""Obstacles that no edit of the function itself takes away: who calls it does not await.

The others (a generator, a nested function, a decorator, a receiver without a type) keep the tool
from rewriting a function; a person rewrites it."""


@dataclass(frozen=True)
class Judged:
    """One function about which model and people differ."""

    key: Key
    line: int
    waits_for: tuple[str, ...]
    obstacles: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """How well one set of functions agrees with what people did."""

    name: str
    functions: frozenset[Key]
    people: frozenset[Key]

    @property
    def agreed(self) -> int:
        return len(self.functions & self.people)

    @property
    def precision(self) -> float:
        return self.agreed / len(self.functions) if self.functions else 0.0

    @property
    def recall(self) -> float:
        return self.agreed / len(self.people) if self.people else 0.0


@dataclass(frozen=True)
class Comparison:
    """A program before and after people migrated it."""

    sync: int
    """Sync functions before that exist after, too."""
    gone: int
    """Sync functions before that do not."""
    should: Prediction
    """The colour: what becomes async when everyone who waits awaits."""
    walked: Prediction
    """What the tool would rewrite itself; the rest it reaches through worker threads."""
    missed: tuple[Judged, ...]
    wrong: tuple[Judged, ...]


def compare(before: Program, after: Program, scope: Scope, inside: tuple[str, ...]) -> Comparison:
    """Hold the model of the program before against the program after.

    `inside` are the paths that count; tests never do. `scope.only` are the kinds of waiting that
    the people removed, its goals are all functions.
    """
    old = _functions(before, inside)
    new = _functions(after, inside)
    sync = {key for key, function in old.items() if not function.is_async}
    both = sync & new.keys()
    people = frozenset(key for key in both if new[key].is_async)
    wanted = frozenset(map(_key, before.derived(Outlook(scope)).wanted))
    should = Prediction("colour", _keys(predicted(before, scope)) & both, people)
    walked = Prediction("walk", wanted & both, people)
    judged = _judge(before, old)
    return Comparison(
        sync=len(both),
        gone=len(sync - both),
        should=should,
        walked=walked,
        missed=tuple(judged(key) for key in sorted(people - should.functions)),
        wrong=tuple(judged(key) for key in sorted(should.functions - people)),
    )


def predicted(program: Program, scope: Scope) -> frozenset[Function]:
    """The sync functions that become async if everything in the scope is migrated.

    Those that wait for a kind of the scope, themselves or through others, with their families;
    and the views that wait for nothing, because every framework that awaits views sends a sync
    one to a worker thread.
    """
    colours = program.derived(Colours)
    obstacles = _obstacles(program)
    open_ones = {
        function
        for function in program.functions.values()
        if not colours.native(function)
        and not program.files[function.path].is_test
        and not any(obstacle.code in LASTING for obstacle in obstacles.of(function))
    }
    movable = frozenset(
        function
        for function in open_ones
        if all(
            member in open_ones or colours.native(member) or program.files[member.path].is_test
            for member in program.family(function)
        )
    )
    waiting = colours.wanted(
        movable,
        scope.only,
        movable,
        lambda site: colours.external_effects(site) | colours.forms(site),
    )
    idle = {view for view in colours.entries & movable if not colours.blocks(view)}
    return waiting | idle


def _obstacles(program: Program) -> Obstacles:
    held = Selection(program, EVERYTHING).held
    return Obstacles(program.derived(Colours), held=held)


def _functions(program: Program, inside: tuple[str, ...]) -> dict[Key, Function]:
    return {
        _key(function): function
        for function in program.functions.values()
        if function.path.startswith(inside) and not program.files[function.path].is_test
    }


def _key(function: Function) -> Key:
    # a package without `__init__.py` has modules without its name: the file says which it is
    return (function.path, function.qualname.removeprefix(f"{function.module}."))


def _keys(functions: Iterable[Function]) -> frozenset[Key]:
    return frozenset(_key(function) for function in functions)


def _judge(program: Program, known: dict[Key, Function]) -> Callable[[Key], Judged]:
    colours = program.derived(Colours)
    obstacles = _obstacles(program)

    def judged(key: Key) -> Judged:
        function = known[key]
        return Judged(
            key,
            function.node.lineno,
            tuple(sorted(colours.blocks(function))),
            tuple(f"{o.code} line {o.line}: {o.reason}" for o in obstacles.of(function)),
        )

    return judged
