"""A report as GitHub-flavoured Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bridgekit_codemods.reports.codes import explain
from bridgekit_codemods.reports.lines import count
from bridgekit_codemods.reports.model import Recording, Report, StepEntry, asks, by_target

LIMIT = 60_000
"""Comments hold 65,536 characters; the rest of a longer report is left out and said to be."""
_ROWS = 20
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$@])")
_MARK = {"pure": "⚪", "blocking": "🟠", "native": "🔵"}


def write(report: Report) -> str:
    """The comment; ends with a line end."""
    blocks = [list(block) for block in _blocks(report)]
    text = ""
    for block in blocks:
        part = "\n".join(block) + "\n"
        if len(text) + len(part) > LIMIT:
            text += "\n*The rest is in the HTML report.*\n"
            break
        text += ("\n" if text else "") + part
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _blocks(report: Report) -> Iterator[Iterator[str]]:
    yield _summary(report)
    if report.steps:
        yield _steps(report)
    if report.with_state("kept", "refused"):
        yield _kept(report)
    yield from _findings(report)
    if report.overview.closures:
        yield _closures(report)
    if report.recording is not None:
        yield _recording(report.recording)
    if report.suspects:
        yield _suspects(report)
    if report.paths:
        yield _paths(report)
    if report.hot_files:
        yield _hot(report)
    if report.unreadable:
        yield _unreadable(report)


def _summary(report: Report) -> Iterator[str]:
    counts = report.counts
    yield f"## {_text(report.program)}: the way to async"
    yield ""
    yield "| | functions | |"
    yield "|:--|--:|:--|"
    total = max(counts.functions, 1)
    for colour, number in (
        ("blocking", counts.blocking), ("native", counts.native), ("pure", counts.pure),
    ):  # fmt: skip
        bar = "█" * round(24 * number / total)
        yield f"| {_MARK[colour]} {colour} | {number} | {bar} |"
    yield ""
    effects = ", ".join(f"{effect} {number}" for effect, number in report.effects.items())
    asking = sum(map(asks, report.findings))
    yield (
        f"{count(report.calls, 'blocking call')}{f' ({effects})' if effects else ''} · "
        f"{count(report.lazy_loads, 'lazy load')} · "
        f"{count(counts.bridges, 'bridge')} · {count(len(report.entries), 'entry point')} · "
        f"{count(len(report.findings), 'finding')}, {asking} of which ask for a change"
    )


def _steps(report: Report) -> Iterator[str]:
    done, kept = report.with_state("done"), report.with_state("kept", "refused")
    to_come = report.with_state("planned")
    words = [f"{count(len(done), 'step')} done"]
    if kept:
        words.append(f"{len(kept)} kept back")
    if report.is_planned:
        words.append(f"{len(to_come)} {'foreseen' if report.is_foreseen else 'to come'}")
    limits = report.overview.scope
    yield f"**{', '.join(words)}**" + (
        f", limited to {_code(limits.words())}" if limits.limited else ""
    )
    if done:
        yield ""
        yield from _folded("Steps done", _step_table(done))
    if to_come:
        yield ""
        yield from _folded("Steps to come", _step_table(to_come, report.recording is not None))


def _step_table(steps: Iterable[StepEntry], gains: bool = False) -> Iterator[str]:
    yield "| | step | blocking | native | bridges |" + (" frees |" if gains else "")
    yield "|--:|:--|--:|--:|--:|" + ("--:|" if gains else "")
    rows = list(steps)
    for step in rows[:_ROWS]:
        after = step.counts
        numbers = (after.blocking, after.native, after.bridges) if after else ("", "", "")
        cells = [*map(str, numbers)]
        if gains:
            cells.append(f"{step.gain.share:.1%}" if step.gain and step.gain.seconds else "")
        yield f"| {step.number} | {_text(step.title)} | {' | '.join(cells)} |"
    yield from _rest(len(rows), "| | *and {}* | | | |" + (" |" if gains else ""))


def _closures(report: Report) -> Iterator[str]:
    def rows() -> Iterator[str]:
        yield "| waits for | calls | functions wait | become async with it alone | views of those |"
        yield "|:--|--:|--:|--:|--:|"
        for closure in report.overview.closures:
            yield (
                f"| {_text(closure.kind)} | {closure.seeds} | {closure.waiting} "
                f"| {closure.becoming_async} | {closure.views} |"
            )

    yield from _folded("How far each kind of waiting reaches", rows())


def _recording(found: Recording) -> Iterator[str]:
    def rows() -> Iterator[str]:
        yield "| still holds a thread after the last step | seconds |"
        yield "|:--|--:|"
        for name, seconds in found.held[:_ROWS]:
            yield f"| {_code(name)} | {seconds:.3g} |"
        yield from _rest(len(found.held), "| *and {}* | |")

    head = f"Of {found.seconds:.3g} s of recorded waiting the steps free {found.share:.1%}"
    yield from _folded(head, rows())


def _suspects(report: Report) -> Iterator[str]:
    def rows() -> Iterator[str]:
        found = by_target(report.suspects)
        for target, places in list(found.items())[:_ROWS]:
            first = places[0]
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            place = _code(f"{first.path}:{first.line}")
            yield f"- {_code(target)} at {place}{more}: {_text(first.reason)}"
        yield from _rest(len(found), "- *and {}*")

    head = f"{count(len(report.suspects), 'call')} may block, of which the catalog is not sure"
    yield from _folded(head, rows())


def _kept(report: Report) -> Iterator[str]:
    yield "### Kept back"
    yield ""
    for step in report.with_state("kept", "refused"):
        lines = [line for line in step.detail.splitlines() if line.strip()]
        reason = f": {_code(lines[-1].strip()[:200])}" if lines else ""
        yield f"- {_text(step.title)} ({_text(step.cause or '')}){reason}"


def _findings(report: Report) -> Iterator[Iterator[str]]:
    """A block a code, so that a long list leaves out codes from the end."""
    heading = ["### What stands in the way", ""]
    for code, found in report.findings_by_code.items():
        rows = [
            f"- {_code(f'{f.path}:{f.line}')} {_text(f.reason)}<br>Remedy: {_text(f.remedy)}"
            for f in found[:_ROWS]
        ]
        head = f"{code} {_text(explain(code).name)} ({len(found)})"
        folded = _folded(head, [*rows, *_rest(len(found), "- *and {}*")])
        yield iter([*heading, *folded])
        heading = []


def _paths(report: Report) -> Iterator[str]:
    def rows() -> Iterator[str]:
        yield "| entry point | blocks on | shortest way to a blocking call |"
        yield "|:--|:--|:--|"
        found = sorted(report.paths_of.items(), key=lambda item: (-len(item[1]), item[0]))
        for entry, paths in found[:_ROWS]:
            way = " → ".join(
                report.functions[n].name.rpartition(".")[2] for n in paths[0].functions[1:]
            )
            leaf = report.leaves[report.functions[paths[0].functions[-1]].leaves[0]]
            function = report.functions[entry]
            yield (
                f"| {_code(function.name)} | {', '.join(function.effects)} | "
                f"{_text(way)}{' → ' if way else ''}{_code(leaf.target)} |"
            )
        yield from _rest(len(found), "| *and {}* | | |")

    yield from _folded("Entry points that wait the most", rows())


def _hot(report: Report) -> Iterator[str]:
    def rows() -> Iterator[str]:
        yield "| file | blocking calls | blocking functions | entry points | findings |"
        yield "|:--|--:|--:|--:|--:|"
        for file in report.hot_files[:_ROWS]:
            yield (
                f"| {_code(file.path)} | {file.calls} | {file.blocking} | {file.entries} "
                f"| {file.findings} |"
            )
        yield from _rest(len(report.hot_files), "| *and {}* | | | | |")

    yield from _folded("Hot files", rows())


def _unreadable(report: Report) -> Iterator[str]:
    yield "### Files that could not be processed"
    yield ""
    for file in report.unreadable[:_ROWS]:
        yield f"- {_code(f'{file.path}:{file.line}')} {_text(file.message)}"
    yield from _rest(len(report.unreadable), "- *and {}*")


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{summary}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"


def _rest(total: int, form: str) -> Iterator[str]:
    if total > _ROWS:
        yield form.format(f"{total - _ROWS} more")


def _text(text: str) -> str:
    """Text that Markdown and HTML leave alone, on one line."""
    return (
        _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\>", "&gt;")
    )


def _code(text: str) -> str:
    """A code span; the one mark that would end it, and that of a table's cell, are replaced."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", "¦")
    return f"`{plain}`"
