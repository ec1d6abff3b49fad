"""What `plan` prints beside its steps: scope and closures, bridges, gains, facts of a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bridgekit_codemods.migration.checks import Problem
from bridgekit_codemods.migration.preview import PlannedStep
from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.recording import Gain, Gains
from bridgekit_codemods.planning.steps import Bridges, Finding
from bridgekit_codemods.reports import lines, machine
from bridgekit_codemods.reports.model import Recording
from bridgekit_codemods.walk.facts import FunctionFacts, Link

_SHOWN = 10
_BARRIERS = 5


def overview(result: Overview) -> Iterator[str]:
    """How far each kind of waiting reaches, what the scope is, what was weighed and kept."""
    if result.closures:
        yield "waits for     calls  functions  become async  of them views"
        for closure in result.closures:
            yield (
                f"  {closure.kind:<11}{closure.seeds:>6}{closure.waiting:>11}"
                f"{closure.becoming_async:>14}{closure.views:>15}"
            )
        yield "  (become async: with --only of that kind alone)"
    yield f"scope: {result.scope.words()}: {_functions(result.becoming_async)} async"
    for family in result.weighed:
        yield f"weighed: {family.words()}: {'bridged' if family.bridged else 'flipped'}"
    yield from _barriers(result)
    if result.kept:
        yield f"kept sync by pyproject.toml: {_listed(result.kept)}"
    yield ""


def _barriers(result: Overview) -> Iterator[str]:
    """What keeps functions sync: all kinds of waiting, and the commonest in single functions."""
    whole = [b for b in result.barriers if b.what not in ("functions", "family")]
    single = [b for b in result.barriers if b.what in ("functions", "family")]
    if not whole and not (single and not result.becoming_async):
        return
    yield "in the way, the largest first:"
    for barrier in whole:
        concerns = (
            f"{barrier.functions} views and hooks" if barrier.what == "views"
            else f"{barrier.functions} functions wait for {barrier.what}"
        )  # fmt: skip
        yield f"  {concerns}: {barrier.code} {barrier.reason}"
        yield f"      at {barrier.path}:{barrier.line}{_more(barrier.places - 1)}"
        yield f"      remedy: {barrier.remedy}"
    for barrier in single[:_BARRIERS]:
        if barrier.what == "family":
            place = f"{barrier.path}:{barrier.line}"
            yield f"  {barrier.functions} {barrier.reason} ({barrier.code} at {place})"
            continue
        yield (
            f"  {_number(barrier.functions, 'function')}: {barrier.code}, "
            f"as at {barrier.path}:{barrier.line}: {barrier.reason}"
        )


def _more(places: int) -> str:
    return f" and {_number(places, 'more place')}" if places else ""


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def planned(step: PlannedStep, diff: bool, gain: Gain | None = None) -> Iterator[str]:
    """A step to come, with the bridges that the program has after it."""
    *head, _ = lines.planned(step, diff=False)
    yield from head
    yield f"  bridges after: {bridges(step.bridges)}"
    if gain is not None:
        yield f"  frees {gain.share:.1%} of the recorded waiting ({gain.seconds:.3g} s)"
    if diff:
        yield from step.diff.removesuffix("\n").split("\n")
    yield ""


def bridges(found: Bridges) -> str:
    """The number of bridges in words."""
    return f"{found.total} ({found.to_thread} to a thread, {found.to_loop} to the loop)"


def gains(found: Gains) -> Iterator[str]:
    """What the steps free of the recorded waiting in all, and who keeps the rest."""
    held = tuple(found.held.items())
    yield from lines.recording(Recording(found.total, found.freed, found.unknown, held))


def facts(found: FunctionFacts) -> Iterator[str]:
    """Everything about one function."""
    waits = f", waits for {', '.join(found.waits_for)}" if found.waits_for else ""
    yield f"{found.function}  ({found.path}:{found.line})"
    yield f"  {found.colour}{waits}"
    yield f"  {found.verdict}"
    for kind, chain in found.chains.items():
        yield f"  {kind}:"
        if not chain:
            yield "    through a function that it wraps"
        for link in chain:
            yield f"    {_link(link)}"
    yield f"  obstacles: {len(found.obstacles) or 'none'}"
    for finding in found.obstacles:
        yield f"    {finding.path}:{finding.line}: {finding.code} {finding.reason}"
        yield f"        remedy: {finding.remedy}"
    yield f"  reached by views and hooks: {_listed(found.entry_points) or 'none'}"
    yield f"  reached by tests: {_listed(found.tests) or 'none'}"
    if found.traced_tests:
        yield f"  seen to run in tests: {_listed(found.traced_tests)}"


def facts_json(found: FunctionFacts) -> dict[str, Any]:
    """Everything about one function as JSON values."""
    return asdict(found)


def plan(
    result: Overview,
    steps: Iterable[PlannedStep],
    findings: Iterable[Finding],
    problems: Iterable[Problem],
    each: Mapping[int, Gain] | None = None,
    in_all: Gains | None = None,
    *,
    exact: bool = True,
) -> dict[str, Any]:
    """The whole plan as JSON values. `each` are the gains by the number of the step; `exact` says
    whether the steps were taken in memory, or foreseen."""
    steps = list(steps)
    data = machine.plan(steps, findings, problems)
    for planned, entry in zip(steps, data["steps"], strict=True):
        entry["bridges_after"] = asdict(planned.bridges)
        if each is not None and planned.number in each:
            entry["gain"] = asdict(each[planned.number])
    data["exact"] = exact
    data["scope"] = result.scope.plain()
    data["closures"] = [asdict(closure) for closure in result.closures]
    data["becoming_async"] = result.becoming_async
    data["in_the_way"] = [asdict(barrier) for barrier in result.barriers]
    data["weighed"] = [asdict(family) | {"bridged": family.bridged} for family in result.weighed]
    data["kept_by_configuration"] = list(result.kept)
    if in_all is not None:
        data["recording"] = {
            "seconds": in_all.total,
            "freed": in_all.freed,
            "unknown": in_all.unknown,
            "held": dict(in_all.held),
        }
    return data


def _link(link: Link) -> str:
    evidence = "" if link.grade == "library" else f"  [{link.grade}]"
    return f"{link.path}:{link.line}: {link.caller} -> {link.callee}{evidence}"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _functions(number: int) -> str:
    return f"{number} function becomes" if number == 1 else f"{number} functions become"
