"""Which functions a scope asks for: the one place where scope, settings and prices meet.

Everything here is a pure function of the program and the scope, so that `plan` and `migrate` with
the same options choose alike at every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from bridgekit_codemods.planning.colours import Colours, Forms
from bridgekit_codemods.planning.goals import goal_functions
from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.weights import Weighed, sent_to_threads, weigh
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function


@dataclass(frozen=True)
class Choice:
    """The functions that should become async, and the families that were weighed on the way."""

    wanted: frozenset[Function]
    weighed: tuple[Weighed, ...]
    bridged: dict[Function, Finding]
    """The methods of families that stay sync because bridging them costs less."""


class Selection:
    """What a scope means in one program."""

    def __init__(self, program: Program, scope: Scope) -> None:
        self.program = program
        self.scope = scope
        self.settings = program.derived(settings)

    @cached_property
    def held(self) -> dict[Function, Finding]:
        """The functions that stay sync by configuration, each with the finding that says so."""
        return {
            function: Finding(
                function.path,
                function.node.lineno,
                "BK312",
                f"kept sync by the pattern {pattern!r} in pyproject.toml",
                "none needed: async code reaches it through a worker thread",
                function.qualname,
            )
            for function, pattern in self.settings.kept.items()
        }

    @cached_property
    def goals(self) -> frozenset[Function] | None:
        """The functions that the goals name; None when there are no goals."""
        if not self.scope.goals:
            return None
        return frozenset(
            function
            for pattern in self.scope.goals
            for function in goal_functions(self.program, pattern)
        )

    @property
    def factor(self) -> float:
        """The price of flipping above which a family is bridged, from the scope or the settings."""
        given = self.scope.bridge_below
        return self.settings.bridge_below if given is None else given

    def bridged(self, movable: Iterable[Function]) -> dict[Function, Finding]:
        """The methods of families that bridges reach already and that stay sync for their price."""
        movable = frozenset(movable)
        reached = [f for f in sent_to_threads(self.program) if f in movable]
        return self._findings(weigh(self.program.derived(Colours), reached, self.factor))

    def _findings(self, weighed: Iterable[Weighed]) -> dict[Function, Finding]:
        return {
            self.program.functions[name]: family.finding(self.program.functions[name])
            for family in weighed
            if family.bridged
            for name in family.family
        }

    def choose(
        self,
        movable: Iterable[Function],
        forms: Forms | None = None,
        colours: Colours | None = None,
    ) -> Choice:
        """The functions of `movable` that should become async, bridged families left out.

        `movable` must not hold functions of `held`. `forms` says what has an async form, in place
        of what has one now; `colours` are others than those of the program as it is.
        """
        colours = colours or self.program.derived(Colours)
        movable = frozenset(movable)
        wanted = colours.wanted(movable, self.scope.kinds, self.goals, forms)
        weighed = weigh(colours, wanted, self.factor)
        bridged = self._findings(weighed)
        if bridged:
            wanted = colours.wanted(movable - bridged.keys(), self.scope.kinds, self.goals, forms)
        return Choice(wanted, weighed, bridged)
