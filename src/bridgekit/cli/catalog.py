"""``bridgekit catalog``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated

import typer

from bridgekit.cli.target import JsonOption, existing, fail, use_catalog
from bridgekit_codemods.catalog.listing import entries, summaries


def command(
    library: Annotated[
        str | None, typer.Argument(metavar="LIBRARY", help="Library to list.", show_default=False)
    ] = None,
    program: Annotated[
        Path, typer.Option("--program", metavar="PATH", help="Program that adds to the catalog.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """List the libraries whose calls bridgekit knows, or the blocking calls of one."""
    root = existing(program)
    settings = root / "pyproject.toml"
    use_catalog(root, settings.read_bytes() if settings.is_file() else b"")
    found = summaries() if library is None else entries(library)
    if library is not None and not found:
        names = [summary.name for summary in summaries()]
        near = difflib.get_close_matches(library, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        fail(f"the catalog has no library {library!r}{hint}")
    if as_json:
        print(json.dumps([item._asdict() for item in found], indent=2))
        return
    if library is None:
        for summary in summaries():
            print(f"{summary.blocking:5}  {summary.name}")
        return
    for effect in entries(library):
        parts = [effect.dotted, f"waits for {effect.blocks}"]
        if effect.confidence != "sure":
            parts.append(effect.confidence)
        if effect.twin is not None:
            parts.append(f"async: {effect.twin}")
        if effect.rule is not None:
            parts.append(effect.rule)
        print("  ".join(parts))
