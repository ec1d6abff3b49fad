"""Functions that an installed command calls: they stay sync, since its generated script does not
await.

Read from `pyproject.toml` (`[project.scripts]`, `[project.gui-scripts]`, Poetry's table) and from
`setup.cfg`, at any depth below the root.
"""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_GROUPS = ("console_scripts", "gui_scripts")


def script_functions(program: Program) -> dict[Function, str]:
    """The functions that commands name, each with the name of its command."""
    found: dict[Function, str] = {}
    for path, data in program.extra.items():
        name = PurePosixPath(path).name
        text = data.decode("utf-8", "replace")
        if name == "pyproject.toml":
            scripts = _of_pyproject(text)
        elif name == "setup.cfg":
            scripts = _of_setup(text)
        else:
            continue
        for command, target in scripts:
            function = _function(program, target)
            if function is not None:
                found.setdefault(function, command)
    return found


def _of_pyproject(text: str) -> Iterator[tuple[str, str]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # `settings` reports it
    for keys in (("project", "scripts"), ("project", "gui-scripts"), ("tool", "poetry", "scripts")):
        table: object = data
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        for command, target in table.items() if isinstance(table, dict) else ():
            if isinstance(target, str):
                yield command, target


def _of_setup(text: str) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return  # a file that setuptools cannot read installs no command
    for group in _GROUPS:
        for line in parser.get("options.entry_points", group, fallback="").splitlines():
            command, equals, target = line.partition("=")
            if equals:
                yield command.strip(), target.strip()


def _function(program: Program, target: str) -> Function | None:
    """The function of `package.module:name`; found by its file too, as packages may lack an
    `__init__.py`."""
    module, _, name = target.partition("[")[0].strip().partition(":")
    function = program.functions.get(f"{module}.{name}")
    if function is not None:
        return function
    inside = module.replace(".", "/")
    for candidate in program.functions.values():
        if candidate.name == name and candidate.parent is None and candidate.cls is None:
            stem = candidate.path.removesuffix(".py").removesuffix("/__init__")
            if stem == inside or stem.endswith(f"/{inside}"):
                return candidate
    return None
