"""The distributions a program declares, edited in place: pyproject.toml and requirements files.

bridgekit itself is never added: how it is installed is the user's choice, and the name of its
import package belongs to another project on the public index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import Array

from bridgekit_codemods.program.program import Program

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_HELD = re.compile(r"(==|<=?|~=)\s*(\d+(?:\.\d+)*)")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.(txt|in)\Z")

_TOP = frozenset({"pyproject.toml", "requirements.txt"})


def project_files(program: Program) -> dict[str, bytes]:
    """The files next to the code that declare its dependencies, as far as they were read."""
    return dict(program.extra)


def declares(path: str) -> bool:
    """Says whether `path` is a file in which a project declares what it needs."""
    name = PurePosixPath(path).name
    return name == "pyproject.toml" or bool(_REQUIREMENTS.match(name))


def changed_dependencies(
    files: Mapping[str, bytes],
    add: Iterable[str],
    drop: Iterable[str] = (),
    beside: Iterable[str] = (),
) -> dict[str, bytes]:
    """The declaring files with `drop` taken out and `add` put in.

    Changed are the files that declare one of `drop` or `beside`; if neither is given, the ones at
    the top of the project. A requirement that is there already in any version is left as it is.
    """
    added, dropped = list(add), {_canonical(name) for name in drop}
    anchors = dropped | {_canonical(name) for name in beside}
    changes: dict[str, bytes] = {}
    for path, data in sorted(files.items()):
        if not declares(path) or (not anchors and path not in _TOP):
            continue
        edit = _pyproject if PurePosixPath(path).name == "pyproject.toml" else _requirements
        after = edit(data, added, dropped, anchors)
        if after != data:
            changes[path] = after
    return changes


def pinned_below(
    files: Mapping[str, bytes], name: str, minimum: tuple[int, ...]
) -> Iterator[tuple[str, int, str]]:
    """Where the project holds a distribution below a release: path, line and the bound."""
    for path, data in sorted(files.items()):
        if not declares(path):
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            written = line.strip().strip("\"',[] ")
            if written.startswith("#") or _canonical(written) != _canonical(name):
                continue
            for operator, version in _HELD.findall(written.partition(";")[0]):
                parts = tuple(map(int, version.split(".")))
                if operator == "~=":
                    below = parts[:-1] < minimum[: len(parts) - 1]
                else:
                    below = parts < minimum or (operator == "<" and parts == minimum)
                if below:
                    yield path, number, f"{operator}{version}"


def beside_in_groups(files: Mapping[str, bytes], requirement: str, anchor: str) -> dict[str, bytes]:
    """pyproject.toml with `requirement` added to each extra or group that lists `anchor`."""
    changes: dict[str, bytes] = {}
    for path, data in sorted(files.items()):
        if PurePosixPath(path).name != "pyproject.toml":
            continue
        try:
            document = tomlkit.parse(data.decode("utf-8"))
        except (ParseError, UnicodeDecodeError):
            continue
        tables = (
            document.get("project", {}).get("optional-dependencies", {}),
            document.get("dependency-groups", {}),
        )
        for listed in (group for table in tables for group in table.values()):
            if not isinstance(listed, Array):
                continue
            present = {_canonical(item) for item in listed if isinstance(item, str)}
            if _canonical(anchor) in present and _canonical(requirement) not in present:
                if "\n" in listed.as_string():
                    listed.add_line(requirement)
                else:
                    listed.append(requirement)
        after = tomlkit.dumps(document).encode("utf-8")
        if after != data:
            changes[path] = after
    return changes


def _canonical(requirement: str) -> str:
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def _pyproject(data: bytes, add: list[str], drop: set[str], anchors: set[str]) -> bytes:
    try:
        document = tomlkit.parse(data.decode("utf-8"))
    except (ParseError, UnicodeDecodeError):
        return data
    project = document.get("project")
    declared = project.get("dependencies") if project is not None else None
    if not isinstance(declared, Array):
        return data
    present = [_canonical(str(item)) for item in declared]
    if anchors and not anchors & set(present):
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


def _requirements(data: bytes, add: list[str], drop: set[str], anchors: set[str]) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    if "--hash" in text:
        return data  # a lock file: its tool writes it
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    present = {_canonical(line) for line in lines if not line.lstrip().startswith(("#", "-"))}
    if anchors and not anchors & present:
        return data
    kept = [
        line
        for line in lines
        if line.lstrip().startswith(("#", "-")) or _canonical(line) not in drop
    ]
    kept += [item for item in add if _canonical(item) not in present]
    return (end.join(kept) + end).encode("utf-8", "surrogateescape")
