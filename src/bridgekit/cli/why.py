"""``bridgekit why``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.naming import PathOrName, path_and_name
from bridgekit.cli.recorded import settled_scope
from bridgekit.cli.target import JsonOption, explained, open_target
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports import machine, plans, steps
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.walk.facts import Facts


def command(
    path: PathOrName = ".",
    function: Annotated[
        str | None,
        typer.Argument(help="Qualified name, or an end that is unique.", metavar="FUNCTION"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say of one function what colour it has, why, what keeps it, and what the walk did with it."""
    root, name = path_and_name(path, function, "the function")
    with explained():
        target = open_target(root)
        history = history_of(target.root)
        facts = Facts(Program.load(target.sources), settled_scope(target.root, None, None, None))
        found = facts.of(facts.find(name))
    if as_json:
        print(machine.dump(plans.facts_json(found) | steps.way_json(history, found.function)))
    else:
        printer = Printer()
        printer.print(plans.facts(found))
        printer.print(steps.way(history, found.function))
    raise typer.Exit(target.code(False))
