"""``bridgekit redo``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.naming import PathOrName, path_and_name
from bridgekit.cli.target import existing, explained
from bridgekit_codemods.migration.choosing import redo
from bridgekit_codemods.migration.session import open_session
from bridgekit_codemods.reports.lines import short
from bridgekit_codemods.reports.terminal import Printer


def command(
    path: PathOrName = ".",
    step: Annotated[
        str | None, typer.Argument(help="Key of a step that was kept back.", metavar="STEP")
    ] = None,
) -> None:
    """Have a step that was kept back or skipped tried again by the next run of `migrate`."""
    root, wanted = path_and_name(path, step, "the step: a key of `status`")
    printer = Printer()
    with explained(), open_session(existing(root)) as session:
        if session.note:
            printer.line(f"note: {session.note}")
        entry = redo(session, wanted)
    printer.line(f"to be tried again  {entry.title}  [{short(entry.key)}]")
