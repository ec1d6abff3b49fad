"""One step of the walk, or one function's way through it, as plain lines and as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bridgekit_codemods.migration.ledger import Applied, History, Kept
from bridgekit_codemods.migration.past import Difference
from bridgekit_codemods.migration.preview import PlannedStep
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.walk.facts import Facts


def reasons(facts: Facts, members: Iterable[str]) -> dict[str, str]:
    """Why each of the members has to become async, as far as one waits."""
    found = {}
    for name in members:
        function = facts.program.functions.get(name)
        reason = facts.reason(function) if function is not None else None
        if reason is not None:
            found[name] = reason
    return found


def done(
    number: int, entry: Applied, difference: Difference, why: Mapping[str, str]
) -> Iterator[str]:
    """A step that is part of the program, with its reasons and its difference."""
    yield f"step {number}: {entry.step.title}"
    yield f"  key: {entry.step.key}"
    yield f"  done {entry.time}" + (f" in {entry.commit}" if entry.commit else "")
    if entry.guard.get("summary"):
        yield f"  guard: {entry.guard['summary']}"
    yield from _names("changes together", entry.step.members)
    yield from _reasons(why)
    yield from _names("bridges added", entry.step.bridges_added)
    yield from _names("bridges removed", entry.step.bridges_removed)
    for path in difference.lost:
        yield f"  {path}: changed since by something else, so its difference is not known"
    yield from difference.diff.removesuffix("\n").split("\n")


def kept(entry: Kept) -> Iterator[str]:
    """A step that was kept back, with all that is known of why."""
    yield f"kept back: {entry.title}"
    yield f"  key: {entry.key}"
    yield f"  {entry.time}: {entry.cause}" + (f", output in {entry.log}" if entry.log else "")
    for line in entry.detail.splitlines():
        yield f"  | {line}"
    if entry.proposal:
        yield f"  what to do: {entry.proposal}"
    yield "  `bridgekit redo` has it tried again"


def to_come(planned: PlannedStep, why: Mapping[str, str]) -> Iterator[str]:
    """A step of the plan with its reasons and its difference."""
    yield from list(lines.planned(planned, diff=False))[:-1]
    yield from _reasons(why)
    yield from planned.diff.removesuffix("\n").split("\n")


def way(history: History, name: str) -> Iterator[str]:
    """What became of the steps that concern a function, in its sync or its async form."""
    done, kept = _concerning(history, name)
    for number, entry in done:
        yield f"  changed by step {number}: {entry.step.title}  [{lines.short(entry.step.key)}]"
    for each in kept:
        yield f"  kept back: {each.title}  {each.cause}: {lines.reason(each)}"


def way_json(history: History, name: str) -> dict[str, Any]:
    """`way` as JSON values."""
    done, kept = _concerning(history, name)
    return {
        "changed_by": [{"number": n, "key": e.step.key, "title": e.step.title} for n, e in done],
        "kept_back": [asdict(entry) for entry in kept],
    }


def _concerning(history: History, name: str) -> tuple[list[tuple[int, Applied]], list[Kept]]:
    base = name.removesuffix(TWIN_SUFFIX)
    names = {base, base + TWIN_SUFFIX}
    done = [
        (number, entry)
        for number, entry in enumerate(history.applied, 1)
        if not names.isdisjoint(entry.step.members)
    ]
    # The ledger has no members of a step that was kept back; its key names those of a flip.
    kept = [e for e in history.kept.values() if base in e.key.partition(":")[2].split(",")]
    return done, kept


def done_json(
    number: int, entry: Applied, difference: Difference, why: Mapping[str, str]
) -> dict[str, Any]:
    """`done` as JSON values."""
    data = machine.applied(number, entry)
    text = difference.diff.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return {"state": "done", **data, "reasons": dict(why), "diff": text, "lost": difference.lost}


def kept_json(entry: Kept) -> dict[str, Any]:
    """`kept` as JSON values."""
    return {"state": "kept", **asdict(entry)}


def to_come_json(planned: PlannedStep, why: Mapping[str, str]) -> dict[str, Any]:
    """`to_come` as JSON values."""
    return {"state": "planned", **machine.planned(planned), "reasons": dict(why)}


def _reasons(why: Mapping[str, str]) -> Iterator[str]:
    if why:
        yield "  because:"
    for name, reason in why.items():
        yield f"    {name} {reason}"


def _names(label: str, names: tuple[str, ...]) -> Iterator[str]:
    if names:
        yield f"  {label}: {lines.listed(names)}"
