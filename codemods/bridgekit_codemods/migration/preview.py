"""Walks a plan in memory: every step before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridgekit_codemods.migration.checks import check_changes
from bridgekit_codemods.migration.errors import PlannerError
from bridgekit_codemods.migration.integrity import check_tests
from bridgekit_codemods.migration.patches import patch
from bridgekit_codemods.migration.runner import Sources, changed, overlay, tree_digest
from bridgekit_codemods.planning.steps import NO_BRIDGES, Bridges, Forecaster, Planner, Step


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan, its difference, and what the static checks say against it."""

    number: int
    step: Step
    diff: str
    objections: tuple[str, ...] = ()
    bridges: Bridges = NO_BRIDGES
    """Those of the program after the step; a step that is refused changes nothing."""
    foreseen: tuple[str, ...] | None = None
    """The files of a step that was not taken but foreseen; there is no difference then."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that change, sorted."""
        return tuple(sorted(self.step.changes)) if self.foreseen is None else self.foreseen


def outline(
    planner: Forecaster,
    sources: Sources,
    kept: frozenset[str] = frozenset(),
    until: str | None = None,
    first_number: int = 1,
) -> Iterator[PlannedStep]:
    """Yield the steps that the planner foresees, in order, without taking any.

    What only the result of a step shows (an objection of the checks, say) is not known here.
    ``until`` is a key or a number; the step it names is the last.
    """
    for number, each in enumerate(planner.forecast(sources, kept), first_number):
        yield PlannedStep(number, each.step, "", (), each.bridges, each.files)
        if until in {each.step.key, str(number)}:
            return


def preview(
    planner: Planner,
    sources: Sources,
    kept: frozenset[str] = frozenset(),
    until: str | None = None,
    first_number: int = 1,
) -> Iterator[PlannedStep]:
    """Yield the steps to come, in order.

    A step that the static checks refuse is yielded with its objections and then left out, as a
    real run would do.  ``until`` is a key or a number; the step it names is the last.

    Raises:
        PlannerError: the planner repeats itself.
    """
    seen: set[str] = set()
    number = first_number
    while (step := planner.next_step(sources, kept)) is not None:
        changes = changed(sources, step)
        fingerprint = tree_digest(sources) + step.key
        if step.key in kept or not (changes or step.fault) or fingerprint in seen:
            raise PlannerError(f"the planner goes round in a circle at {step.key}")
        seen.add(fingerprint)
        after = overlay(sources, changes)
        objections = (
            *((step.fault,) if step.fault is not None else ()),
            *check_changes(sources, changes),
            *check_tests(sources, changes),
            *planner.verify(step, after),
        )
        bridges = planner.bridges(sources if objections else after)
        yield PlannedStep(number, step, patch(sources, changes), objections, bridges)
        if until in {step.key, str(number)}:
            return
        if objections:
            kept |= {step.key}
        else:
            sources = after
            number += 1
