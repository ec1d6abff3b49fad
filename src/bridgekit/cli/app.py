"""Puts the commands together."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS = (
    *("scan", "plan", "why", "migrate", "status", "show", "undo", "skip", "redo", "report"),
    *("catalog", "stubs"),
)
"""The commands in the order of the help; each is `command` of the module of that name."""
_SETTINGS = {"help_option_names": ["-h", "--help"]}


class Commands(TyperGroup):
    """Imports a command when it is asked for: what rewrites programs takes half a second to import,
    and the commands that only look do without."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None after having imported all of them for a suggestion."""
        wanted = (cmd_name,) if cmd_name in COMMANDS else COMMANDS
        for name in wanted:
            if name not in self.commands:
                single = typer.Typer(
                    add_completion=False, pretty_exceptions_enable=False, context_settings=_SETTINGS
                )
                module = importlib.import_module(f"bridgekit.cli.{name}")
                single.command(name)(module.command)
                self.commands[name] = typer.main.get_command(single)
        return self.commands.get(cmd_name)


app = typer.Typer(
    cls=Commands,
    name="bridgekit",
    help="Take a synchronous code base to async without stopping it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
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


def run() -> None:
    """Parse the arguments of the process and run the command they name."""
    app(prog_name="bridgekit")
