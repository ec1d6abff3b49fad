"""``bridgekit report``."""

from __future__ import annotations

import typer

from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    JsonOption,
    PathArgument,
    explained,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer


def command(
    path: PathArgument, client: ClientOption = Client.httpx, as_json: JsonOption = False
) -> None:
    """Show what was done, what was kept back, and what stays sync and why."""
    with explained():
        target = open_target(path)
        history = history_of(target.root)
        findings = planner_for(Choices(client)).findings(target.sources, history.kept_keys)
    if as_json:
        print(machine.dump(machine.report(history, findings, target.problems)))
    else:
        printer = Printer()
        printer.print(lines.report(history, findings))
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(history.kept or findings)))
