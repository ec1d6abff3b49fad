"""What a plan is made of: findings, steps, and the planner that yields them.

These are plain values.  A planner is a pure function of the program's bytes, so a plan can be
simulated in memory and a run can be resumed by planning again from the files as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from bridgekit_codemods.planning.overview import Overview


@dataclass(frozen=True)
class Finding:
    """A place that was left alone, or that stands in the way, and what to do about it."""

    path: str
    line: int
    code: str
    reason: str
    remedy: str
    function: str | None = None


@dataclass(frozen=True)
class Step:
    """A set of functions (or modules) that must change together, and the bytes that do it."""

    key: str
    """Stable over runs: kind and members, e.g. ``flip:app.clients.pricing.get_price``."""
    kind: str
    """``http-client``, ``select``, ``flip``, ``views``, ``quart``, ``tests``, ``fold``, ..."""
    title: str
    """One-line commit subject, imperative."""
    members: tuple[str, ...]
    changes: Mapping[str, bytes | None]
    """POSIX relative path to the new content; ``None`` deletes the file."""
    bridges_added: tuple[str, ...] = ()
    bridges_removed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    milestone: bool = False
    """Run the whole guard after this step in any case."""
    fault: str | None = None
    """Why the tool failed to work out the changes; there are none then."""


@dataclass(frozen=True)
class Bridges:
    """The bridges that a program crosses while it runs; those of its tests are left out."""

    to_thread: int = 0
    """Places where async code sends a call to a worker thread."""
    to_loop: int = 0
    """Places where sync code waits for a coroutine: the facades, and calls written by hand."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.to_thread + self.to_loop


NO_BRIDGES = Bridges()


@dataclass(frozen=True)
class Foreseen:
    """A step to come as far as it can be known without taking it: what it writes is not."""

    step: Step
    files: tuple[str, ...]
    """Those that change, as far as that is known without writing them."""
    bridges: Bridges
    """Those of the program after the step."""


@runtime_checkable
class Forecaster(Protocol):
    """Foresees all steps from one reading of the program."""

    def forecast(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Iterator[Foreseen]:
        """The steps to come, in order, under the keys that `next_step` gives them."""
        ...


class Planner(Protocol):
    """Decides what comes next.  Pure: the same arguments give the same answer."""

    def next_step(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Step | None:
        """The next step for the current program, never one whose key was kept back."""
        ...

    def findings(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> tuple[Finding, ...]:
        """What stays as it is in the current program, and why."""
        ...

    def verify(self, step: Step, sources_after: Mapping[str, bytes]) -> tuple[str, ...]:
        """Messages of a static check of the program after ``step``; empty when it is fine."""
        ...

    def bridges(self, sources: Mapping[str, bytes]) -> Bridges:
        """The bridges that these sources cross while they run."""
        ...

    def overview(self, sources: Mapping[str, bytes]) -> Overview:
        """The scope of the walk in numbers.

        Raises:
            ScopeError: a goal of the scope names nothing.
        """
        ...
