"""What a plan says before its first step: what each choice of scope would come to."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods.planning.closures import Closure, closures
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.goals import check_goals
from bridgekit_codemods.planning.prospects import Outlook
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.planning.weights import Weighed
from bridgekit_codemods.program.program import Program


@dataclass(frozen=True)
class Overview:
    """The scope of a plan in numbers."""

    scope: Scope = EVERYTHING
    closures: tuple[Closure, ...] = ()
    becoming_async: int = 0
    """Functions that the walk makes async, tests and what only a change of framework asks for
    left out."""
    weighed: tuple[Weighed, ...] = ()
    """Families of overrides, and whether each is flipped or bridged."""
    kept: tuple[str, ...] = ()
    """Functions that the program's settings keep sync although they wait."""


def overview(program: Program, scope: Scope) -> Overview:
    """The overview of a program before its next step.

    Raises:
        ScopeError: a goal of the scope names nothing.
    """
    check_goals(program, scope.goals)
    choice = program.derived(Outlook(scope))
    colours = program.derived(Colours)
    return Overview(
        scope=scope,
        closures=closures(program, scope),
        becoming_async=len(choice.wanted),
        weighed=choice.weighed,
        kept=tuple(
            sorted(
                function.qualname
                for function in program.derived(settings).kept
                if colours.blocks(function)
            )
        ),
    )
