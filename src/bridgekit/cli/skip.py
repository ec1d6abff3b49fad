"""``bridgekit skip``."""

from __future__ import annotations

from typing import Annotated

import typer

from bridgekit.cli.naming import PathOrName, path_and_name, step_to_come
from bridgekit.cli.recorded import settled_scope
from bridgekit.cli.target import (
    Choices,
    Client,
    ClientOption,
    Framework,
    Granularity,
    GranularityOption,
    TargetOption,
    explained,
    open_target,
    planner_for,
)
from bridgekit_codemods.migration.choosing import find, skip
from bridgekit_codemods.migration.errors import RefusedError
from bridgekit_codemods.migration.session import history_of, open_session
from bridgekit_codemods.reports.lines import short
from bridgekit_codemods.reports.terminal import Printer


def command(
    path: PathOrName = ".",
    step: Annotated[
        str | None, typer.Argument(help="Number or key of a step to come.", metavar="STEP")
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why; `status` and `report` show it.", metavar="TEXT")
    ] = "left out on request",
    client: ClientOption = Client.httpx,
    framework: TargetOption = Framework.quart,
    granularity: GranularityOption = Granularity.module,
) -> None:
    """Leave a step out that has not been tried; the walk goes on around it."""
    root, wanted = path_and_name(path, step, "the step: a number or a key of `plan`")
    with explained():
        target = open_target(root)
        history = history_of(target.root)
        if find(history, wanted) is not None:
            raise RefusedError(
                f"{wanted} is done or kept back already; `bridgekit undo --keep` takes a step back "
                "for good"
            )
        scope = settled_scope(target.root, None, None, None)
        planner = planner_for(Choices(client, framework, granularity, scope))
        first = len(history.applied) + 1
        planned = step_to_come(planner, target, history.kept_keys, first, wanted)
        with open_session(target.root) as session:
            skip(session, planned.step, reason)
    Printer().line(f"skipped  {planned.step.title}  [{short(planned.step.key)}]")
