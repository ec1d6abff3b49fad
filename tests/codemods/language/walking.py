"""Takes a small program through all rules, as `bridgekit migrate` would, and judges the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bridgekit_codemods.migration.checks import check_changes
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.walk.planner import RulePlanner, build_planner

REMARKS = frozenset({"BK257", "BK259", "BK271"})
"""Findings that say how the result is used, and keep nothing from changing."""
ADVICE = frozenset({"BK246"})
"""Findings about what a reader should look at; nothing is kept from changing."""


Guard = Callable[[Mapping[str, bytes]], bool]
"""Says whether the program's own tests come out as they did before the walk."""


@dataclass(frozen=True)
class Walked:
    """The program after each step, and what is said about the last one."""

    programs: tuple[Mapping[str, bytes], ...]
    messages: tuple[str, ...]
    """What the static checks found wrong after some step."""
    findings: tuple[Finding, ...]
    verdict: str

    @property
    def result(self) -> Mapping[str, bytes]:
        return self.programs[-1]


def walk(files: Mapping[str, bytes], guard: Guard) -> Walked:
    """All steps, until no rule has one left; those that the guard does not pass are taken back."""
    planner = build_planner(granularity="layer")
    programs = [files]
    messages: list[str] = []
    kept: frozenset[str] = frozenset()
    for _ in range(40):
        step = planner.next_step(programs[-1], kept)
        if step is None:
            break
        changed = {**programs[-1], **step.changes}
        after = {path: data for path, data in changed.items() if data is not None}
        messages += check_changes(programs[-1], step.changes)
        messages += planner.verify(step, after)
        if guard(after):
            programs.append(after)
        else:
            kept |= {step.key}
    else:
        raise AssertionError("the walk does not end")
    findings = planner.findings(programs[-1], kept)
    verdict = _verdict(planner, programs[-1], findings)
    return Walked(tuple(programs), tuple(messages), findings, verdict)


def _verdict(
    planner: RulePlanner, files: Mapping[str, bytes], findings: tuple[Finding, ...]
) -> str:
    """`refused` where the view itself had to stay sync, `bridged` where something below it did."""
    codes = ",".join(sorted({finding.code for finding in findings} - REMARKS))
    if codes and ADVICE.issuperset(codes.split(",")):
        return f"advised:{codes}"
    if not planner.program(files).functions["app.view"].is_async:
        return f"refused:{codes}"
    if codes:
        return f"bridged:{codes}"
    return "bridged" if planner.bridges(files).total else "rewritten"


def lines(findings: tuple[Finding, ...]) -> Iterator[str]:
    """The findings as they are shown."""
    for finding in findings:
        yield f"{finding.path}:{finding.line}: {finding.code} {finding.reason}; {finding.remedy}"
