"""What a program is called."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path


def program_name(root: Path, sources: Mapping[str, bytes]) -> str:
    """The project's name in its pyproject.toml, otherwise the name of its directory."""
    try:
        settings = tomllib.loads(sources.get("pyproject.toml", b"").decode())
        name = settings["project"]["name"]
    except (ValueError, KeyError, TypeError):
        name = None
    return name if isinstance(name, str) and name else root.resolve().name
