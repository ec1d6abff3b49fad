"""``bridgekit plan``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    Framework,
    Granularity,
    GranularityOption,
    JsonOption,
    PathArgument,
    TargetOption,
    explained,
    fail,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.preview import PlannedStep, preview
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer


def command(
    path: PathArgument,
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
    until: Annotated[str | None, typer.Option(help="Last step to show: number or key.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show the difference of each step.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every step to come, in order.  Nothing is written."""
    with explained():
        show(path, Choices(client, framework, granularity), until, diff, as_json)


def show(
    path: PathArgument, choices: Choices, until: str | None, diff: bool, as_json: bool
) -> None:
    """Print the plan; ends the command with its exit code."""
    target = open_target(path)
    history = history_of(target.root)
    planner = planner_for(choices)
    printer = Printer()
    steps: list[PlannedStep] = []
    kept = history.kept_keys
    first = len(history.applied) + 1
    for planned in preview(planner, target.sources, kept, until, first):
        steps.append(planned)
        if not as_json:
            printer.print(lines.planned(planned, diff))
    if until is not None and not any(_names(until, planned) for planned in steps):
        fail(f"--until {until}: the plan has no such step; give a number or a key of `plan`")
    findings = planner.findings(target.sources, kept)
    if as_json:
        print(machine.dump(machine.plan(steps, findings, target.problems)))
    else:
        printer.print(lines.plan_summary(len(steps), findings))
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(steps or findings)))


def _names(until: str, planned: PlannedStep) -> bool:
    return until in {str(planned.number), planned.step.key}


def known_step(path: PathArgument, choices: Choices, until: str) -> None:
    """End the command if no step of the walk, done or to come, has that key.

    Numbers are taken as they are: a walk that has fewer steps just ends.
    """
    if until.isdecimal():
        return
    target = open_target(path)
    history = history_of(target.root)
    if any(entry.step.key == until for entry in history.applied):
        return
    steps = preview(planner_for(choices), target.sources, history.kept_keys, until)
    if not any(_names(until, planned) for planned in steps):
        fail(f"--until {until}: the plan has no such step; give a number or a key of `plan`")
