"""What the program's own `pyproject.toml` says about its migration: `[tool.bridgekit]`.

keep            patterns of dotted names that never change colour: a public API, say
bridge-below    the default of the option of that name

Settings are part of the program, so a plan is still a pure function of the program's bytes.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridgekit_codemods.planning.scope import BRIDGE_BELOW
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_FILE = "pyproject.toml"


@dataclass(frozen=True)
class Settings:
    """The settings as far as they can be understood, and what is wrong with the rest."""

    keep: tuple[str, ...]
    bridge_below: float
    findings: tuple[Finding, ...]
    kept: dict[Function, str]
    """The functions that never change colour, each with the pattern that says so."""


def settings(program: Program) -> Settings:
    """The settings of a program. Ask with `program.derived(settings)`. Never raises."""
    data = program.extra.get(_FILE)
    if data is None:
        return Settings((), BRIDGE_BELOW, (), {})
    text = data.decode("utf-8", "replace")
    try:
        table = tomllib.loads(text).get("tool", {}).get("bridgekit", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        reason = f"{_FILE} cannot be read, and so no function is kept sync by it: {error}"
        return Settings((), BRIDGE_BELOW, (_finding(1, reason, "correct the file"),), {})
    if not isinstance(table, dict):
        reason = "tool.bridgekit is no table"
        return Settings((), BRIDGE_BELOW, (_finding(1, reason, "make it a table"),), {})
    found: list[Finding] = []
    patterns = _patterns(table.get("keep", []), text, found)
    kept: dict[Function, str] = {}
    names = _names(program)
    for pattern in patterns:
        matched = [function for name, function in names if matches(pattern, name)]
        for function in matched:
            kept.setdefault(function, pattern)
        if not matched:
            found.append(
                _finding(
                    _line(text, pattern),
                    f"the pattern {pattern!r} of `keep` matches no function of the program",
                    "give dotted names as `plan --explain` prints them; * stands for any part",
                )
            )
    return Settings(patterns, _factor(table.get("bridge-below"), text, found), tuple(found), kept)


def matches(pattern: str, name: str) -> bool:
    """Says whether a dotted name is the pattern, lies below it, or fits its wildcards."""
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def _names(program: Program) -> list[tuple[str, Function]]:
    return [
        (function.qualname, function)
        for function in program.functions.values()
        if not program.files[function.path].is_test
    ]


def _patterns(value: object, text: str, found: list[Finding]) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return tuple(dict.fromkeys(value))
    found.append(
        _finding(_line(text, "keep"), "`keep` is no list of dotted names", 'keep = ["package.*"]')
    )
    return ()


def _factor(value: object, text: str, found: list[Finding]) -> float:
    if value is None:
        return BRIDGE_BELOW
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    found.append(
        _finding(
            _line(text, "bridge-below"), "`bridge-below` is no number of 0 or more",
            f"bridge-below = {BRIDGE_BELOW:g}",
        )
    )  # fmt: skip
    return BRIDGE_BELOW


def _line(text: str, word: str) -> int:
    """The first line below the table's head that holds the word."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[", line):
            inside = inside or "bridgekit" in line
        if inside and word in line:
            return number
    return 1


def _finding(line: int, reason: str, remedy: str) -> Finding:
    return Finding(_FILE, line, "BK314", reason, remedy)
