"""``bridgekit plan``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.engines import EngineOption, consult
from bridgekit.cli.exactness import ExactOption, is_exact
from bridgekit.cli.recorded import RecordingOption, settled_scope, waits_of
from bridgekit.cli.scoping import BridgeBelowOption, GoalOption, OnlyOption
from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    Framework,
    Granularity,
    GranularityOption,
    JsonOption,
    PathArgument,
    Target,
    TargetOption,
    explained,
    fail,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.preview import PlannedStep, outline, preview
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.planning.library import library_plan
from bridgekit_codemods.planning.recording import Gain, Gains, Wait
from bridgekit_codemods.planning.steps import Forecaster, Planner
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports import libraries, lines, machine, plans
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.waiting import Waiting
from bridgekit_codemods.walk.facts import Facts

FINDINGS_SHOWN = 25
"""Findings of each code that are printed; JSON has them all."""


def command(
    path: PathArgument,
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
    only: OnlyOption = None,
    goal: GoalOption = None,
    bridge_below: BridgeBelowOption = None,
    until: Annotated[str | None, typer.Option(help="Last step to show: number or key.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show the difference of each step.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            help="Explain one function instead: colour, reason, obstacles, tests.",
            metavar="FUNCTION",
        ),
    ] = None,
    recording: RecordingOption = None,
    library: Annotated[
        bool,
        typer.Option("--library", help="Plan an async twin beside the sync API of a library."),
    ] = False,
    exact: ExactOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every step to come, in order.  Nothing is written."""
    if diff and exact is False:
        fail("--forecast has no differences to show; leave it out, or --diff")
    if explain is not None and (library or recording is not None):
        fail("--explain goes with no other kind of plan")
    consult(path, engine)
    with explained():
        scope = settled_scope(path, only, goal, bridge_below)
        choices = Choices(client, framework, granularity, scope)
        if explain is not None:
            explain_function(path, choices, explain, as_json)
        if library:
            show_library(path, choices, as_json)
        waits = waits_of(recording) if recording is not None else None
        show(path, choices, until, diff, as_json, waits, True if diff else exact)


def show(
    path: PathArgument,
    choices: Choices,
    until: str | None,
    diff: bool,
    as_json: bool,
    waits: tuple[Wait, ...] | None = None,
    exact: bool | None = None,
) -> None:
    """Print the plan; ends the command with its exit code."""
    target = open_target(path)
    history = history_of(target.root)
    planner = planner_for(choices)
    printer = Printer()
    with Waiting("reading the program"):
        overview = planner.overview(target.sources)
        in_all = Gains(_program(planner, target), waits) if waits is not None else None
    if not as_json:
        printer.print(plans.overview(overview))
    steps: list[PlannedStep] = []
    gains: dict[int, Gain] = {}
    kept = history.kept_keys
    first = len(history.applied) + 1
    foreseeing = not is_exact(target, exact)
    if foreseeing and isinstance(planner, Forecaster):
        coming = outline(planner, target.sources, kept, until, first)
    else:
        foreseeing = False
        coming = preview(planner, target.sources, kept, until, first)
    with Waiting("looking for the first step") as waiting:
        for planned in waiting.printing(coming):
            steps.append(planned)
            if in_all is not None and not planned.objections:
                gains[planned.number] = in_all.step(planned.step.members)
            if not as_json:
                printer.print(plans.planned(planned, diff, gains.get(planned.number)))
            waiting.stage(f"looking for what comes after step {planned.number}")
    if until is not None and not any(_names(until, planned) for planned in steps):
        fail(f"--until {until}: the plan has no such step; give a number or a key of `plan`")
    with Waiting("looking for what stays as it is"):
        findings = planner.findings(target.sources, kept)
    if as_json:
        data = plans.plan(
            overview, steps, findings, target.problems, gains, in_all, exact=not foreseeing
        )
        print(machine.dump(data))
    else:
        if in_all is not None:
            printer.print(plans.gains(in_all))
        printer.print(lines.plan_summary(len(steps), findings, shown=FINDINGS_SHOWN))
        if foreseeing and steps:
            printer.line(
                "the steps are foreseen from one reading of the program; "
                "--exact takes each in memory and checks its result"
            )
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(steps or findings)))


def _program(planner: Planner, target: Target) -> Program:
    """The program; the planner's own if it has one, so that it is read once."""
    own = getattr(planner, "program", None)
    found = own(target.sources) if callable(own) else None
    return found if isinstance(found, Program) else Program.load(target.sources)


def explain_function(path: PathArgument, choices: Choices, name: str, as_json: bool) -> None:
    """Print what is known of one function; ends the command with its exit code."""
    target = open_target(path)
    facts = Facts(Program.load(target.sources), choices.scope)
    found = facts.of(facts.find(name))
    if as_json:
        print(machine.dump(plans.facts_json(found)))
    else:
        Printer().print(plans.facts(found))
    raise typer.Exit(target.code(False))


def show_library(path: PathArgument, choices: Choices, as_json: bool) -> None:
    """Print the plan of a library's async twin; ends the command with its exit code."""
    target = open_target(path)
    found = library_plan(Program.load(target.sources), choices.scope)
    if as_json:
        print(machine.dump(libraries.plan_json(found, target.problems)))
    else:
        printer = Printer()
        printer.print(libraries.plan(found))
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(found.twins)))


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
