"""The program a command works on, and how its failures become messages and exit codes."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.extensions import extensions
from bridgekit_codemods.catalog.store import Extension
from bridgekit_codemods.migration.checks import Problem, problems
from bridgekit_codemods.migration.errors import BaselineError, MigrationError
from bridgekit_codemods.planning.scope import EVERYTHING, Scope, ScopeError
from bridgekit_codemods.planning.steps import Planner
from bridgekit_codemods.program.source import read_sources


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    DONE = 0
    """Nothing to do, or all done."""
    FINDINGS = 1
    """Findings, steps to come, steps kept back, or a guard that is red before the first step."""
    USAGE = 2
    """The command cannot start like this; nothing was changed."""
    UNREADABLE = 3
    """Some files could not be processed; the rest was."""


class Client(enum.StrEnum):
    """The HTTP library of the migrated program."""

    httpx = "httpx"
    httpx2 = "httpx2"


class Granularity(enum.StrEnum):
    """How much one step changes."""

    function = "function"
    module = "module"
    layer = "layer"


class Framework(enum.StrEnum):
    """Where the walk ends."""

    quart = "quart"
    flask = "flask"


@dataclass(frozen=True)
class Choices:
    """What the user chose of the walk itself."""

    client: Client = Client.httpx
    target: Framework = Framework.quart
    granularity: Granularity = Granularity.module
    scope: Scope = EVERYTHING


PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="Root of the program.", show_default=False)
]
ClientOption = Annotated[Client, typer.Option("--client", help="HTTP library to migrate to.")]
TargetOption = Annotated[
    Framework, typer.Option("--target", help="Framework at which to end; flask keeps Flask.")
]
GranularityOption = Annotated[
    Granularity,
    typer.Option(
        "--granularity",
        help="What one step makes async: a function, those of a module "
        "that are ready, or a whole layer of the call graph.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@dataclass(frozen=True)
class Target:
    """A readable program."""

    root: Path
    sources: Mapping[str, bytes]
    additions: tuple[Extension, ...] = ()
    """What the program and installed packages add to the catalog."""

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """The files that cannot be parsed. Whoever knows them already need not ask."""
        return problems(self.sources)

    def code(self, findings: bool) -> Exit:
        """The exit code of a command that looked for findings."""
        return code_of(findings, self.problems)


def code_of(findings: bool, unreadable: Collection[Problem]) -> Exit:
    """The exit code; files that could not be processed outweigh findings."""
    if unreadable:
        return Exit.UNREADABLE
    return Exit.FINDINGS if findings else Exit.DONE


def open_target(path: Path) -> Target:
    """Read the program at ``path``, and what it adds to the catalog; ends the command when there is
    none, or when that is not well-formed."""
    root = existing(path)
    sources = read_sources(root)
    if not any(name.endswith(".py") for name in sources):
        fail(f"there is no Python file in {path}")
    return Target(root, sources, use_catalog(root, sources.get("pyproject.toml", b"")))


def use_catalog(root: Path, settings: bytes) -> tuple[Extension, ...]:
    """Answer with what the program at ``root`` adds to the catalog from now on, and say it."""
    try:
        found = extensions(root, settings)
        catalog.use(found)
    except catalog.CatalogError as error:
        fail(str(error))
    return found


def existing(path: Path) -> Path:
    """``path`` resolved; ends the command when it is no directory."""
    if not path.exists():
        fail(f"there is no such path: {path}")
    if not path.is_dir():
        fail(f"{path} is a file; give the directory that holds the program")
    return path.resolve()


def planner_for(choices: Choices) -> Planner:
    """Assemble the planner, which is dear to import, only when a command needs it."""
    from bridgekit_codemods.walk.planner import build_planner

    planner: Planner = build_planner(
        client=choices.client.value,
        target=choices.target.value,
        granularity=choices.granularity.value,
        scope=choices.scope,
    )
    return planner


def fail(message: str, code: Exit = Exit.USAGE) -> NoReturn:
    """End the command with one message on standard error."""
    print(f"bridgekit: {message}", file=sys.stderr)
    raise typer.Exit(code)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what a migration raises on purpose into a message and an exit code."""
    try:
        yield
    except BaselineError as error:
        print(error.output, file=sys.stderr)
        fail(str(error), Exit.FINDINGS)
    except (MigrationError, ScopeError) as error:
        fail(str(error))
