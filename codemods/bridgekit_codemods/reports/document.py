"""A report as a JSON document. docs/report.md describes it; ``SCHEMA`` names its version."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from bridgekit_codemods.reports.model import Recording, Report

SCHEMA = "bridgekit-report/1"
"""Name and version: within a version fields are added, never renamed or taken away."""


def write(report: Report) -> str:
    """The document, one item of a list a line; ends with a line end."""
    parts = []
    for name, value in document(report).items():
        if isinstance(value, list) and value:
            items = ",\n".join(f"    {_plain(item)}" for item in value)
            parts.append(f"  {_plain(name)}: [\n{items}\n  ]")
        else:
            parts.append(f"  {_plain(name)}: {_plain(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def document(report: Report) -> dict[str, Any]:
    """The document as plain values."""
    overview = report.overview
    return {
        "schema": SCHEMA,
        "tool": {"name": "bridgekit", "version": report.version},
        "program": report.program,
        "generated": report.generated,
        "summary": {
            "files": report.files,
            "functions": report.counts.functions,
            **asdict(report.counts),
            "blocking_calls": report.calls,
            "lazy_loads": report.lazy_loads,
            "effects": dict(report.effects),
            "entry_points": len(report.entries),
            "findings": len(report.findings),
        },
        "functions": [asdict(function) for function in report.functions],
        "edges": [asdict(edge) for edge in report.edges],
        "leaves": [asdict(leaf) for leaf in report.leaves],
        "paths": [asdict(path) for path in report.paths],
        "findings": [asdict(finding) for finding in report.findings],
        "suspects": [asdict(suspect) for suspect in report.suspects],
        "hot_files": [asdict(file) for file in report.hot_files],
        "start": asdict(report.start) if report.start else None,
        "is_planned": report.is_planned,
        "is_foreseen": report.is_foreseen,
        "steps": [asdict(step) for step in report.steps],
        "recording": _recording(report.recording),
        "scope": overview.scope.plain(),
        "closures": [asdict(closure) for closure in overview.closures],
        "becoming_async": overview.becoming_async,
        "weighed": [asdict(family) | {"bridged": family.bridged} for family in overview.weighed],
        "kept_by_configuration": list(overview.kept),
        "tests": list(report.tests),
        "interrupted": report.interrupted,
        "unreadable": [asdict(file) for file in report.unreadable],
    }


def _recording(found: Recording | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found) | {"held": dict(found.held)}


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # File names may hold bytes that are no text.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
