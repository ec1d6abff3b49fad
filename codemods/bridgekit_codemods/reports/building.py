"""Puts a report together: the program as it is, what was done, what is to come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bridgekit_codemods.migration.checks import Problem
from bridgekit_codemods.migration.ledger import History
from bridgekit_codemods.planning.recording import Gains, Wait
from bridgekit_codemods.planning.steps import Forecaster, Planner
from bridgekit_codemods.program.loading import Programs
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports import burndown
from bridgekit_codemods.reports.collecting import collect, hot_files
from bridgekit_codemods.reports.model import Recording, Report, StepEntry, Unreadable
from bridgekit_codemods.reports.naming import program_name

Tell = Callable[[str], None]
"""Is told what goes on, for whoever waits."""


def build_report(
    root: Path,
    sources: Mapping[str, bytes],
    planner: Planner,
    history: History,
    problems: Iterable[Problem] = (),
    *,
    walk: bool = False,
    exact: bool = True,
    waits: Sequence[Wait] | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """The report of a program with its history. Nothing is written.

    ``walk`` asks for the steps to come and for the state of the program after every step, which
    takes as long as planning and resolving the program anew for each; unless ``exact`` is False and
    the planner can foresee them from the program as it is. ``waits`` is a recording: with ``walk``,
    every step to come then says how much of it it frees.

    Raises:
        PlannerError: the planner repeats itself.
        ScopeError: a goal of the planner's scope names nothing.
    """
    load = _loader(planner)
    tell("resolving calls")
    program = load(sources)
    tell("colouring")
    graph = collect(program)
    tell("looking for obstacles")
    findings = planner.findings(sources, history.kept_keys)
    overview = planner.overview(sources)
    gains = Gains(program, waits) if waits is not None and walk else None
    steps: list[StepEntry] = []
    if history.applied:
        tell("reading the steps that were done")
    # The latest program is kept by the planner: those of the past go through a loader of their own.
    foreseeing = walk and not exact and isinstance(planner, Forecaster)
    loader = Programs().load if walk and not foreseeing else None
    past, start = burndown.done(root, history, sources, loader, graph.counts if walk else None)
    steps += past
    if walk:
        tell("looking for the next step")
        if foreseeing and isinstance(planner, Forecaster):
            coming = burndown.foreseen(planner, program, sources, history, gains)
        else:
            coming = burndown.planned(planner, sources, history, load, gains)
        for step in coming:
            steps.append(step)
            tell(f"step {step.number}: {step.title}")
    steps += burndown.kept(history)
    return Report(
        program=program_name(root, sources),
        version=metadata.version("bridgekit-async"),
        files=len(program.files),
        counts=graph.counts,
        functions=graph.functions,
        edges=graph.edges,
        leaves=graph.leaves,
        paths=graph.paths,
        findings=findings,
        hot_files=hot_files(graph, findings),
        steps=tuple(steps),
        start=(start or graph.counts) if walk and not (history.applied and start is None) else None,
        is_planned=walk,
        is_foreseen=foreseeing,
        interrupted=history.pending.key if history.pending else None,
        unreadable=tuple(Unreadable(p.path, p.line, p.message) for p in problems),
        generated=_asked_time(),
        overview=overview,
        suspects=graph.suspects,
        tests=graph.tests,
        recording=None
        if gains is None
        else Recording(gains.total, gains.freed, gains.unknown, tuple(gains.held.items())),
    )


def _loader(planner: Planner) -> Callable[[Mapping[str, bytes]], Program]:
    """How to load programs: the planner's way, if it has one, so that both share their work."""
    own = getattr(planner, "program", None)
    return own if callable(own) else Programs().load


def _asked_time() -> str | None:
    """The time that SOURCE_DATE_EPOCH gives; without it a report says nothing of when it was made,
    so that the same input gives the same bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
