"""The options of `plan` and `migrate` that limit the walk."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.target import fail
from bridgekit_codemods.planning.scope import Scope, ScopeError, build_scope

OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Kinds of waiting that make functions async, e.g. http,sleep; all others stay "
        "blocking behind bridges.",
        metavar="KINDS",
        show_default=False,
    ),
]
GoalOption = Annotated[
    list[str] | None,
    typer.Option(
        "--goal",
        help="Make async only what these entry points need: views:ENDPOINT, routes:RULE or a "
        "dotted name, with wildcards. Repeatable.",
        metavar="PATTERN",
        show_default=False,
    ),
]
BridgeBelowOption = Annotated[
    float | None,
    typer.Option(
        "--bridge-below",
        help="Bridge a family of overrides when that costs less than FACTOR times flipping it; "
        "0 always flips.",
        metavar="FACTOR",
        show_default=False,
    ),
]


def scope_of(only: list[str] | None, goals: list[str] | None, bridge_below: float | None) -> Scope:
    """The scope of the options; ends the command when it names what does not exist."""
    try:
        return build_scope(only or (), goals or (), bridge_below)
    except ScopeError as error:
        fail(str(error))
