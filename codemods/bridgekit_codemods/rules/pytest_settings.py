"""Lets the project's pytest run `async def` tests: pytest-asyncio in auto mode, one loop a session.

One loop for all tests mirrors production, where clients and connection pools belong to the loop of
the process; with a loop per test they would be made and lost again and again.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping

import tomlkit
from tomlkit.items import Table

SETTINGS = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "session",
    "asyncio_default_test_loop_scope": "session",
}


def asynchronous_tests(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The pytest settings of the project with async tests switched on, as files to write.

    The file that pytest would read is the one that is changed: pytest.ini, then pyproject.toml,
    tox.ini, setup.cfg; a new pytest.ini where there is none.
    """
    for name, section in (
        ("pytest.ini", "pytest"),
        ("pyproject.toml", ""),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        if name not in files:
            continue
        data = files[name].decode()
        text = _toml(data) if name == "pyproject.toml" else _ini(data, section)
        if text is not None:
            return {name: text.encode()}
    lines = [f"{key} = {value}" for key, value in SETTINGS.items()]
    return {"pytest.ini": "\n".join(["[pytest]", *lines, ""]).encode()}


def _toml(text: str) -> str | None:
    document = tomlkit.parse(text)
    table = document.get("tool", {}).get("pytest", {}).get("ini_options")
    if not isinstance(table, Table):
        return None
    for key, value in SETTINGS.items():
        table[key] = value
    return tomlkit.dumps(document)


def _ini(text: str, section: str) -> str | None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    if not parser.has_section(section):
        return None
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == f"[{section}]")
    missing = [key for key in SETTINGS if not parser.has_option(section, key)]
    lines[start + 1 : start + 1] = [f"{key} = {SETTINGS[key]}" for key in missing]
    return "\n".join(lines) + "\n"
