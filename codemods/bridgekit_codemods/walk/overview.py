"""What a plan says before its first step: what each choice of scope would come to."""

from __future__ import annotations

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.goals import check_goals
from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.walk.barriers import barriers
from bridgekit_codemods.walk.closures import closures
from bridgekit_codemods.walk.prospects import Outlook


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
        barriers=barriers(program, scope),
        kept=tuple(
            sorted(
                function.qualname
                for function in program.derived(settings).kept
                if colours.blocks(function)
            )
        ),
    )
