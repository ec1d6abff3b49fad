"""What a scan finds as plain values, and back, field by field.

Reading raises ValueError, TypeError, LookupError or AttributeError for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from bridgekit_codemods.migration.checks import Problem
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.survey import EntryPoint, Leaf, Survey

_Row = TypeVar("_Row", Finding, Leaf, EntryPoint, Problem)


def rows(found: Iterable[_Row]) -> list[list[object]]:
    """The rows without the names of their fields."""
    names: list[str] | None = None
    table: list[list[object]] = []
    for row in found:
        names = names or [field.name for field in fields(row)]
        table.append([getattr(row, name) for name in names])
    return table


def read_rows(kind: type[_Row], value: Any) -> tuple[_Row, ...]:
    """The rows of one kind; the lines must be numbers and the rest texts or None."""
    names = [field.name for field in fields(kind)]
    line = names.index("line")
    found = []
    for row in value:
        if len(row) != len(names) or type(row[line]) is not int:
            raise ValueError(f"no {kind.__name__}: {row!r:.80}")
        if not all(n == line or item is None or type(item) is str for n, item in enumerate(row)):
            raise ValueError(f"no {kind.__name__}: {row!r:.80}")
        found.append(kind(*row))
    return tuple(found)


def survey(found: Survey) -> dict[str, object]:
    """The survey as JSON values."""
    return {
        "files": found.files,
        "functions": found.functions,
        "colours": dict(found.colours),
        "resolution": dict(found.resolution),
        "leaves": rows(found.leaves),
        "entry_points": rows(found.entry_points),
        "findings": rows(found.findings),
    }


def read_survey(value: Any) -> Survey:
    """The survey that such values came from."""
    return Survey(
        files=_number(value["files"]),
        functions=_number(value["functions"]),
        colours=_counts(value["colours"]),
        leaves=read_rows(Leaf, value["leaves"]),
        entry_points=read_rows(EntryPoint, value["entry_points"]),
        findings=read_rows(Finding, value["findings"]),
        resolution=_counts(value["resolution"]),
    )


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {name: _number(number) for name, number in value.items()}


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"no number: {value!r:.80}")
    return value
