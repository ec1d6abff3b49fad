"""Reads what `tracer` wrote: the functions that each call expression was seen to reach."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Place = tuple[str, int, int]
"""File, and the line and byte column where a call expression ends. No two of them end alike, but a
`with` or `class` statement may end there too, and calls something on its own."""
Start = tuple[int, int]
Definition = tuple[str, int]
"""File and first line, decorators included."""


@dataclass
class Seen:
    """What one call expression reached: functions of the program, and names of other things."""

    project: set[Definition] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)


Observed = dict[Place, dict[Start, Seen]]


def at(observed: Observed, place: Place, start: Start) -> Seen | None:
    """What the call expression with this end and start reached; None when it never ran.

    A method call whose dot is on another line is reported to start there, hence "not before".
    """
    found = [seen for begin, seen in observed.get(place, {}).items() if begin >= start]
    if not found:
        return None
    return Seen(set().union(*(s.project for s in found)), set().union(*(s.outside for s in found)))


def read(files: Iterable[Path]) -> Observed:
    """The calls of all runs together. Operators, loops and `with` are left out."""
    found: Observed = {}

    def seen(path: str, span: list[int], operation: str) -> Seen | None:
        if not operation.startswith(("CALL", "CACHE")) or None in span:
            return None
        line, end_line, column, end_column = span
        starts = found.setdefault((path, end_line, end_column), {})
        return starts.setdefault((line, column), Seen())

    for file in files:
        data = json.loads(file.read_text(encoding="utf-8"))
        for path, *span, operation, callee, first_line, _ in data["edges"]:
            entry = seen(path, span, operation)
            if entry is not None:
                entry.project.add((callee, first_line))
        for path, *span, operation, names in data["outside"]:
            entry = seen(path, span, operation)
            if entry is not None:
                entry.outside.update(names)
    return found
