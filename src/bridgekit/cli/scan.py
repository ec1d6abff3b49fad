"""``bridgekit scan``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bridgekit.cli.engines import Engine, EngineOption, consult, told
from bridgekit.cli.keeping import NoCacheOption, scanned, store_of
from bridgekit.cli.target import JsonOption, PathArgument, code_of, fail, open_target
from bridgekit.cli.tracing import CallsOption, TraceOption, traced
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.naming import program_name
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.tree import tree as drawn
from bridgekit_codemods.reports.waiting import Waiting

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
    engine: EngineOption = None,
    no_cache: NoCacheOption = False,
) -> None:
    """Show what blocks, which functions that colours, and what stands in the way."""
    if as_json and tree:
        fail("--json prints JSON and nothing else: leave out --tree")
    if calls and not as_json:
        fail("--calls goes with --json")
    consult(path, engine)
    target = open_target(path)
    if trace is not None:
        target = traced(target, trace)
    printer = Printer()
    wants_tree = not as_json and (printer.is_terminal if tree is None else tree)
    with Waiting("resolving calls") as waiting:
        store = store_of(target, no_cache)
        listed = calls or engine is not None
        found = scanned(target, store, tree=wants_tree, calls=listed, tell=waiting.stage)
    if engine not in (None, Engine.none) and found.sites is not None:
        print(told(found.sites), file=sys.stderr)
    if as_json:
        shown = machine.survey(found.survey, found.problems)
        print(machine.dump(shown | {"calls": found.sites} if calls else shown))
    else:
        if found.tree is not None:
            printer.show(drawn(found.tree, program_name(target.root, target.sources)))
            printer.line("")
        printer.print(lines.survey(found.survey))
        printer.print(lines.problems(found.problems))
    raise typer.Exit(code_of(bool(found.survey.findings), found.problems))
