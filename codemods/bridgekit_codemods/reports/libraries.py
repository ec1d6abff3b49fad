"""The plan of a library's async twin, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from bridgekit_codemods.migration.checks import Problem
from bridgekit_codemods.planning.library import LibraryPlan

NOTICE = "This is a plan to read: no command writes the twins yet."


def plan(found: LibraryPlan) -> Iterator[str]:
    """Twins, layouts, clashes and leaves; what users of the library call comes first."""
    public = sum(twin.public for twin in found.twins)
    yield NOTICE
    yield (
        f"{len(found.twins)} functions wait: {public} that users call and "
        f"{len(found.twins) - public} behind them"
    )
    for twin in sorted(found.twins, key=lambda t: not t.public):
        mark = "" if twin.public else "  (internal)"
        yield f"  {twin.path}:{twin.line}: {twin.function} -> {twin.twin}{mark}"
        if twin.needs is not None:
            yield f"      {twin.needs}"
    yield "beside the sync API:"
    for module, other in found.modules.items():
        yield f"  {module} stays, {other} holds its twins"
    for cls, other in found.classes.items():
        yield f"  {cls} stays, {other} is its twin"
    yield "or one async source, from which the sync code is generated:"
    for module, (source, made) in found.sources.items():
        yield f"  {module} imports from {made}, made of {source}"
    if found.tokens:
        words = ", ".join(f"{new} -> {old}" for new, old in found.tokens.items())
        yield f"  words to replace, beside async, await and the libraries' own: {words}"
    yield f"names that are taken: {len(found.clashes) or 'none'}"
    for clash in found.clashes:
        yield f"  {clash.path}:{clash.line}: {clash.name}: {clash.reason}"
    yield f"waits while a module is imported: {len(found.at_import) or 'none'}"
    for clash in found.at_import:
        yield f"  {clash.path}:{clash.line}: {clash.name} {clash.reason}"
    yield "what the twins would call:"
    for leaf in found.leaves:
        how = f"-> {leaf.twin}" if leaf.twin is not None else "-> in a worker thread"
        yield f"  {leaf.name} ({leaf.calls}) {how}"
    yield f"advice: {found.advice}"


def plan_json(found: LibraryPlan, problems: Iterable[Problem]) -> dict[str, Any]:
    """The plan as JSON values."""
    data = asdict(found)
    data["advice"] = found.advice
    data["rewrites"] = False
    data["problems"] = [asdict(problem) for problem in problems]
    return data
