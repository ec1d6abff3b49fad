"""The steps of a walk, done and to come, each with the state of the program after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bridgekit_codemods.migration.ledger import History
from bridgekit_codemods.migration.past import states
from bridgekit_codemods.migration.preview import PlannedStep, outline, preview
from bridgekit_codemods.migration.runner import changed, overlay
from bridgekit_codemods.planning.bridges import count_bridges
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.recording import Gain, Gains
from bridgekit_codemods.planning.steps import Forecaster, Planner
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports.collecting import counts_of
from bridgekit_codemods.reports.model import Counts, StepEntry

FLIPPING = ("flip", "views")
"""The kinds of step whose members become async."""
Sources = Mapping[str, bytes]
Load = Callable[[Sources], Program]
"""Gives the program of some sources."""


def done(
    root: Path, history: History, sources: Sources, load: Load | None, now: Counts | None
) -> tuple[tuple[StepEntry, ...], Counts | None]:
    """The steps that were done, and the program before the first of them.

    With ``load`` the program is put together again as it was after every step, from the copies
    that the walk keeps of old files; as far back as these are there and what they were copied
    from has not changed since. Without it only ``now`` is known, the program after
    the last step. Nothing is written.
    """
    past = states(root, history.applied, sources) if load is not None else []
    counts = [counts_of(load(state)) for state in past] if load is not None else [now]
    missing = len(history.applied) + 1 - len(counts)
    after = [*([None] * missing), *counts]
    entries = tuple(
        StepEntry(
            number=number,
            key=entry.step.key,
            kind=entry.step.kind,
            title=entry.step.title,
            state="done",
            members=entry.step.members,
            files=tuple(change.path for change in entry.step.files),
            bridges_added=entry.step.bridges_added,
            bridges_removed=entry.step.bridges_removed,
            commit=entry.commit,
            guard=entry.guard.get("summary"),
            counts=after[number],
        )
        for number, entry in enumerate(history.applied, 1)
    )
    return entries, after[0]


def kept(history: History) -> tuple[StepEntry, ...]:
    """The steps that were kept back, in the order in which they were tried."""
    return tuple(
        StepEntry(
            number=entry.n,
            key=entry.key,
            kind=entry.kind,
            title=entry.title,
            state="kept",
            cause=entry.cause,
            detail=entry.detail,
        )
        for entry in history.kept.values()
    )


def planned(
    planner: Planner, sources: Sources, history: History, load: Load, gains: Gains | None = None
) -> Iterator[StepEntry]:
    """The steps to come, each as soon as it is found, and with ``gains`` what it frees.

    Raises:
        PlannerError: the planner repeats itself.
    """
    first = len(history.applied) + 1
    for step in preview(planner, sources, history.kept_keys, None, first):
        if not step.objections:
            sources = overlay(sources, changed(sources, step.step))
        if step.objections:
            yield _planned(step, None, None)
        else:
            gain = gains.step(step.step.members) if gains is not None else None
            yield _planned(step, counts_of(load(sources)), gain)


def foreseen(
    planner: Forecaster,
    program: Program,
    sources: Sources,
    history: History,
    gains: Gains | None = None,
) -> Iterator[StepEntry]:
    """The steps to come from one reading of the program.

    Of the functions only those are counted that a step makes async. That a function which stays
    sync begins to wait, or does so no longer, is not.
    """
    counts = counts_of(program)
    written = program.derived(count_bridges).total
    colours = program.derived(Colours)
    for step in outline(planner, sources, history.kept_keys, None, len(history.applied) + 1):
        flipped = Counter(
            colours.colour(function)
            for function in map(program.functions.get, step.step.members)
            if step.step.kind in FLIPPING
            and function is not None
            and not program.files[function.path].is_test
        )
        counts = Counts(
            counts.pure - flipped["pure"],
            counts.blocking - flipped["blocking"],
            counts.native + flipped["pure"] + flipped["blocking"],
            counts.bridges + step.bridges.total - written,
        )
        written = step.bridges.total
        yield _planned(step, counts, gains.step(step.step.members) if gains is not None else None)


def _planned(planned: PlannedStep, counts: Counts | None, gain: Gain | None) -> StepEntry:
    step = planned.step
    return StepEntry(
        number=planned.number,
        key=step.key,
        kind=step.kind,
        title=step.title,
        state="refused" if planned.objections else "planned",
        members=step.members,
        files=planned.files,
        bridges_added=step.bridges_added,
        bridges_removed=step.bridges_removed,
        cause="check" if planned.objections else None,
        detail="\n".join(planned.objections),
        counts=counts,
        gain=gain,
    )
