"""How far a migration goes: which kinds of waiting, for which entry points, at what price.

A scope is a plain value that `plan` and `migrate` build from the same options, and that the ledger
remembers. The default scope leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bridgekit_codemods.catalog.effect import Blocks

FRAMEWORK = "framework"
"""The kind of what Quart made awaitable: the body of the request, templates, files sent."""

KINDS: tuple[str, ...] = (*get_args(Blocks), FRAMEWORK)
"""What a seed may wait for."""

_ALIASES = {
    "database": "db",
    "sql": "db",
    "files": "file",
    "processes": "subprocess",
    "process": "subprocess",
    "locks": "lock",
    "threads": "thread",
    "sockets": "socket",
    "flask": FRAMEWORK,
}

BRIDGE_BELOW = 1.0
"""The default of `Scope.bridge_below`."""


class ScopeError(ValueError):
    """The scope names something that does not exist; the message says what there is."""


@dataclass(frozen=True)
class Scope:
    """What a walk is limited to.

    only           kinds of waiting whose seeds make functions async; None for all. What waits for
                   anything else stays blocking behind bridges
    goals          patterns of the entry points to make async; empty for all
    bridge_below   a family of overrides stays sync when bridging it costs less than this many
                   times what flipping it costs; 0 never bridges, None takes the program's setting
    """

    only: frozenset[str] | None = None
    goals: tuple[str, ...] = ()
    bridge_below: float | None = None
    stays: bool = False
    """The program stays on Flask, where what Quart made awaitable is no reason to become async.
    Found out about each program, so it is neither among the options nor in the ledger."""

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds of waiting that make functions async; None for all."""
        if not self.stays:
            return self.only
        return (frozenset(KINDS) if self.only is None else self.only) - {FRAMEWORK}

    @property
    def limited(self) -> bool:
        """Says whether the scope leaves out entry points or kinds of waiting."""
        return self.only is not None or bool(self.goals)

    @property
    def changes_framework(self) -> bool:
        """Says whether the walk may go on to another framework, which concerns every view."""
        kinds = self.kinds
        return not self.goals and (kinds is None or FRAMEWORK in kinds)

    def includes(self, kinds: Iterable[str]) -> bool:
        """Says whether any of the kinds of waiting is within the scope."""
        return self.only is None or not self.only.isdisjoint(kinds)

    def plain(self) -> dict[str, Any]:
        """The scope as JSON values; `read` is its inverse."""
        found: dict[str, Any] = {}
        if self.only is not None:
            found["only"] = sorted(self.only)
        if self.goals:
            found["goals"] = list(self.goals)
        if self.bridge_below is not None:
            found["bridge_below"] = self.bridge_below
        return found

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Scope:
        """The scope that `plain` described."""
        only = plain.get("only")
        return cls(
            None if only is None else frozenset(only),
            tuple(plain.get("goals", ())),
            plain.get("bridge_below"),
        )

    def words(self) -> str:
        """The scope as the options that make it."""
        parts = []
        if self.only is not None:
            parts.append("--only " + ",".join(sorted(self.only)))
        parts += [f"--goal {goal}" for goal in self.goals]
        if self.bridge_below is not None:
            parts.append(f"--bridge-below {self.bridge_below:g}")
        return " ".join(parts) or "no limits"


EVERYTHING = Scope()
"""The scope that leaves nothing out."""


def parse_only(words: Iterable[str]) -> frozenset[str] | None:
    """The kinds that the comma-separated lists name; None when there is no list.

    Raises:
        ScopeError: a word is no kind of waiting.
    """
    lists = list(words)
    if not lists:
        return None
    found = set()
    for word in ",".join(lists).split(","):
        name = word.strip().lower()
        kind = _ALIASES.get(name, name)
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise ScopeError(f"--only: there is no kind of waiting {word.strip()!r}; it is {known}")
        found.add(kind)
    return frozenset(found)


def build_scope(
    only: Iterable[str] = (), goals: Iterable[str] = (), bridge_below: float | None = None
) -> Scope:
    """The scope of the options; equal options give equal scopes whatever their order.

    Raises:
        ScopeError: a kind does not exist, a goal is empty, or the factor is negative.
    """
    patterns = tuple(sorted({goal.strip() for goal in goals}))
    if "" in patterns:
        raise ScopeError("--goal: an empty pattern names nothing")
    if bridge_below is not None and not bridge_below >= 0:
        raise ScopeError("--bridge-below: the factor must be 0 or more")
    return Scope(parse_only(only), patterns, bridge_below)
