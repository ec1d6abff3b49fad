"""``bridgekit report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridgekit.cli.exactness import ExactOption, is_exact
from bridgekit.cli.keeping import NoCacheOption, store_of
from bridgekit.cli.keeping import findings as findings_of
from bridgekit.cli.outputs import Format, deliver, pairs, writer
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
    code_of,
    explained,
    fail,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.planning.recording import Wait
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.waiting import Waiting

FormatOption = Annotated[
    list[Format] | None,
    typer.Option(
        "--format",
        help="Form of the report; may be repeated, one for each --output. "
        "By default what the name of the output ends in, otherwise text.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="Where to write; may be repeated. By default standard output, which is also -.",
    ),
]  # fmt: skip
WalkOption = Annotated[
    bool | None,
    typer.Option(
        "--plan/--no-plan",
        help="Also show the steps to come and the program after every step, which takes as long "
        "as planning. By default only for HTML.",
        show_default=False,
    ),
]


def command(
    path: PathArgument,
    formats: FormatOption = None,
    outputs: OutputOption = None,
    walk: WalkOption = None,
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
    only: OnlyOption = None,
    goal: GoalOption = None,
    bridge_below: BridgeBelowOption = None,
    recording: RecordingOption = None,
    exact: ExactOption = None,
    as_json: JsonOption = False,
    no_cache: NoCacheOption = False,
) -> None:
    """Show what was done, what was kept back, and what stays sync and why."""
    if as_json and (formats or outputs or walk or exact is not None or recording is not None):
        fail("--json prints the short report; --format json is the whole one")
    wanted = pairs(formats or [], outputs or [])
    waits = waits_of(recording) if recording is not None else None
    if waits is not None and walk is False:
        fail("--recording asks for the steps to come: leave out --no-plan")
    if exact is not None and walk is False:
        fail("--exact and --forecast are about the steps to come: leave out --no-plan")
    target = open_target(path)
    with explained():
        scope = settled_scope(target.root, only, goal, bridge_below)
    choices = Choices(client, framework, granularity, scope)
    if waits is not None or exact is not None:
        walk = True
    if all(form is Format.text for form, _ in wanted) and not walk:
        raise typer.Exit(brief(target, choices, [place for _, place in wanted], as_json, no_cache))
    if walk is None:
        walk = any(form is Format.html for form, _ in wanted)
    raise typer.Exit(full(target, choices, wanted, walk, waits, exact))


def brief(
    target: Target, choices: Choices, places: list[Path], as_json: bool, no_cache: bool
) -> int:
    """Print the history and the findings; returns the exit code."""
    with explained(), Waiting("looking for obstacles"):
        history = history_of(target.root)
        store = store_of(target, no_cache)
        findings, problems = findings_of(target, choices, history.kept_keys, store)
    found = [
        *lines.scope(choices.scope),
        *lines.report(history, findings),
        *lines.problems(problems),
    ]
    for place in places:
        if as_json:
            print(machine.dump(machine.report(history, findings, problems)))
        elif place == Path("-"):
            Printer().print(found)
        else:
            deliver(place, _joined(found))
    return code_of(bool(history.kept or findings), problems)


def full(
    target: Target,
    choices: Choices,
    wanted: list[tuple[Format, Path]],
    walk: bool,
    waits: Sequence[Wait] | None = None,
    exact: bool | None = None,
) -> int:
    """Write reports of the whole program; returns the exit code."""
    from bridgekit_codemods.reports.building import build_report

    with explained(), Waiting("reading the program") as waiting:
        history = history_of(target.root)
        report = build_report(
            target.root,
            target.sources,
            planner_for(choices),
            history,
            target.problems,
            walk=walk,
            exact=is_exact(target, exact),
            waits=waits,
            tell=waiting.stage,
        )
        texts = []
        for form, place in wanted:
            waiting.stage(f"writing {form}")
            if form is Format.text:
                found = [
                    *lines.scope(choices.scope),
                    *lines.report(history, report.findings),
                    *lines.to_come(report),
                    *lines.problems(target.problems),
                ]
                texts.append((place, _joined(found)))
            else:
                texts.append((place, writer(form)(report)))
    for place, text in texts:
        deliver(place, text)
    return target.code(bool(history.kept or report.findings))


def _joined(found: list[str]) -> str:
    text = "".join(f"{line}\n" for line in found)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
