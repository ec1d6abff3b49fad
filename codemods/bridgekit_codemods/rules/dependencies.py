"""The distributions a program declares, edited in place: pyproject.toml and requirements files.

bridgekit itself is never added: how it is installed is the user's choice, and the name of its
import package belongs to another project on the public index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import Array

from bridgekit_codemods.program.program import Program

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.(txt|in)\Z")


def project_files(program: Program) -> dict[str, bytes]:
    """The files next to the code that declare its dependencies, as far as they were read."""
    return dict(program.extra)


def declares(path: str) -> bool:
    """Says whether `path` is a file in which a project declares what it needs."""
    name = PurePosixPath(path).name
    return name == "pyproject.toml" or bool(_REQUIREMENTS.match(name))


def changed_dependencies(
    files: Mapping[str, bytes], add: Iterable[str], drop: Iterable[str] = ()
) -> dict[str, bytes]:
    """The declaring files with `drop` taken out and `add` put in where anything was declared.

    Only files that declare one of `drop`, or (with nothing to drop) all top-level ones, are
    touched; a requirement that is there already in any version is left as it is.
    """
    add, drop = list(add), {_canonical(name) for name in drop}
    changes: dict[str, bytes] = {}
    for path, data in sorted(files.items()):
        if not declares(path):
            continue
        if PurePosixPath(path).name == "pyproject.toml":
            after = _pyproject(data, add, drop)
        else:
            after = _requirements(data, add, drop)
        if after != data:
            changes[path] = after
    return changes


def _canonical(requirement: str) -> str:
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def _pyproject(data: bytes, add: list[str], drop: set[str]) -> bytes:
    try:
        document = tomlkit.parse(data.decode("utf-8"))
    except (ParseError, UnicodeDecodeError):
        return data
    project = document.get("project")
    declared = project.get("dependencies") if project is not None else None
    if not isinstance(declared, Array):
        return data
    present = [_canonical(str(item)) for item in declared]
    if drop and not drop & set(present):
        return data
    before = declared.as_string()
    for index in reversed(range(len(declared))):
        if present[index] in drop:
            del declared[index]
    for requirement in add:
        if _canonical(requirement) not in present:
            if "\n" in before:
                declared.add_line(requirement)
            else:
                declared.append(requirement)
    return tomlkit.dumps(document).encode("utf-8")


def _requirements(data: bytes, add: list[str], drop: set[str]) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    if "--hash" in text:
        return data  # a lock file: its tool writes it
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    present = {_canonical(line) for line in lines if not line.lstrip().startswith(("#", "-"))}
    if drop and not drop & present:
        return data
    kept = [
        line
        for line in lines
        if line.lstrip().startswith(("#", "-")) or _canonical(line) not in drop
    ]
    kept += [item for item in add if _canonical(item) not in present]
    return (end.join(kept) + end).encode("utf-8", "surrogateescape")
