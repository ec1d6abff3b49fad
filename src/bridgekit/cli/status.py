"""``bridgekit status``."""

from __future__ import annotations

from pathlib import Path

import typer

from bridgekit.cli.target import Exit, JsonOption, PathArgument, existing, explained
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer


def command(path: PathArgument = Path(), as_json: JsonOption = False) -> None:
    """Show the steps that were done and those that were kept back."""
    with explained():
        history = history_of(existing(path))
    if as_json:
        print(machine.dump(machine.history(history)))
    else:
        Printer().print(lines.status(history))
    unfinished = bool(history.kept or history.pending)
    raise typer.Exit(Exit.FINDINGS if unfinished else Exit.DONE)
