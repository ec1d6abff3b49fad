"""What a guard's command line is: how it is split, found, and whether pytest is what it runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path


def default_command(tests: Collection[str]) -> list[str] | None:
    """pytest of this interpreter where there are ``tests``, else ``None``."""
    return [sys.executable, "-m", "pytest", "-q", "-x"] if tests else None


def split(command: str) -> list[str]:
    """Split a command line as a shell would, but without running one.

    Raises:
        ValueError: it is empty or a quotation is not closed.
    """
    words = shlex.split(command, posix=os.name != "nt")
    if not words:
        raise ValueError("the command is empty")
    return words


def resolve(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command to run: ``pytest`` that is not on the path becomes this interpreter's."""
    path = environment.get("PATH")
    if command[0] in {"pytest", "py.test"} and shutil.which(command[0], path=path) is None:
        return [sys.executable, "-m", "pytest", *command[1:]]
    return list(command)


def pytest_interpreter(command: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The interpreter that will run pytest, or ``None`` when that cannot be told."""
    path = environment.get("PATH")
    program = shutil.which(command[0], path=path)
    if program is None:
        return None
    name = Path(program).name.lower()
    if re.fullmatch(r"(python|pypy)[\d.]*(\.exe)?", name):
        after = list(command[1:])
        while after and after[0].startswith("-") and after[0] != "-m":
            after = after[2:] if after[0] in {"-X", "-W"} else after[1:]
        return [program] if after[:2] == ["-m", "pytest"] else None
    if re.fullmatch(r"(pytest|py\.test)(\.exe)?", name):
        return _script_interpreter(Path(program), path)
    return None


def _script_interpreter(script: Path, path: str | None) -> list[str] | None:
    sibling = script.with_name("python.exe")
    if script.suffix == ".exe":
        return [str(sibling)] if sibling.exists() else None
    with open(script, "rb") as stream:
        lines = stream.read(2048).decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].startswith("#!"):
        return None
    words = lines[0][2:].split()
    if words and Path(words[0]).name == "sh" and len(lines) > 1:
        # The form installers write when the interpreter's path is too long or has a space.
        found = re.match(r"'''exec' (\"[^\"]+\"|\S+)", lines[1])
        return [found.group(1).strip('"')] if found else None
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
        found_program = shutil.which(words[0], path=path) if words else None
        return [found_program] if found_program else None
    return words or None
