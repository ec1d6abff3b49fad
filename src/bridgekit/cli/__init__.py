"""The command line.  The commands need the ``migrate`` extra; the runtime never does."""

from __future__ import annotations

import sys
from typing import NoReturn

_EXTRA = {"typer", "rich", "libcst", "jinja2", "tomlkit"}


def main() -> None:
    """Run the command line; exits with a code documented in docs/cli.md."""
    try:
        from bridgekit.cli.app import run
    except ModuleNotFoundError as error:
        _explain(error)
    try:
        run()
    except ModuleNotFoundError as error:  # commands import what they need when they run
        _explain(error)


def _explain(error: ModuleNotFoundError) -> NoReturn:
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRA:
        raise error
    print(
        f'bridgekit: the commands need {missing}; install the "migrate" extra from a checkout of '
        'bridgekit-async: python -m pip install "PATH_OF_THE_CHECKOUT[migrate]"',
        file=sys.stderr,
    )
    raise SystemExit(2) from None
