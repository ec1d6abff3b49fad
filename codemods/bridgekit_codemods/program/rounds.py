"""Answers that are computed in rounds, each at most once a round.

Where a computation comes back to something that is still being computed (a loop, a recursion) the
answer of the round before is used.

A round computes again only what can have changed. While a value is computed, everything it reads
that a later round may change is noted down: argument types of parameters, attributes that other
code assigns, answers of the round before, and values that read such things themselves. A value that
read none of them is settled. The next round drops what depends on a change, and keeps the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar, cast

from bridgekit_codemods.program.types import NOTHING, UNKNOWN, Types

DEPTH = 250
WIDTH = 256
BEFORE = "an answer of the round before"
_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


class Rounds:
    """The answers of one program and what they have read."""

    def __init__(self) -> None:
        self.named = False
        """Whether decorators that are members of objects (`app.route`) have their names."""
        self.settled: dict[Hashable, Types] = {}
        """Answers that no later round can change."""
        self.memo: dict[Hashable, Types] = {}
        """This round's answers to everything else."""
        self.previous: dict[Hashable, Types] = {}
        self.active: set[Hashable] = set()
        self.shared: dict[Types, Types] = {}
        """Equal answers, of which one is kept."""
        self._kept: dict[Hashable, object] = {}
        self._nobody: deque[Hashable] = deque(maxlen=0)
        self.reads: list[Hashable] | deque[Hashable] = self._nobody
        """What the value being computed has read so far that may change."""
        self.dependencies: dict[Hashable, list[Hashable]] = {}

    def forget(self) -> None:
        """Drop every answer, because something was changed that is not noted when it is read."""
        self.settled, self.memo, self._kept, self.dependencies = {}, {}, {}, {}

    def next_round(self, changed: Iterable[Hashable]) -> None:
        """Keep this round's answers for recursion and start the next.

        `changed` are the keys of `flows` and `stored`, and the functions whose decorators are named
        differently, from now on.
        """
        self.named = True
        self.previous = self.memo
        outdated = {BEFORE, *changed}
        is_current = outdated.isdisjoint
        # in the order of completion: what a value has read stands before it
        for key, reads in self.dependencies.items():
            if not is_current(reads):
                outdated.add(key)
        self.memo = self.memo.copy()
        for key in outdated:
            self.memo.pop(key, None)
            self._kept.pop(key, None)
            self.dependencies.pop(key, None)

    def finish(self) -> None:
        """No answer changes any more: what it read need not be known."""
        self.settled.update(self.memo)
        self.memo = {}
        self.dependencies = {}
        self._kept = {}

    def kept(self, key: _K, compute: Callable[[_K], _T]) -> _T:
        """What `compute` gives for `key`, from an earlier round where it would give the same
        again. Never None."""
        known = self._kept.get(key)
        if known is not None:
            return cast(_T, known)
        reads: list[Hashable] = []
        outer, self.reads = self.reads, reads
        try:
            found = compute(key)
        finally:
            self.reads = outer
        self._kept[key] = found
        if reads:
            self.dependencies[key] = reads
        return found

    def evaluate(self, key: Hashable, compute: Callable[[], Types]) -> Types:
        """The value of `key` in this round, computed at most once; the last round's within
        itself."""
        known = self.settled.get(key)
        if known is not None:
            return known
        known = self.memo.get(key)
        if known is not None:
            self.reads.append(key)
            return known
        if key in self.active or len(self.active) > DEPTH:
            self.reads.append(BEFORE)
            return self.previous.get(key, NOTHING)
        reads: list[Hashable] = []
        outer, self.reads = self.reads, reads
        self.active.add(key)
        try:
            found = compute()
        finally:
            self.active.discard(key)
            self.reads = outer
        if len(found) > WIDTH:
            found = bounded(found)
        found = self.shared.setdefault(found, found)
        if reads:
            self.memo[key] = found
            self.dependencies[key] = reads
            outer.append(key)
        else:
            self.settled[key] = found
        return found


def bounded(types: Types) -> Types:
    """So many types that a value may be anything."""
    return frozenset(sorted(types)[:WIDTH]) | {UNKNOWN}
