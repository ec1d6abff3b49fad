"""Reports as JSON values; field names are part of the command line's contract."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridgekit_codemods.migration.checks import Problem
    from bridgekit_codemods.migration.ledger import Applied, History
    from bridgekit_codemods.migration.preview import PlannedStep
    from bridgekit_codemods.planning.steps import Finding
    from bridgekit_codemods.planning.survey import Survey


def dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def survey(result: Survey, problems: Iterable[Problem]) -> dict[str, Any]:
    return {
        "files": result.files,
        "functions": result.functions,
        "colours": dict(result.colours),
        "resolution": dict(result.resolution),
        # flat values, of which `asdict` would make deep copies
        "leaves": [dict(vars(leaf)) for leaf in result.leaves],
        "entry_points": [dict(vars(entry)) for entry in result.entry_points],
        "findings": [dict(vars(finding)) for finding in result.findings],
        "problems": [asdict(problem) for problem in problems],
    }


def plan(
    steps: Iterable[PlannedStep], findings: Iterable[Finding], problems: Iterable[Problem]
) -> dict[str, Any]:
    return {
        "steps": list(map(planned, steps)),
        "findings": [asdict(finding) for finding in findings],
        "problems": [asdict(problem) for problem in problems],
    }


def planned(step: PlannedStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "key": step.step.key,
        "kind": step.step.kind,
        "title": step.step.title,
        "members": list(step.step.members),
        "bridges_added": list(step.step.bridges_added),
        "bridges_removed": list(step.step.bridges_removed),
        "milestone": step.step.milestone,
        "files": list(step.files),
        "diff": step.diff.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "objections": list(step.objections),
    }


def history(past: History) -> dict[str, Any]:
    return {
        "applied": [applied(number, entry) for number, entry in enumerate(past.applied, 1)],
        "kept": [asdict(entry) for entry in past.kept.values()],
        "interrupted": past.pending.key if past.pending else None,
    }


def report(
    past: History, findings: Iterable[Finding], problems: Iterable[Problem]
) -> dict[str, Any]:
    return {
        **history(past),
        "findings": [asdict(finding) for finding in findings],
        "problems": [asdict(problem) for problem in problems],
    }


def applied(number: int, entry: Applied) -> dict[str, Any]:
    return {
        "number": number,
        "key": entry.step.key,
        "kind": entry.step.kind,
        "title": entry.step.title,
        "members": list(entry.step.members),
        "bridges_added": list(entry.step.bridges_added),
        "bridges_removed": list(entry.step.bridges_removed),
        "files": [change.path for change in entry.step.files],
        "commit": entry.commit,
        "guard": dict(entry.guard),
        "findings": [dict(finding) for finding in entry.findings],
        "time": entry.time,
    }
