"""How commands that are about one thing take its name: `[PATH] NAME`, and NAME alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridgekit.cli.target import Target, fail
from bridgekit_codemods.migration.preview import PlannedStep, preview
from bridgekit_codemods.planning.steps import Planner

PathOrName = Annotated[
    str,
    typer.Argument(
        metavar="[PATH]", help="Root of the program; by default here.", show_default=False
    ),
]


def path_and_name(first: str, second: str | None, what: str) -> tuple[Path, str]:
    """The path and the name of what is meant; ends the command where no name is given."""
    path, name = optional_name(first, second)
    if name is None:
        fail(f"name {what}")
    return path, name


def optional_name(first: str, second: str | None) -> tuple[Path, str | None]:
    """The path, and the name if one is given: a single word that looks like no path is a name."""
    if second is None and not Path(first).is_dir() and (":" in first or "/" not in first):
        return Path(), first
    return Path(first), second


def step_to_come(
    planner: Planner, target: Target, kept: frozenset[str], first: int, wanted: str
) -> PlannedStep:
    """The step of the plan that has that key or number; ends the command where there is none."""
    steps = preview(planner, target.sources, kept, wanted, first)
    found = [planned for planned in steps if wanted in {planned.step.key, str(planned.number)}]
    if not found:
        fail(
            f"there is no step {wanted}; `bridgekit status` lists those that were done or kept "
            "back, `bridgekit plan` those to come"
        )
    return found[0]
