"""``bridgekit stubs``."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bridgekit.cli.target import Exit, fail
from bridgekit.stubs.modules import ModuleStub, StubError, stub_of


def command(
    module: Annotated[
        str,
        typer.Argument(
            metavar="MODULE",
            help="Dotted name of the module. It is really imported, with the current directory on "
            "the path, so its code runs.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write below this directory instead of beside the module."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; show how the file that is there differs."),
    ] = False,
) -> None:
    """Write the .pyi of a module that defines proxies or bridged functions."""
    if not all(part.isidentifier() for part in module.split(".")):
        fail(f"{module!r} is not the dotted name of a module")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        stub = stub_of(module)
    except StubError as error:
        fail(str(error), Exit.UNREADABLE)
    path = stub.path(out)
    if check:
        differs = _differs(stub, path)
        _print_notes(stub)
        raise typer.Exit(Exit.FINDINGS if differs else Exit.DONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stub.text, encoding="utf-8")
    print(f"written  {path}")
    _print_notes(stub)


def _differs(stub: ModuleStub, path: Path) -> bool:
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    if there == stub.text:
        return False
    lines = difflib.unified_diff(
        there.splitlines(keepends=True),
        stub.text.splitlines(keepends=True),
        str(path) if path.is_file() else os.devnull,
        f"bridgekit stubs {stub.module}",
    )
    sys.stdout.writelines(lines)
    return True


def _print_notes(stub: ModuleStub) -> None:
    """What became ``Any``, on standard error: the stub is complete all the same."""
    for note in stub.notes:
        print(note, file=sys.stderr)
