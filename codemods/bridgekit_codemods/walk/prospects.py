"""What the program comes to before any step is taken: the preparation counted as done.

`requests.get` has no async form, but once the first step of the walk has put the program on another
client it has one. To say now how far a scope reaches, such calls count as what they will be, unless
something stands in the way of the preparation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.selection import Choice, Selection
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules import PREPARATION
from bridgekit_codemods.rules.base import Options, Rule
from bridgekit_codemods.rules.colourless_decorator import ColourlessDecorator
from bridgekit_codemods.rules.flask_bridge import own_applications
from bridgekit_codemods.rules.flip import serves_async_views
from bridgekit_codemods.rules.sqlalchemy_model_query import SqlalchemyModelQuery
from bridgekit_codemods.rules.sqlalchemy_query import SqlalchemyQuery
from bridgekit_codemods.walk.ahead import Ahead, ObstaclesAhead, Preparation

_PREPARED_BY = {
    "http-client": "http",
    "engine": "db",
    "expire": "db",
    "eager": "db",
    "select": "db",
}
"""The kinds of steps that prepare the ground for one kind of waiting."""

_PREPARED_CODES = {"BK201": "http", "BK211": "db", "BK212": "db", "BK213": "db", "BK214": "db"}


@dataclass(frozen=True)
class PreparationSteps:
    """The steps that prepare the ground, in order, whatever the scope; not those kept back.

    Ask with `program.derived(PreparationSteps(...))`.
    """

    client: str = "httpx"
    kept: frozenset[str] = frozenset()

    def __call__(self, program: Program) -> tuple[Step, ...]:
        options = Options(client="httpx2" if self.client == "httpx2" else "httpx")
        return tuple(
            step for rule in PREPARATION for step in _steps_of(rule, program, options, self.kept)
        )


def _steps_of(rule: Rule, program: Program, options: Options, kept: frozenset[str]) -> list[Step]:
    if isinstance(rule, SqlalchemyQuery | SqlalchemyModelQuery | ColourlessDecorator):
        return list(rule.steps(program, kept))
    found: list[Step] = []
    while True:
        step = rule.propose(program, options, kept)
        if step is None or step.key in kept:
            return found
        found.append(step)
        kept |= {step.key}


class Prospects:
    """One program as its preparation will leave it. Ask with `program.derived(Prospects)`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now = program.derived(Colours)
        self.steps = program.derived(PreparationSteps())
        self.colours = Ahead(program, Preparation(self.steps))

    @cached_property
    def application(self) -> bool:
        """Says whether the views may become async: whether the application runs them on the one
        loop of the process, or will when it is made with bridgekit's class."""
        return serves_async_views(self.program) or (
            any(map(_makes_application, self.steps)) and not own_applications(self.program)
        )

    def goals(self, scope: Scope) -> frozenset[Function] | None:
        """The functions that the scope's goals name; None when there are no goals."""
        return Selection(self.program, scope).goals

    @cached_property
    def obstacles(self) -> Obstacles:
        """What stands in the way now, what the program's settings hold sync included."""
        return Obstacles(self.now, held=self._held)

    @cached_property
    def _ahead(self) -> ObstaclesAhead:
        return ObstaclesAhead(self.colours, held=self._held)

    @property
    def _held(self) -> dict[Function, Finding]:
        return Selection(self.program, EVERYTHING).held

    def lasting(self, function: Function) -> tuple[Finding, ...]:
        """The obstacles of a function that no step of the walk takes away."""
        return self._ahead.of(function)

    @cached_property
    def movable(self) -> frozenset[Function]:
        """Sync functions that may become async, with the whole of their family."""
        movable = self._ahead.movable
        return movable if self.application else movable - self.colours.entries


def _makes_application(step: Step) -> bool:
    return step.key == "views:flask-on-portal"


@dataclass(frozen=True)
class Outlook:
    """Makes the choice of a scope with the preparation done: `program.derived(Outlook(scope))`."""

    scope: Scope

    def __call__(self, program: Program) -> Choice:
        prospects = program.derived(Prospects)
        selection = Selection(program, self.scope)
        return selection.choose(prospects.movable, colours=prospects.colours)


def kinds_of(program: Program, scope: Scope) -> frozenset[str]:
    """The kinds of waiting that have an async form in what the scope makes async."""
    colours = program.derived(Prospects).colours
    found: set[str] = set()
    for function in program.derived(Outlook(scope)).wanted:
        for site in colours.sites(function):
            found |= colours.forms(site)
        if function in program.derived(Colours).lazy_loads:
            found.add("db")
    return frozenset(found if scope.only is None else found & scope.only)


def serves(program: Program, scope: Scope, step: Step) -> bool:
    """Says whether what the scope makes async needs a step that a rule proposes.

    A step that flips, or that follows one that did, is needed as it is proposed.
    """
    kind = _PREPARED_BY.get(step.kind)
    if kind is None and step.kind not in ("decorator", "quart") and not _makes_application(step):
        return True
    wanted = program.derived(Outlook(scope)).wanted
    if kind is not None:
        if kind not in kinds_of(program, scope):
            return False
        return step.kind != "select" or bool(
            set(step.members) & {function.module for function in wanted}
        )
    if step.kind == "decorator":
        return any(
            decorator.project is not None and decorator.project.qualname in step.members
            for function in wanted
            for decorator in function.decorators
        )
    if _makes_application(step):
        return not program.derived(Colours).entries.isdisjoint(wanted)
    return bool(wanted) or _is_partly_async(program)


def _is_partly_async(program: Program) -> bool:
    colours = program.derived(Colours)
    return any(
        colours.native(function) and not program.files[function.path].is_test
        for function in program.functions.values()
    )


def concerns(program: Program, scope: Scope, code: str) -> bool:
    """Says whether what a rule leaves alone matters for a limited scope."""
    kind = _PREPARED_CODES.get(code)
    if not scope.limited or kind is None:
        return True
    if scope.only is not None and kind not in scope.only:
        return False
    colours = program.derived(Colours)
    goals = Selection(program, scope).goals
    return goals is None or any(kind in colours.blocks(function) for function in goals)
