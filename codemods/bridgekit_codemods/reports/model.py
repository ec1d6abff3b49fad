"""What a report says, as plain values that every writer shares.

Functions, edges, leaves and findings refer to each other by index into the report's tuples, so a
report of a large program stays small and can be written as JSON as it is. All sequences are in a
stable order: the same program and the same history give an equal report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.recording import Gain
from bridgekit_codemods.planning.steps import Finding

COLOURS = ("pure", "blocking", "native")
NO_REMEDY = "none"
"""How the remedy of a finding begins that asks for nothing."""

StepState = Literal["done", "kept", "planned", "refused"]


@dataclass(frozen=True, slots=True)
class FunctionNode:
    """A function of the program, tests left out."""

    name: str
    """Qualified name, unique in the program."""
    module: str
    path: str
    line: int
    colour: str
    """``pure``, ``blocking`` or ``native``."""
    effects: tuple[str, ...] = ()
    """What a call of it may wait for: ``http``, ``db``, ... Empty unless it blocks."""
    entry: str | None = None
    """What calls it from outside: ``view or hook``, or the name of a library's API."""
    via: int | None = None
    """The function through which it blocks, on the shortest way; ``None`` if it does itself."""
    via_line: int | None = None
    """The line of that call."""
    leaves: tuple[int, ...] = ()
    """The blocking calls in its own body."""
    depth: int = 0
    """The longest chain of calls that leads to it; call cycles count as one function."""
    height: int = 0
    """The longest chain of calls that starts at it."""
    entries: int = 0
    """How many entry points reach it, itself included if it is one."""
    is_facade: bool = False
    """Whether it is the sync face of a coroutine function; it then counts as a bridge."""
    tests: tuple[int, ...] = ()
    """The tests in which it was seen to run; empty without a traced run."""

    @property
    def package(self) -> str:
        """The package of its module; the module itself where there is none."""
        return self.module.rpartition(".")[0] or self.module


@dataclass(frozen=True, slots=True)
class Edge:
    """At least one call from one function to another."""

    caller: int
    callee: int
    line: int
    """The first line that makes the call."""
    grade: str
    """The best evidence: ``exact``, ``method``, ..., ``guess``."""
    bridge: str | None = None
    """``thread`` or ``loop`` where the call crosses a bridge that is in the program."""
    waits: bool = False
    """Whether the caller blocks because the callee does."""
    evidence: str = ""
    """In a few words, why the call is taken to reach the callee."""


@dataclass(frozen=True, slots=True)
class LeafCall:
    """Something in a function's own body that blocks the calling thread."""

    function: int
    path: str
    line: int
    target: str
    """Dotted name of what is called; the attribute that is loaded; the async twin."""
    effect: str
    """What it waits for: ``http``, ``db``, ``sleep``, ``file``, ... or ``bridge``."""
    kind: Literal["call", "lazy load", "facade"] = "call"
    """A call of library code, an attribute that sends a query, or a wait for a coroutine."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A call of library code that may block although nothing is known of it for sure."""

    function: int
    path: str
    line: int
    target: str
    """Dotted name of what is called."""
    effect: str
    """What it would wait for, or ``unknown``."""
    reason: str


@dataclass(frozen=True, slots=True)
class BlockingPath:
    """The shortest way from an entry point to a function that blocks by itself."""

    functions: tuple[int, ...]
    """From the entry point to the function that makes the blocking calls, both included."""
    lines: tuple[int, ...]
    """The line of every call on the way: one fewer than functions."""


@dataclass(frozen=True, slots=True)
class HotFile:
    """A file, and how much of the blocking passes through it."""

    path: str
    functions: int
    blocking: int
    calls: int
    """Blocking calls in it."""
    findings: int
    entries: int
    """Entry points that reach a blocking function of it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Functions per colour, and calls that cross a bridge, of one state of the program.

    A sync facade is no function of its own here: the coroutine function behind it counts."""

    pure: int = 0
    blocking: int = 0
    native: int = 0
    bridges: int = 0

    @property
    def functions(self) -> int:
        return self.pure + self.blocking + self.native


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step of the walk: done, kept back, to come, or refused by the static checks."""

    number: int
    key: str
    kind: str
    title: str
    state: StepState
    members: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    bridges_added: tuple[str, ...] = ()
    bridges_removed: tuple[str, ...] = ()
    commit: str | None = None
    guard: str | None = None
    """The guard's summary of a step that was done."""
    cause: str | None = None
    """Why a step was kept back: ``guard``, ``check``, ``integrity``, ..."""
    detail: str = ""
    """What the guard or the check said to that, as it was recorded."""
    counts: Counts | None = None
    """The program after the step, where that could be found out."""
    gain: Gain | None = None
    """What it frees of the recorded waiting, for a step to come and with a recording."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What the steps to come make of the recorded waiting, in seconds."""

    seconds: float
    """All of it."""
    freed: float
    unknown: float
    """That of which the program does not show who waited, or for which view."""
    held: tuple[tuple[str, float], ...] = ()
    """What still holds a thread after the last step, by the function that waits."""

    @property
    def share(self) -> float:
        """How much is freed, 0 to 1."""
        return self.freed / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be parsed; nothing of it is in the report."""

    path: str
    line: int
    message: str


@dataclass(frozen=True)
class Report:
    """Everything a writer may show of one program."""

    program: str
    version: str
    files: int
    counts: Counts
    functions: tuple[FunctionNode, ...] = ()
    edges: tuple[Edge, ...] = ()
    leaves: tuple[LeafCall, ...] = ()
    paths: tuple[BlockingPath, ...] = ()
    findings: tuple[Finding, ...] = ()
    hot_files: tuple[HotFile, ...] = ()
    steps: tuple[StepEntry, ...] = ()
    start: Counts | None = None
    """The program before the first step, where that could be found out."""
    is_planned: bool = False
    """Whether the steps to come were looked for."""
    is_foreseen: bool = False
    """Whether they were foreseen from one reading of the program, none of them taken."""
    overview: Overview = field(default_factory=Overview)
    """The limits of the walk, and how far each kind of waiting reaches."""
    suspects: tuple[Suspect, ...] = ()
    tests: tuple[str, ...] = ()
    """The tests of the traced run that reached a function, sorted."""
    recording: Recording | None = None
    interrupted: str | None = None
    """Key of a step that was interrupted."""
    unreadable: tuple[Unreadable, ...] = ()
    generated: str | None = None
    """When the report was made, as ISO 8601; only where a time was asked for."""

    @cached_property
    def effects(self) -> Mapping[str, int]:
        """Number of blocking calls by what they wait for, the most frequent first."""
        counted = Counter(leaf.effect for leaf in self.leaves if leaf.kind == "call")
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def calls(self) -> int:
        """Number of calls of library code that block."""
        return sum(leaf.kind == "call" for leaf in self.leaves)

    @cached_property
    def lazy_loads(self) -> int:
        """Number of attribute accesses that send a query."""
        return sum(leaf.kind == "lazy load" for leaf in self.leaves)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The index of a function by its name."""
        return {function.name: number for number, function in enumerate(self.functions)}

    @cached_property
    def entries(self) -> tuple[int, ...]:
        """The functions that the outside calls, by place."""
        found = [n for n, function in enumerate(self.functions) if function.entry is not None]
        return tuple(sorted(found, key=lambda n: (self.functions[n].path, self.functions[n].line)))

    @cached_property
    def paths_of(self) -> Mapping[int, tuple[BlockingPath, ...]]:
        """The paths of every entry point that blocks, by its index, shortest first."""
        found: dict[int, list[BlockingPath]] = {}
        for path in self.paths:
            found.setdefault(path.functions[0], []).append(path)
        return {entry: tuple(paths) for entry, paths in found.items()}

    def with_state(self, *states: StepState) -> tuple[StepEntry, ...]:
        """The steps in one of these states, in order."""
        return tuple(step for step in self.steps if step.state in states)

    def reason(self, function: int) -> Iterator[int]:
        """The functions through which one blocks, from itself down to the blocking call."""
        seen: set[int] = set()
        current: int | None = function
        while current is not None and current not in seen:
            yield current
            seen.add(current)
            current = self.functions[current].via

    @cached_property
    def findings_by_code(self) -> Mapping[str, tuple[Finding, ...]]:
        """The findings of each code, those with a remedy first, then by code."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.code, []).append(finding)
        order = sorted(found, key=lambda code: (not any(map(asks, found[code])), code))
        return {code: tuple(found[code]) for code in order}


def by_target(suspects: Iterable[Suspect]) -> Mapping[str, tuple[Suspect, ...]]:
    """The suspected calls by what they call, the most frequent first."""
    found: dict[str, list[Suspect]] = {}
    for suspect in suspects:
        found.setdefault(suspect.target, []).append(suspect)
    order = sorted(found, key=lambda target: (-len(found[target]), target))
    return {target: tuple(found[target]) for target in order}


def asks(finding: Finding) -> bool:
    """Says whether the remedy of a finding is something to do."""
    return not finding.remedy.startswith(NO_REMEDY)
