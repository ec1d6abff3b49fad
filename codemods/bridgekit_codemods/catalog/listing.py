"""Counts and lists what the catalog knows, for the command `bridgekit catalog` and the docs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.effect import Effect, Library


class Summary(NamedTuple):
    """One library: how many of its callables may block, and of how many an async form is known."""

    name: str
    title: str
    distribution: str
    checked: str
    unchecked: str
    blocking: int
    twins: int
    rewritten: int
    guesses: int


def entries(name: str) -> tuple[Effect, ...]:
    """What may block in the library `name` and in those below it, by name; guesses too."""
    found: dict[str, Effect] = {}
    for library in catalog.libraries():
        if library.name == name or library.name.startswith(f"{name}."):
            found |= _effects(library)
    return tuple(found[dotted] for dotted in sorted(found))


def summaries() -> tuple[Summary, ...]:
    """All libraries of which something blocks, sorted by name."""
    first: dict[str, Library] = {}
    effects: dict[str, dict[str, Effect]] = {}
    for library in catalog.libraries():
        first.setdefault(library.name, library)
        effects.setdefault(library.name, {}).update(_effects(library))
    found = []
    for name in sorted(first, key=str.lower):
        library, own = first[name], effects[name].values()
        if own:
            found.append(
                Summary(
                    name, library.title, library.distribution, library.checked, library.unchecked,
                    blocking=len(own),
                    twins=sum(1 for effect in own if effect.twin is not None),
                    rewritten=sum(1 for effect in own if effect.rule is not None),
                    guesses=sum(1 for effect in own if effect.confidence == "guess"),
                )
            )  # fmt: skip
    return tuple(found)


def _effects(library: Library) -> dict[str, Effect]:
    """What the names of one catalog file mean, all catalogs taken together."""
    names = (*library.blocks, *(f"{owner}.*" for owner in library.wildcards))
    effects = (catalog.blocking(name) or catalog.suspected(name) for name in names)
    return {e.dotted: e for e in effects if e is not None}


def markdown(found: Iterable[Summary]) -> str:
    """The table of docs/catalog.md."""
    rows = [
        "| library | blocking | with a twin | with a rule | checked with |",
        "|---|---|---|---|---|",
    ]
    totals = [0, 0, 0, 0]
    for summary in found:
        totals[0] += 1
        for index, count in enumerate((summary.blocking, summary.twins, summary.rewritten), 1):
            totals[index] += count
        where = "Python 3.11 to 3.13"
        if summary.name.partition(".")[0] == "bridgekit":
            where = "this version"
        elif summary.unchecked:
            where = f"nothing: {summary.unchecked}"
        elif summary.distribution:
            where = f"{summary.distribution} {summary.checked}"
        rows.append(
            f"| `{summary.name}` | {summary.blocking} | {summary.twins or ''} "
            f"| {summary.rewritten or ''} | {where} |"
        )
    rows.append(f"| {totals[0]} libraries | {totals[1]} | {totals[2]} | {totals[3]} | |")
    return "\n".join(rows)
