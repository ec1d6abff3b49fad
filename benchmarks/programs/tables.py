"""The results as Markdown: what docs/programs.md holds between its markers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.programs.migrating import Result

BEGIN = "<!-- made by benchmarks.programs -->"
END = "<!-- end of what is made -->"


def tables(results: Iterable[Result]) -> str:
    """One table of all programs, and below it what stays sync in each, with the reasons."""
    results = list(results)
    return "\n".join([*_overview(results), *(line for r in results for line in _reasons(r))])


def written_into(page: Path, made: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        ValueError: the page has no such markers.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} does not have {BEGIN} and {END}")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(f"{text[:start]}\n\n{made}\n\n{text[end:]}", encoding="utf-8")


def _overview(results: list[Result]) -> Iterator[str]:
    yield (
        "| program | source | its suite before | after | steps | kept back | blocking calls "
        "| native | bridged | kept | bridges in the text | seconds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for result in results:
        found = result.fates
        yield (
            f"| {result.entry.name} | {result.entry.source.words} | {result.before} "
            f"| {result.after} | {result.steps} | {len(result.red)} | {found.total} "
            f"| {_share(found.native, found.total)} | {_share(found.bridged, found.total)} "
            f"| {_share(found.kept, found.total)} | {result.bridges.to_thread} to a thread, "
            f"{result.bridges.to_loop} facades | {result.seconds:.0f} |"
        )


def _share(number: int, total: int) -> str:
    return f"{number} ({100 * number / total:.0f} %)" if total else "0"


def _reasons(result: Result) -> Iterator[str]:
    yield ""
    yield f"### {result.entry.name}"
    yield ""
    if result.entry.remark:
        yield f"{result.entry.remark[0].upper()}{result.entry.remark[1:]}."
        yield ""
    words = " ".join(result.entry.options)
    yield f"`bridgekit migrate --write {words}`".replace(" `", "`")
    yield ""
    lines = [f"- kept back: {red}" for red in result.red]
    lines += [
        f"- {number} {fate}: {reason}"
        for (fate, reason), number in sorted(
            result.fates.reasons.items(), key=lambda item: (item[0][0], -item[1], item[0][1])
        )
    ]
    yield from lines or ["Nothing blocks any more."]
    if result.again:
        yield f"- a second run did {result.again} more steps"
    yield from _twins(result)


def _twins(result: Result) -> Iterator[str]:
    twin, found = result.entry.twin, result.twins
    if twin is None or found is None:
        return
    yield ""
    yield (
        f"Beside [{twin.name}]({twin.source.url}/tree/{twin.source.commit}), which its maintainers "
        f"write by hand: {len(found.both)} functions are async in both."
    )
    yield ""
    yield from (f"- async there alone: `{name}`: {why}" for name, why in found.theirs)
    yield from (f"- async after the migration alone: `{name}`" for name in found.ours)
    yield from (f"- only there: `{name}`" for name in found.new)
