"""How much of the recorded waiting each step frees.

A recording is a file of JSON lines, one object a line:

    {"function": "shop.clients.prices.price", "leaf": "requests.get", "seconds": 1.25,
     "entry": "shop.views.show", "count": 40}

`seconds` is the time that calls waited, in all. `function` is the function of the program that
made the call, `leaf` the library callable; one of the two must be there. `entry` is the view during
whose request it happened, if that is known, and `count` the number of calls. Other keys are left
alone.

A wait is freed when nothing on the way from the view to the call holds a thread any more: with the
step that makes the view async, provided that the function which waits is async by then. Where the
view is not recorded, the time is divided evenly among the views that reach the function.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.reach import calls_what_it_wraps
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function


class RecordingError(ValueError):
    """A line of a recording cannot be understood; the message says which and why."""


@dataclass(frozen=True)
class Wait:
    """One line of a recording."""

    seconds: float
    function: str | None = None
    leaf: str | None = None
    entry: str | None = None
    count: int = 1


@dataclass(frozen=True)
class Gain:
    """What a step frees."""

    seconds: float
    share: float
    """Of all recorded waiting, 0 to 1."""


def read_recording(text: str) -> tuple[Wait, ...]:
    """The waits of a recording; empty lines do not count.

    Raises:
        RecordingError: a line is no JSON object, or lacks what it must have.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as error:
            raise RecordingError(f"line {number} is no JSON: {error}") from error
        if not isinstance(data, dict):
            raise RecordingError(f"line {number} is no JSON object")
        names = {}
        for key in ("function", "leaf", "entry"):
            value = data.get(key)
            if value is not None and not isinstance(value, str):
                raise RecordingError(f"line {number}: {key!r} is no text")
            names[key] = value
        seconds = data.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise RecordingError(f"line {number}: 'seconds' is no number")
        if not (math.isfinite(seconds) and seconds >= 0):
            raise RecordingError(f"line {number}: 'seconds' must be a number of 0 or more")
        if names["function"] is None and names["leaf"] is None:
            raise RecordingError(f"line {number} has neither 'function' nor 'leaf'")
        count = data.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise RecordingError(f"line {number}: 'count' is no whole number of 0 or more")
        found.append(Wait(float(seconds), **names, count=count))
    return tuple(found)


class Gains:
    """Divides a recording among the functions and views of one program, before its first step.

    Used by one thread; `step` is to be asked once for each step, in order.
    """

    def __init__(self, program: Program, waits: Iterable[Wait]) -> None:
        self.total = 0.0
        """Seconds in the recording."""
        self.unknown = 0.0
        """Seconds of which the program does not show who waited, or for which view."""
        self.freed = 0.0
        """Seconds that the steps so far have freed."""
        self._held: dict[tuple[str, str], float] = defaultdict(float)
        self._async = {f.qualname.removesuffix(TWIN_SUFFIX) for f in program.functions.values()
                       if f.is_async}  # fmt: skip
        finder = _Waiters(program)
        for wait in waits:
            self.total += wait.seconds
            pairs = finder.pairs(wait)
            if not pairs:
                self.unknown += wait.seconds
            for pair in pairs:
                self._held[pair] += wait.seconds / len(pairs)
        self._take()

    @property
    def held(self) -> Mapping[str, float]:
        """Seconds that still hold a thread, by the function that waits, largest first."""
        found: dict[str, float] = defaultdict(float)
        for (_, waiter), seconds in self._held.items():
            found[waiter] += seconds
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def step(self, members: Iterable[str]) -> Gain:
        """What it frees when the functions of these names become async."""
        self._async.update(members)
        seconds = self._take()
        self.freed += seconds
        return Gain(seconds, seconds / self.total if self.total else 0.0)

    def _take(self) -> float:
        freed = [p for p in self._held if p[0] in self._async and p[1] in self._async]
        return sum(self._held.pop(pair) for pair in freed)


class _Waiters:
    """Finds who waited, and for which view, from what a line says."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._colours = program.derived(Colours)
        self._by_leaf: dict[str, set[Function]] = defaultdict(set)
        self._callers: dict[Function, set[Function]] = defaultdict(set)
        for function in program.functions.values():
            for site in self._colours.sites(function):
                if self._colours.external_effects(site):
                    for dotted in site.externals:
                        self._by_leaf[dotted].add(function)
                if not calls_what_it_wraps(site):
                    for target in site.targets:
                        self._callers[target.function].add(function)

    def pairs(self, wait: Wait) -> list[tuple[str, str]]:
        """(view, waiting function) among which the wait is divided."""
        program = self._program
        waiters: set[Function]
        if wait.function is not None:
            function = program.functions.get(wait.function.removesuffix(TWIN_SUFFIX))
            waiters = {function} if function is not None else set()
        else:
            waiters = {
                function
                for function in self._by_leaf.get(wait.leaf or "", ())
                if not program.files[function.path].is_test
            }
        found = [
            (entry.qualname, waiter.qualname)
            for waiter in waiters
            for entry in self._entries(waiter)
            if wait.entry is None or entry.qualname == wait.entry
        ]
        return sorted(found)

    def _entries(self, function: Function) -> set[Function]:
        seen = {function}
        pending = [function]
        while pending:
            for caller in self._callers[pending.pop()] - seen:
                seen.add(caller)
                pending.append(caller)
        return seen & self._colours.entries
