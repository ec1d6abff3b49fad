"""Proves steps by the guard: which tests a step needs, what a run says, whom a red run blames.

After a step only the tests run that the record of the baseline shows to reach it, those that
failed before first. The whole suite runs wherever that record may not say all: see
:meth:`Prover.choose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bridgekit_codemods.migration.baseline import FLAKY, Baseline, BaselineRuns, Teller
from bridgekit_codemods.migration.guard import Guard, GuardResult, Selection
from bridgekit_codemods.migration.ledger import Ledger
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.reached import Reached
from bridgekit_codemods.planning.steps import Step

WHOLE = "whole"
REACHED = "reached"
_MANY_FILES = 5
_NEARLY_ALL = 0.8
_SHOWN = 20
_IN_PLACE = frozenset({"flip", "views", "fold"})
"""Kinds of steps that may touch many files and still be proved by the tests that reach them."""


@dataclass(frozen=True)
class Refusal:
    """Why a step may not stay."""

    cause: str
    detail: str
    log: Path | None = None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The tests that a step is proved by."""

    selection: Selection
    why: str | None
    """Why it is the whole suite; ``None`` where it is the tests that reach the step."""
    reached: Reached | None = None

    @property
    def unguarded(self) -> bool:
        """Whether it is known that no test reaches what the step changes."""
        return self.reached is not None and self.reached.unguarded


@dataclass
class Prover:
    """Knows what the baseline was and what was proved since. One walk's, used by one thread."""

    guard: Guard
    policy: GuardPolicy
    ledger: Ledger
    teller: Teller
    baseline: Baseline | None = None
    _aside: set[str] = field(default_factory=set)
    _doubt: str | None = None

    def begin(self, sources: Mapping[str, bytes]) -> None:
        """Make the baseline, once.

        Raises:
            BaselineError: the guard is not green, or not reliably.
        """
        aside = self.ledger.history().aside
        known = frozenset(test for test, why in aside.items() if why == FLAKY)
        self.baseline = BaselineRuns(self.guard, self.policy, self.teller, known).run(sources)
        self._aside = set(self.baseline.set_aside)
        self.ledger.append(
            "baseline",
            command=self.guard.description,
            runs=self.baseline.runs,
            summary=self.baseline.result.summary,
            seconds=round(self.baseline.result.seconds, 2),
            tests=len(self.baseline.result.outcomes or ()),
            recorded=self.baseline.reach is not None,
            aside=dict(self.baseline.set_aside),
        )

    # Which tests

    def whole(self) -> Selection:
        """All tests but those that were set aside, in this run of the walk or before."""
        aside = self._aside if self.baseline is not None else self.ledger.history().aside
        return Selection(without=frozenset(aside), at_first_failure=False)

    def choose(
        self, step: Step, sources: Mapping[str, bytes], changes: Mapping[str, bytes | None]
    ) -> Choice:
        """The tests that prove a step: those that reach it, or for a reason all of them."""
        whole = Selection(
            without=frozenset(self._aside),
            first=self._failed_before(),
            at_first_failure=True if self.guard.selects else None,
        )
        baseline = self.baseline
        if baseline is None or baseline.reach is None:
            return Choice(whole, "which tests reach the step is not known")
        reached = baseline.reach.by(sources, changes)
        unproven = len(self.ledger.history().unproven)
        tests = (reached.tests | baseline.always) - self._aside
        every = len(baseline.result.outcomes or ())
        why = None
        if self._doubt:
            why = self._doubt
        elif step.milestone:
            why = "a milestone of the walk"
        elif step.kind not in _IN_PLACE and len(changes) > _MANY_FILES:
            why = f"it prepares {len(changes)} files"
        elif reached.doubts:
            why = reached.doubts[0]
        elif not tests:
            why = "no test is known to reach it"
        elif unproven + 1 >= self.policy.whole_every:
            why = f"{unproven} steps saw only a part of it"
        elif len(tests) >= _NEARLY_ALL * every:
            why = "nearly all tests reach it"
        return Choice(replace(whole, only=None if why else tests), why, reached)

    def _failed_before(self) -> tuple[str, ...]:
        """The tests that failed in earlier runs, the latest first."""
        found: dict[str, None] = {}
        for record in reversed(self.ledger.records()):
            found.update(dict.fromkeys(record.get("failed") or ()))
        return tuple(found)

    # What a run says

    def judge(self, result: GuardResult, selection: Selection) -> Refusal | None:
        """What speaks against the program that a run saw."""
        failed = tuple(sorted(result.failed))
        if result.timed_out:
            detail = f"{result.summary}\n{result.output()}"
            return Refusal("timeout", detail, result.log, failed)
        if not result.ok:
            detail = result.output() or result.summary
            if result.summary not in detail:
                detail = f"{detail}\n{result.summary}"
            return Refusal("guard", detail, result.log, failed)
        before = self.baseline.result.passed if self.baseline is not None else None
        if before and result.passed is not None:
            lost = {test for test in before if selection.includes(test)} - result.passed
            if lost:
                shown = "\n".join(sorted(lost)[:_SHOWN])
                detail = f"tests that passed before did not run:\n{shown}"
                return Refusal("guard", detail, result.log)
        return None

    def summary(self, choice: Choice, result: GuardResult) -> dict[str, Any]:
        """What the ledger keeps of a green run."""
        every = len(self.baseline.result.outcomes or ()) if self.baseline is not None else 0
        facts: dict[str, Any] = {"tests": REACHED if choice.selection.only else WHOLE}
        if every:
            facts |= {"ran": len(result.outcomes or ()), "of": every}
        if choice.why and self.guard.selects:
            facts["why"] = choice.why
        if choice.reached is not None and choice.reached.unreached:
            facts["unreached"] = list(choice.reached.unreached)
        if choice.unguarded:
            facts["unguarded"] = True
        if result.leftovers:
            facts["leftovers"] = list(result.leftovers)
        return facts

    def kept(self, sources: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> None:
        """A step became part of the program."""
        if self.baseline is not None and self.baseline.reach is not None:
            self.baseline.reach.follow(sources, changes)

    # Whom a red run blames

    def set_aside(self, tests: frozenset[str]) -> None:
        """These tests fail for a program for which they passed before."""
        self._aside |= tests
        self.ledger.append("unstable", aside=dict.fromkeys(sorted(tests), FLAKY))
        for test in sorted(tests):
            self.teller.note(f"set aside, it fails without the step too: {test}")

    def distrust(self, why: str) -> None:
        """From here on the whole suite runs after every step."""
        self._doubt = why
        self.teller.note(f"from here on the whole suite runs after every step: {why}")


def proposal(step: Step, refusal: Refusal) -> str:
    """What a person can do about a step that was kept back."""
    again = "then `bridgekit migrate --write --retry`"
    keep = ", ".join(f'"{name}"' for name in step.members[:3]) + (
        ", ..." if len(step.members) > 3 else ""
    )
    stay = f"or leave it sync for good: keep = [{keep}] in [tool.bridgekit]"
    what = f"{refusal.failed[0]}" if refusal.failed else "the output"
    match refusal.cause:
        case "unguarded":
            return (
                "write a test that runs it, or read `bridgekit plan --diff` and accept it as it "
                "is with --allow-unguarded"
            )
        case "timeout":
            return (
                f"see where it hangs ({refusal.log.name if refusal.log else 'the log'} ends with "
                f"the stacks): most often sync code waits on the thread of the loop; repair that, "
                f"{again}"
            )
        case "guard" if step.kind in _IN_PLACE:
            return f"see {what}; repair what it shows, {again}; {stay}"
        case _:
            return f"see {what}; repair what it shows, {again}"
