"""Brings a program's source and an interpreter with what its suite needs into a directory."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.programs.entries import Entry, Repository, SourceDistribution

ROOT = Path(__file__).resolve().parents[2]
Source: TypeAlias = Repository | SourceDistribution
_ASYNC_TESTS = "pytest-asyncio>=1.2"


class SetupError(Exception):
    """A program cannot be brought here; the message says why."""


@dataclass(frozen=True)
class Workplace:
    """A program as a clean git work tree, and the interpreter that runs its suite."""

    program: Path
    python: Path


def set_up(entry: Entry, directory: Path, repositories: Mapping[str, Path]) -> Workplace:
    """Bring the program into `directory`, which keeps sources and interpreters for the next run.

    `repositories` are git directories by program name that stand for what would be cloned.

    Raises:
        SetupError: the source or what the suite needs cannot be had.
    """
    directory.mkdir(parents=True, exist_ok=True)
    source = bring(entry.name, entry.source, directory, repositories)
    program = directory / "programs" / entry.name
    shutil.rmtree(program, ignore_errors=True)
    shutil.copytree(source / entry.inside, program, symlinks=True)
    for path, text, instead in entry.prepared:
        before = (program / path).read_text(encoding="utf-8")
        if before.count(text) != 1:
            raise SetupError(f"{path} of {entry.name} does not hold {text!r} once")
        (program / path).write_text(before.replace(text, instead), encoding="utf-8")
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    run(["git", "init", "-q", "-b", "main"], program)
    run(["git", "add", "-A"], program)
    run(["git", *identity, "commit", "-q", "-m", "As it was published"], program)
    return Workplace(program, _interpreter(entry, directory))


def bring(name: str, source: Source, directory: Path, repositories: Mapping[str, Path]) -> Path:
    """The directory with the source of that name, fetched where it is not there yet.

    Raises:
        SetupError: it cannot be had.
    """
    place = directory / "sources" / name
    if not place.exists():
        fetched = directory / "sources" / f"{name}.part"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir(parents=True)
        _fetch(source, fetched, repositories.get(name))
        fetched.rename(place)
    return place


def run(
    command: Sequence[str | Path], cwd: Path, seconds: float = 1200
) -> subprocess.CompletedProcess[str]:
    """Run to the end, without pytest settings of whoever calls.

    Raises:
        SetupError: it did not succeed.
    """
    words = [str(word) for word in command]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SetupError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done


def _fetch(source: Source, directory: Path, repository: Path | None) -> None:
    match source:
        case Repository(url=url, commit=commit):
            if repository is None:
                repository = directory.with_suffix(".git")
                if not repository.exists():
                    run(["git", "clone", "-q", "--bare", url, repository], directory)
            archive = subprocess.run(
                ["git", f"--git-dir={repository}", "archive", "--format=tar", commit],
                capture_output=True,
                check=False,
            )
            if archive.returncode:
                raise SetupError(archive.stderr.decode("utf-8", "replace").strip())
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
                files.extractall(directory, filter="data")
        case distribution:
            pin = f"{distribution.project}=={distribution.version}"
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q"]
            run([*pip, "--no-deps", "--no-binary", distribution.project, pin], directory)
            (packed,) = directory.glob("*.tar.gz")
            with tarfile.open(packed) as files:
                files.extractall(directory, filter="data")
            packed.unlink()
            (unpacked,) = directory.iterdir()
            for path in unpacked.iterdir():
                path.rename(directory / path.name)


def _interpreter(entry: Entry, directory: Path) -> Path:
    place = directory / "interpreters" / entry.name
    python = place / "bin" / "python"
    requirements = (*entry.requirements, _ASYNC_TESTS)
    wanted = "\n".join((*requirements, *entry.extras))
    done = place / "requirements"
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(place, ignore_errors=True)
        run([sys.executable, "-m", "venv", place], directory)
        own = f"{ROOT}[{','.join(entry.extras)}]"
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        run([*pip, *requirements, "-e", own], directory)
        done.write_text(wanted, encoding="utf-8")
    return python
