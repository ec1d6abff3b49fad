"""``bridgekit scan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridgekit.cli.target import JsonOption, PathArgument, Target, fail, open_target
from bridgekit.cli.tracing import CallsOption, TraceOption, traced
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.waiting import Waiting

if TYPE_CHECKING:
    from rich.tree import Tree

    from bridgekit_codemods.program.program import Program

TreeOption = Annotated[
    bool | None,
    typer.Option(
        "--tree/--no-tree",
        help="Show packages and modules as a tree; by default on a terminal.",
        show_default=False,
    ),
]


def command(
    path: PathArgument,
    tree: TreeOption = None,
    as_json: JsonOption = False,
    trace: TraceOption = None,
    calls: CallsOption = False,
) -> None:
    """Show what blocks, which functions that colours, and what stands in the way."""
    if as_json and tree:
        fail("--json prints JSON and nothing else: leave out --tree")
    if calls and not as_json:
        fail("--calls goes with --json")
    target = open_target(path)
    if trace is not None:
        target = traced(target, trace)
    printer = Printer()
    shown = None
    sites: list[dict[str, Any]] = []
    from bridgekit_codemods.program import call_sites
    from bridgekit_codemods.walk import planner

    with Waiting("resolving calls") as waiting:
        if not as_json and (printer.is_terminal if tree is None else tree):
            own = planner.build_planner()
            survey = planner.build_survey(target.sources, own)
            waiting.stage("drawing the tree")
            shown = tree_of(target, own.program(target.sources))
        elif calls:
            own = planner.build_planner()
            survey = planner.build_survey(target.sources, own)
            sites = call_sites(own.program(target.sources))
        else:
            survey = planner.build_survey(target.sources)
    if as_json:
        found = machine.survey(survey, target.problems)
        print(machine.dump(found | {"calls": sites} if calls else found))
    else:
        if shown is not None:
            printer.show(shown)
            printer.line("")
        printer.print(lines.survey(survey))
        printer.print(lines.problems(target.problems))
    raise typer.Exit(target.code(bool(survey.findings)))


def tree_of(target: Target, program: Program) -> Tree:
    """The packages and modules of a program with the colours of their functions."""
    from bridgekit_codemods.reports.building import program_name
    from bridgekit_codemods.reports.collecting import collect
    from bridgekit_codemods.reports.tree import tree

    return tree(collect(program), program_name(target.root, target.sources))
