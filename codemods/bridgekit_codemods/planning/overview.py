"""What a plan says before its first step, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.weights import Weighed


@dataclass(frozen=True)
class Closure:
    """One kind of waiting and what hangs on it, tests left out."""

    kind: str
    seeds: int
    """Calls of libraries that wait for it."""
    waiting: int
    """Functions that wait for it, themselves or through others."""
    becoming_async: int
    """Functions that become async when the walk is limited to this kind."""
    views: int
    """Views and hooks among those."""


@dataclass(frozen=True)
class Barrier:
    """Something that keeps functions sync, in one place or several of its kind."""

    what: str
    """What it keeps sync: a kind of waiting, `views`, a `family` of overrides, `functions`."""
    code: str
    reason: str
    """That of the first place."""
    remedy: str
    path: str
    line: int
    places: int
    functions: int
    """Functions that wait for that kind, the views, the overrides, or those with the obstacle."""


@dataclass(frozen=True)
class Overview:
    """The scope of a plan in numbers."""

    scope: Scope = EVERYTHING
    closures: tuple[Closure, ...] = ()
    becoming_async: int = 0
    """Functions that the walk makes async, tests and what only a change of framework asks for
    left out."""
    weighed: tuple[Weighed, ...] = ()
    """Families of overrides, and whether each is flipped or bridged."""
    barriers: tuple[Barrier, ...] = ()
    """What keeps most of the program sync."""
    kept: tuple[str, ...] = ()
    """Functions that the program's settings keep sync although they wait."""
