"""Puts the commands together."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from bridgekit.cli import catalog, migrate, plan, report, scan, status, stubs, undo

app = typer.Typer(
    name="bridgekit",
    help="Take a synchronous code base to async without stopping it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and end.", is_eager=True)
    ] = False,
) -> None:
    """Take a synchronous code base to async without stopping it."""
    if version:
        print(f"bridgekit {metadata.version('bridgekit-async')}")
        raise typer.Exit


app.command("scan")(scan.command)
app.command("plan")(plan.command)
app.command("migrate")(migrate.command)
app.command("status")(status.command)
app.command("undo")(undo.command)
app.command("report")(report.command)
app.command("catalog")(catalog.command)
app.command("stubs")(stubs.command)


def run() -> None:
    """Parse the arguments of the process and run the command they name."""
    app(prog_name="bridgekit")
