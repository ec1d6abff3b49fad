"""``bridgekit show``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.naming import PathOrName, path_and_name, step_to_come
from bridgekit.cli.recorded import settled_scope
from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    Exit,
    Framework,
    Granularity,
    GranularityOption,
    JsonOption,
    Target,
    TargetOption,
    explained,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.choosing import find
from bridgekit_codemods.migration.ledger import History, Kept
from bridgekit_codemods.migration.past import difference, states
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports import machine, steps
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.waiting import Waiting
from bridgekit_codemods.walk.facts import Facts


def command(
    path: PathOrName = ".",
    step: Annotated[
        str | None, typer.Argument(help="Number or key of the step.", metavar="STEP")
    ] = None,
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
    as_json: JsonOption = False,
) -> None:
    """Show one step, done, kept back or to come: its reasons, its bridges and its difference."""
    root, wanted = path_and_name(path, step, "the step: a number or a key of `plan` or `status`")
    with explained(), Waiting("looking for the step"):
        target = open_target(root)
        history = history_of(target.root)
        scope = settled_scope(target.root, None, None, None)
        found = find(history, wanted)
        if isinstance(found, Kept):
            data, lines = steps.kept_json(found), steps.kept(found)
        elif found is not None:
            number, entry = found
            made = difference(target.root, history.applied, entry)
            why = _reasons_then(target, history, scope, number)
            data = steps.done_json(number, entry, made, why)
            lines = steps.done(number, entry, made, why)
        else:
            planner = planner_for(Choices(client, framework, granularity, scope))
            first = len(history.applied) + 1
            planned = step_to_come(planner, target, history.kept_keys, first, wanted)
            facts = Facts(Program.load(target.sources), scope)
            why = steps.reasons(facts, planned.step.members)
            data, lines = steps.to_come_json(planned, why), steps.to_come(planned, why)
    if as_json:
        print(machine.dump(data))
    else:
        Printer().print(lines)
    raise typer.Exit(Exit.DONE)


def _reasons_then(target: Target, history: History, scope: Scope, number: int) -> dict[str, str]:
    """Why the members of a step had to become async, as far as the program of then is known."""
    past = states(target.root, history.applied, target.sources)
    place = number - 1 - (len(history.applied) + 1 - len(past))
    if place < 0:
        return {}
    members = history.applied[number - 1].step.members
    return steps.reasons(Facts(Program.load(past[place]), scope), members)
