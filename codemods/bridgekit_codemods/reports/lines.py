"""Reports as plain lines, one fact a line, for terminals, pipes and logs alike.

Every function takes plain values and yields lines without styling and without a line end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridgekit_codemods.migration.checks import Problem
    from bridgekit_codemods.migration.ledger import Applied, History, Kept
    from bridgekit_codemods.migration.preview import PlannedStep
    from bridgekit_codemods.planning.scope import Scope
    from bridgekit_codemods.planning.steps import Finding
    from bridgekit_codemods.planning.survey import Survey
    from bridgekit_codemods.reports.model import Recording, Report


def short(key: str, width: int = 60) -> str:
    """A step's key as shown to people; those of large steps name every member."""
    return key if len(key) <= width else f"{key[: width - 3]}..."


def survey(result: Survey) -> Iterator[str]:
    """Counts, what blocks, where calls come from, and what stands in the way."""
    yield f"{count(result.files, 'file')}, {count(result.functions, 'function')}"
    for colour, number in result.colours.items():
        yield f"  {colour:<9}{number:>6}"
    yield ""
    effects = Counter(leaf.effect for leaf in result.leaves)
    shown = ", ".join(f"{effect} {number}" for effect, number in effects.most_common())
    yield f"{count(len(result.leaves), 'blocking call')}" + (f": {shown}" if shown else "")
    for leaf in result.leaves:
        where = leaf.function or "module level"
        yield f"  {leaf.path}:{leaf.line}: {leaf.effect}: {leaf.target} in {where}"
    yield ""
    yield f"{count(len(result.entry_points), 'entry point')}"
    for entry in result.entry_points:
        yield f"  {entry.path}:{entry.line}: {entry.kind}: {entry.function}"
    yield ""
    yield from findings(result.findings)


def findings(found: Iterable[Finding], shown: int | None = None) -> Iterator[str]:
    """One line for what was found, one for the remedy; `shown` of each code at most."""
    found = list(found)
    yield count(len(found), "finding")
    seen: Counter[str] = Counter()
    for finding in found:
        seen[finding.code] += 1
        if shown is not None and seen[finding.code] > shown:
            continue
        where = f" [{finding.function}]" if finding.function else ""
        yield f"  {finding.path}:{finding.line}: {finding.code} {finding.reason}{where}"
        yield f"      remedy: {finding.remedy}"
    for code, number in seen.most_common():
        if shown is not None and number > shown:
            yield f"  {code}: {number - shown} more, which --json lists"


def planned(step: PlannedStep, diff: bool = True) -> Iterator[str]:
    """A step to come, with its members, bridges, objections and (on request) its difference."""
    yield f"step {step.number}: {step.step.title}"
    yield f"  key: {step.step.key}"
    for label, names in (
        ("changes together", step.step.members),
        ("bridges added", step.step.bridges_added),
        ("bridges removed", step.step.bridges_removed),
        ("files", step.files),
    ):
        if names:
            yield f"  {label}: {listed(names)}"
    for objection in step.objections:
        yield f"  would be kept back: {objection}"
    if diff:
        yield from step.diff.removesuffix("\n").split("\n")
    yield ""


def plan_summary(steps: int, found: Iterable[Finding], shown: int | None = None) -> Iterator[str]:
    """How many steps there are, and what stays as it is; `shown` findings of each code at most."""
    yield count(steps, "step") + " to come" if steps else "nothing to do"
    yield from findings(found, shown)


def listed(names: Sequence[str], shown: int = 20) -> str:
    """The names, or how many there are beyond the first."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def status(history: History) -> Iterator[str]:
    """Every step that is part of the program, every one that was kept back."""
    yield from (applied(number, entry) for number, entry in enumerate(history.applied, 1))
    for entry in history.blamed:
        yield kept(entry)
    if history.pending is not None:
        yield f"interrupted  {history.pending.key}  (the next run takes it back or finishes it)"
    yield (
        f"{count(len(history.applied), 'step')} done, {len(history.blamed)} kept back"
        if history.last
        else "no migration has been started here"
    )


def applied(number: int, entry: Applied) -> str:
    commit = (entry.commit or "")[:10] if _is_hash(entry.commit) else entry.commit
    mark = "  unguarded" if entry.guard.get("unguarded") else ""
    title = f"{entry.step.title}  [{short(entry.step.key)}]"
    return f"{number:>3}  done  {commit or '-'}  {title}{mark}"


def kept(entry: Kept) -> str:
    log = f"  (output: {entry.log})" if entry.log else ""
    return f"  -  kept  {entry.title}  [{short(entry.key)}]  {entry.cause}: {reason(entry)}{log}"


def reason(entry: Kept) -> str:
    """The line of a failure that says most: pytest's short summary, or the last line."""
    lines = [line.strip() for line in entry.detail.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("FAILED ", "ERROR ", "E  "))]
    return (telling or lines[-1:] or [""])[0]


def report(history: History, found: Iterable[Finding]) -> Iterator[str]:
    """What was done, what was kept back and what stays as it is, each with its reason."""
    yield "Done"
    for number, entry in enumerate(history.applied, 1):
        yield f"  {applied(number, entry)}"
        if entry.guard.get("summary"):
            yield f"       guard: {entry.guard['summary']}"
    yield "Kept back"
    if not history.kept:
        yield "  none"
    for item in history.kept.values():
        yield f"  {kept(item)}"
        for line in item.detail.splitlines()[-8:]:
            yield f"       | {line}"
    yield "Stays as it is"
    yield from findings(found)


def scope(limits: Scope) -> Iterator[str]:
    """The limits of the walk, if there are any."""
    if limits.limited:
        yield f"Limited to {limits.words()}"


def to_come(report: Report) -> Iterator[str]:
    """The steps to come, if they were looked for, with what they free of a recording."""
    if not report.is_planned:
        return
    yield "To come, foreseen from one reading of the program" if report.is_foreseen else "To come"
    steps = report.with_state("planned", "refused")
    if not steps:
        yield "  none"
    for step in steps:
        gain = f"  frees {step.gain.share:.1%} of the recorded waiting" if step.gain else ""
        refused = "  (would be kept back)" if step.state == "refused" else ""
        yield f"{step.number:>3}  {step.title}{gain}{refused}"
    if report.recording is not None:
        yield from recording(report.recording)


def recording(found: Recording) -> Iterator[str]:
    """What the steps make of the recorded waiting."""
    yield (
        f"recorded waiting: {found.seconds:.3g} s, of which the steps free {found.share:.1%} "
        f"({found.freed:.3g} s)"
    )
    for name, seconds in found.held[:10]:
        yield f"  {seconds:.3g} s still hold a thread in {name}"
    if found.unknown:
        yield f"  {found.unknown:.3g} s belong to no function and view of this program"


def problems(found: Iterable[Problem]) -> Iterator[str]:
    """Files that could not be processed."""
    for problem in found:
        yield f"{problem.path}:{problem.line}: cannot be processed: {problem.message}"


def _is_hash(name: str | None) -> bool:
    return bool(name) and len(name or "") >= 40 and all(c in "0123456789abcdef" for c in name or "")


def count(number: int, noun: str) -> str:
    """A number and its noun, in the plural unless it is one."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
