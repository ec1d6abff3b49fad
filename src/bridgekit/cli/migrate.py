"""``bridgekit migrate``."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from bridgekit.cli.engines import EngineOption, consult, reader
from bridgekit.cli.plan import known_step, show
from bridgekit.cli.recorded import settled_scope
from bridgekit.cli.scoping import BridgeBelowOption, GoalOption, OnlyOption, scope_of
from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    Framework,
    Granularity,
    GranularityOption,
    PathArgument,
    Target,
    TargetOption,
    explained,
    fail,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.commands import default_command, split
from bridgekit_codemods.migration.continuing import settle_scope
from bridgekit_codemods.migration.guard import CommandGuard
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.runner import Runner
from bridgekit_codemods.migration.session import open_session
from bridgekit_codemods.reports import lines
from bridgekit_codemods.reports.terminal import Printer, progress


def command(
    path: PathArgument,
    guard: Annotated[
        str | None,
        typer.Option(help="Test command that must pass after every step.", metavar="COMMAND"),
    ] = None,
    guard_timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds after which a guard run counts as red; by default 600, and once the "
            "suite's time is known ten times that, but at least 60.",
            min=0.1,
            show_default=False,
        ),
    ] = None,
    guard_output: Annotated[
        bool, typer.Option("--guard-output", help="Show what the guard prints while it runs.")
    ] = False,
    baseline_runs: Annotated[
        int, typer.Option(help="How often the guard runs before the first step.", min=1)
    ] = GuardPolicy.baseline_runs,
    allow_red: Annotated[
        list[str] | None,
        typer.Option(
            help="Tests that are red before the first step and may be: left out of the guard.",
            metavar="PATTERN",
        ),
    ] = None,
    whole_suite: Annotated[
        bool, typer.Option("--whole-suite", help="Run all tests after every step.")
    ] = False,
    whole_every: Annotated[
        int, typer.Option(help="Run all tests at least after so many steps.", min=1)
    ] = GuardPolicy.whole_every,
    allow_unguarded: Annotated[
        bool,
        typer.Option("--allow-unguarded", help="Take steps whose functions no test runs."),
    ] = GuardPolicy.allow_unguarded,
    write: Annotated[
        bool, typer.Option("--write/--dry-run", help="Apply the steps, or only show them.")
    ] = False,
    until: Annotated[str | None, typer.Option(help="Last step: number or key.")] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again the steps that were kept back.")
    ] = False,
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
    only: OnlyOption = None,
    goal: GoalOption = None,
    bridge_below: BridgeBelowOption = None,
    rescope: Annotated[
        bool,
        typer.Option(
            "--rescope",
            help="Go on with other limits than the migration was started with; without options, "
            "with none.",
        ),
    ] = False,
    engine: EngineOption = None,
) -> None:
    """Walk the program to async, step by step, with its tests green after every step."""
    consult(path, engine)
    with explained():
        if rescope:
            scope = scope_of(only, goal, bridge_below)
        else:
            scope = settled_scope(path, only, goal, bridge_below)
        choices = Choices(client, framework, granularity, scope)
        if not write:
            show(path, choices, until, diff=True, as_json=False)
        if until is not None:
            known_step(path, choices, until)
        target = open_target(path)
        words = _guard_command(guard, target)
        planner = planner_for(choices)
        planner.overview(target.sources)  # names what does not exist before anything changes
        signal.signal(signal.SIGTERM, _terminate)
        with open_session(target.root) as session, progress(Printer()) as observer:
            if note := settle_scope(session.ledger, scope, rescope):
                observer.note(note)
            tests = CommandGuard(
                words, target.root, session.state / "logs", guard_timeout,
                echo=sys.stderr.buffer if guard_output else None,
            )  # fmt: skip
            policy = GuardPolicy(
                baseline_runs, tuple(allow_red or ()), not whole_suite, whole_every,
                allow_unguarded,
            )  # fmt: skip
            runner = Runner(session, planner, tests, reader(engine), observer, policy)
            outcome = runner.run(until, retry)
    printer = Printer()
    printer.print(lines.kept(entry) for entry in outcome.kept)
    if outcome.findings:
        printer.line(
            f"{len(outcome.findings)} findings: `bridgekit report {path}` says what stays and why"
        )
    printer.print(lines.problems(target.problems))
    printer.line(
        f"{outcome.done_now} steps done now, {len(outcome.applied)} in all, "
        f"{len(outcome.kept)} kept back"
    )
    raise typer.Exit(target.code(bool(outcome.kept)))


def _guard_command(given: str | None, target: Target) -> list[str]:
    if given is not None:
        try:
            return split(given)
        except ValueError as error:
            fail(f"--guard: {error}")
    tests = [
        name
        for name in target.sources
        if name.rpartition("/")[2].startswith("test_") or name.endswith("_test.py")
    ]
    command = default_command(tests)
    if command is None:
        fail(f"there are no tests in {target.root}; name what proves a step with --guard COMMAND")
    return command


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C would, so that the current step is put back."""
    print("bridgekit: stopping; the step in progress is put back", file=sys.stderr)
    raise SystemExit(128 + number)
