"""``--engine``: a type checker's word on what the calls reach."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgekit.cli.target import PathArgument, fail, open_target
from bridgekit_codemods.engines import ENGINE_FILE, EngineError, find, forget, record
from bridgekit_codemods.program.source import read_sources
from bridgekit_codemods.reports.waiting import Waiting


class Engine(enum.StrEnum):
    """Which type checker is asked."""

    auto = "auto"
    ty = "ty"
    pyrefly = "pyrefly"
    none = "none"


EngineOption = Annotated[
    Engine | None,
    typer.Option(
        "--engine",
        help="Ask a type checker about calls whose target is not known; auto takes ty or else "
        "pyrefly where installed, none forgets what one said.",
        show_default=False,
    ),
]


def consult(path: PathArgument, engine: Engine | None) -> None:
    """Have the checker look at the program and record what it says, for everything that reads the
    program from then on.

    Ends the command when a checker that was asked for by name is missing or cannot be run.
    """
    if engine is None:
        return
    target = open_target(path)
    if engine is Engine.none:
        forget(target.root)
        return
    name = _chosen(engine)
    if name is None:
        forget(target.root)
        _note("neither ty nor pyrefly is installed; going on without a type checker")
        return
    try:
        with Waiting(f"asking {name}"):
            done = record(name, target.root, target.sources)
    except EngineError as error:
        if engine is not Engine.auto:
            fail(str(error))
        _note(f"{error}; going on without a type checker")
        return
    answers = done.answers
    print(
        f"{answers.engine} answered for {len(answers.calls)} calls in {done.seconds:.0f} s",
        file=sys.stderr,
    )


def told(sites: Sequence[Mapping[str, Any]]) -> str:
    """What came of the answers, in one line."""
    given = sum(any(t["confidence"] == "engine" for t in site["targets"]) for site in sites)
    disputed = sum(site["disputed"] is not None for site in sites)
    found = f"calls that got their targets from the type checker: {given}"
    if disputed:
        found += f"; that it contradicts, without effect: {disputed} (--json --calls lists them)"
    return found


def reader(engine: Engine | None) -> Callable[[Path], Mapping[str, bytes]]:
    """What reads the program during a walk: with a checker, its answers are as new as the files."""
    name = _chosen(engine) if engine not in (None, Engine.none) else None
    return read_sources if name is None else _Asking(name).read


class _Asking:
    """Asks again when the program's files are no longer those of the last time."""

    def __init__(self, name: str) -> None:
        self._name: str | None = name
        self._asked: dict[str, bytes] | None = None

    def read(self, root: Path) -> Mapping[str, bytes]:
        sources = read_sources(root)
        code = {path: data for path, data in sources.items() if path.endswith(".py")}
        new = code != self._asked
        if self._asked is None and ENGINE_FILE in sources:
            new = False  # what `consult` has just had recorded
        self._asked = code
        if self._name is None or not new:
            return sources
        try:
            record(self._name, root, sources)
        except EngineError as error:
            self._name = None
            _note(f"{error}; going on without a type checker")
        return read_sources(root)


def _chosen(engine: Engine | None) -> str | None:
    if engine is Engine.auto:
        return next((name for name in ("ty", "pyrefly") if find(name) is not None), None)
    return None if engine is None else engine.value


def _note(text: str) -> None:
    print(f"bridgekit: {text}", file=sys.stderr)
