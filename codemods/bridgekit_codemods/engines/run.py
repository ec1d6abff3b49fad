"""Runs a type checker over the program, in a process of its own and with a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridgekit_codemods.engines import pyrefly, ty
from bridgekit_codemods.engines.answers import ENGINE_FILE, Answers
from bridgekit_codemods.engines.server import Server, ServerError

LIMIT = 600.0
"""Seconds that a checker may take."""


class EngineError(Exception):
    """The checker could not be run, or what it wrote could not be read."""


class MissingEngineError(EngineError):
    """The checker is not installed."""


@dataclass(frozen=True)
class EngineRun:
    """A finished run, with what was recorded in `file`."""

    answers: Answers
    seconds: float
    file: Path


def record(name: str, root: Path, sources: Mapping[str, bytes], limit: float = LIMIT) -> EngineRun:
    """Ask the checker `name`, and write its answers to `.bridgekit/engine.json`.

    Raises `EngineError`, and then leaves no record: another run's answers were not asked for.
    """
    started = time.monotonic()
    forget(root)
    answers = ask(name, root, sources, limit)
    file = root / ENGINE_FILE
    file.parent.mkdir(exist_ok=True)
    ignore = file.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    file.write_text(answers.dump(sources), encoding="utf-8")
    return EngineRun(answers, time.monotonic() - started, file)


def ask(name: str, root: Path, sources: Mapping[str, bytes], limit: float = LIMIT) -> Answers:
    """What the checker `name` says of the program below `root`, whose files are `sources`.

    Raises `EngineError`.
    """
    program = find(name)
    if program is None:
        raise MissingEngineError(
            f"{name} is not installed; install it (python -m pip install {name}), "
            "or leave out --engine"
        )
    answers = ENGINES[name](program, root, sources, limit)
    answers.engine = _version(program, limit)
    return answers


def forget(root: Path) -> None:
    """Take away the record of an earlier run, if there is one."""
    (root / ENGINE_FILE).unlink(missing_ok=True)


def find(name: str) -> str | None:
    """The checker's program: that of the environment which runs bridgekit, or else on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def interpreter(root: Path) -> str:
    """The interpreter whose libraries the program is checked with: the active environment's, that
    of an environment in `root`, or the one that runs bridgekit, as it runs the tests."""
    homes = [Path(active)] if (active := os.environ.get("VIRTUAL_ENV")) else []
    for home in (*homes, root / ".venv", root / "venv"):
        for inner in ("bin/python", "Scripts/python.exe"):
            if (home / inner).is_file():
                return str(home / inner)
    return sys.executable


def _pyrefly(program: str, root: Path, sources: Mapping[str, bytes], limit: float) -> Answers:
    with tempfile.TemporaryDirectory(prefix="bridgekit-engine-") as directory:
        out = Path(directory, "report")
        words = [program, *pyrefly.arguments(root, interpreter(root), out)]
        said = _run(words, root, limit)
        if not (
            out / pyrefly.INDEX
        ).is_file():  # its exit code only says that there are type errors
            raise EngineError(
                f"pyrefly wrote no report: {said.strip()[-500:] or 'it said nothing'}"
            )
        try:
            return pyrefly.read(out, root, sources)
        except pyrefly.FormatError as error:
            raise EngineError(
                f"cannot read the report of this version of pyrefly ({error}); "
                "versions 1.4 and later of pyrefly 1 are known"
            ) from error


def _ty(program: str, root: Path, sources: Mapping[str, bytes], limit: float) -> Answers:
    python = Path(interpreter(root))
    options = {"configuration": {"environment": {"python": str(python.parent.parent)}}}
    try:
        with Server([program, "server"], root, limit, os.environ, options) as server:
            return ty.read(server, root, sources)
    except ServerError as error:
        raise EngineError(f"ty: {error}") from error


def _run(words: list[str], root: Path, limit: float) -> str:
    try:
        done = subprocess.run(
            words,
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
    except OSError as error:
        raise EngineError(f"cannot run {words[0]}: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{Path(words[0]).name} took longer than {limit:.0f} s") from error
    return done.stderr or done.stdout


def _version(program: str, limit: float) -> str:
    return _run([program, "--version"], Path.cwd(), limit).strip()


ENGINES: dict[str, Callable[[str, Path, Mapping[str, bytes], float], Answers]] = {
    "pyrefly": _pyrefly,
    "ty": _ty,
}
