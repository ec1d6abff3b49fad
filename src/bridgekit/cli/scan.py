"""``bridgekit scan``."""

from __future__ import annotations

import typer

from bridgekit.cli.target import JsonOption, PathArgument, open_target
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer


def command(path: PathArgument, as_json: JsonOption = False) -> None:
    """Show what blocks, which functions that colours, and what stands in the way."""
    target = open_target(path)
    from bridgekit_codemods.planning.planner import build_survey

    survey = build_survey(target.sources)
    if as_json:
        print(machine.dump(machine.survey(survey, target.problems)))
    else:
        printer = Printer()
        printer.print(lines.survey(survey))
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(survey.findings)))
