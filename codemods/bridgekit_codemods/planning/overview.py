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
class Overview:
    """The scope of a plan in numbers."""

    scope: Scope = EVERYTHING
    closures: tuple[Closure, ...] = ()
    becoming_async: int = 0
    """Functions that the walk makes async, tests and what only a change of framework asks for
    left out."""
    weighed: tuple[Weighed, ...] = ()
    """Families of overrides, and whether each is flipped or bridged."""
    kept: tuple[str, ...] = ()
    """Functions that the program's settings keep sync although they wait."""
