"""``bridgekit undo``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.naming import PathOrName, optional_name
from bridgekit.cli.target import existing, explained
from bridgekit_codemods.migration.session import open_session
from bridgekit_codemods.migration.undo import undo
from bridgekit_codemods.reports.lines import short
from bridgekit_codemods.reports.terminal import Printer


def command(
    path: PathOrName = ".",
    step: Annotated[
        str | None,
        typer.Argument(help="Number or key of a step; the last one by default.", metavar="STEP"),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Do not try the steps again in later runs.")
    ] = False,
) -> None:
    """Take back the last step, or the named one with every later one, which builds on it."""
    root, wanted = optional_name(path, step)
    printer = Printer()
    with explained(), open_session(existing(root)) as session:
        if session.note:
            printer.line(f"note: {session.note}")
        undone = undo(session, wanted, keep)
    for entry in undone.steps:
        printer.line(f"undone  {entry.step.title}  [{short(entry.step.key)}]")
