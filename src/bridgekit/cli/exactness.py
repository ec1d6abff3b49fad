"""The option of `plan` and `report` that says how the steps to come are found."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.target import Target

EXACT_LINES = 20_000
"""Size of a program up to which a plan is exact unless something else is asked for."""

ExactOption = Annotated[
    bool | None,
    typer.Option(
        "--exact/--forecast",
        help="Take every step in memory and check it, or foresee all from one reading. "
        f"By default exact up to {EXACT_LINES:,} lines.",
        show_default=False,
    ),
]


def is_exact(target: Target, asked: bool | None) -> bool:
    """Whether every step is to be taken: as asked, otherwise by the size of the program."""
    if asked is not None:
        return asked
    lines = sum(data.count(b"\n") for path, data in target.sources.items() if path.endswith(".py"))
    return lines <= EXACT_LINES
