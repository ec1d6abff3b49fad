"""What a command takes from earlier runs: a recording of waiting, the limits of the walk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridgekit.cli.scoping import scope_of
from bridgekit.cli.target import fail
from bridgekit_codemods.migration.continuing import recorded_scope
from bridgekit_codemods.migration.session import ledger_of
from bridgekit_codemods.planning.recording import RecordingError, Wait, read_recording

if TYPE_CHECKING:
    from bridgekit_codemods.planning.scope import Scope

RecordingOption = Annotated[
    Path | None,
    typer.Option(
        help="JSON lines of recorded waiting; each step then says how much of it it frees.",
        metavar="FILE",
        dir_okay=False,
    ),
]


def waits_of(recording: Path) -> tuple[Wait, ...]:
    """The waits of a recording; ends the command when it cannot be read."""
    try:
        return read_recording(recording.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecordingError) as error:
        fail(f"--recording {recording}: {error}")


def settled_scope(
    root: Path, only: list[str] | None, goals: list[str] | None, bridge_below: float | None
) -> Scope:
    """The scope of the options; without any, the one that the migration of ``root`` has.

    Ends the command when the options name what does not exist.
    """
    if only or goals or bridge_below is not None:
        return scope_of(only, goals, bridge_below)
    return recorded_scope(ledger_of(root))
