"""The result of a scan as plain values, for the reports to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridgekit_codemods.planning.steps import Finding


@dataclass(frozen=True)
class Leaf:
    """A call that blocks the calling thread, in the function that makes it."""

    path: str
    line: int
    function: str | None
    """Qualified name of the function, or ``None`` at module level."""
    target: str
    """Dotted name of what is called, e.g. ``requests.get``."""
    effect: str
    """What it waits for: ``http``, ``db``, ``sleep``, ``file``, ..."""


@dataclass(frozen=True)
class EntryPoint:
    """A function the outside calls: a view, a command, a hook, a thread's target, a test."""

    path: str
    line: int
    function: str
    kind: str


@dataclass(frozen=True)
class Survey:
    """What a program is made of, seen from the colour frontier."""

    files: int
    functions: int
    colours: Mapping[str, int] = field(default_factory=dict)
    """Number of functions per colour: ``pure``, ``blocking``, ``native``, ``unknown``."""
    leaves: tuple[Leaf, ...] = ()
    entry_points: tuple[EntryPoint, ...] = ()
    findings: tuple[Finding, ...] = ()
    resolution: Mapping[str, int] = field(default_factory=dict)
    """Number of call expressions by how surely it is known what they reach: a confidence,
    ``library`` for those that reach no function of the program, or ``unknown``."""
