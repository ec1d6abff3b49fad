"""What the program comes to before any step is taken: the preparation counted as done.

`requests.get` has no async form, but once the first step of the walk has put the program on another
client it has one. To say now how far a scope reaches, such calls count as what they will be, unless
something stands in the way of the preparation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.selection import Choice, Selection
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.decorator_shapes import can_be_two_coloured
from bridgekit_codemods.rules.requests_client import RequestsClient
from bridgekit_codemods.rules.sqlalchemy_engine import SqlalchemyEngine

_PREPARED_BY = {
    "http-client": "http",
    "engine": "db",
    "expire": "db",
    "eager": "db",
    "select": "db",
}
"""The kinds of steps that prepare the ground for one kind of waiting."""

_PREPARED_CODES = {"BK201": "http", "BK211": "db", "BK212": "db", "BK213": "db", "BK214": "db"}


class Prospects:
    """One program as its preparation will leave it. Ask with `program.derived(Prospects)`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.colours = program.derived(Colours)
        nothing: frozenset[str] = frozenset()
        self._http = not RequestsClient().findings(program, Options(), nothing)
        self._db = not SqlalchemyEngine().findings(program, Options(), nothing)

    def forms(self, site: CallSite) -> frozenset[str]:
        """The kinds of waiting for which the site has or will have an async form."""
        found = self.colours.forms(site)
        if site.awaited:
            return found
        for dotted in site.externals:
            root = dotted.partition(".")[0]
            if (self._http and root == "requests") or (
                self._db and dotted.startswith("sqlalchemy.orm.")
            ):
                effect = blocking(dotted)
                if effect is not None:
                    found |= {effect.blocks}
        return found

    @cached_property
    def obstacles(self) -> Obstacles:
        """What stands in the way, what the program's settings hold sync included."""
        return Obstacles(self.colours, held=Selection(self.program, EVERYTHING).held)

    def lasting(self, function: Function) -> tuple[Finding, ...]:
        """The obstacles of a function that no step of the walk takes away."""
        return tuple(o for o in self.obstacles.of(function) if not self._passing(function, o))

    def _passing(self, function: Function, obstacle: Finding) -> bool:
        decorators = [
            decorator.project
            for decorator in function.decorators
            if decorator.project is not None and decorator.node.lineno == obstacle.line
        ]
        return (
            obstacle.code == "BK308"
            and bool(decorators)
            and self.convertible.issuperset(decorators)
        )

    @cached_property
    def convertible(self) -> frozenset[Function]:
        """The decorators that steps of the walk convert, one that uses another after it."""
        candidates = {
            decorator.project
            for function in self.program.functions.values()
            for decorator in function.decorators
            if decorator.project is not None
            and not decorator.project.is_async
            and not self.program.files[decorator.project.path].is_test
        }
        found: frozenset[Function] = frozenset()
        while True:
            more = {
                decorator
                for decorator in candidates - found
                if can_be_two_coloured(self.colours, decorator, found)
            }
            if not more:
                return found
            found |= more

    @cached_property
    def movable(self) -> frozenset[Function]:
        """Sync functions that may become async, with the whole of their family."""
        free = {
            function
            for function in self.program.functions.values()
            if not self.colours.native(function)
            and not self.program.files[function.path].is_test
            and not self.lasting(function)
        }
        return frozenset(
            function
            for function in free
            if all(
                member in free or self.colours.native(member)
                for member in self.program.family(function)
            )
        )


@dataclass(frozen=True)
class Outlook:
    """Makes the choice of a scope with the preparation done: `program.derived(Outlook(scope))`."""

    scope: Scope

    def __call__(self, program: Program) -> Choice:
        prospects = program.derived(Prospects)
        return Selection(program, self.scope).choose(prospects.movable, prospects.forms)


def kinds_of(program: Program, scope: Scope) -> frozenset[str]:
    """The kinds of waiting that have an async form in what the scope makes async."""
    prospects = program.derived(Prospects)
    found: set[str] = set()
    for function in program.derived(Outlook(scope)).wanted:
        for site in prospects.colours.sites(function):
            found |= prospects.forms(site)
        if function in prospects.colours.lazy_loads:
            found.add("db")
    return frozenset(found if scope.only is None else found & scope.only)


def serves(program: Program, scope: Scope, step: Step) -> bool:
    """Says whether a limited scope needs a step that a rule proposes."""
    if not scope.limited:
        return True
    wanted = program.derived(Outlook(scope)).wanted
    kind = _PREPARED_BY.get(step.kind)
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
    if step.key == "views:flask-on-portal":
        return not program.derived(Colours).entries.isdisjoint(wanted)
    return True


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
