"""Runs the guard before the first step: what passes, what is flaky, and which tests run what.

The last run is recorded by the collector. The collector slows tests, so a recorded run that comes
out otherwise than the plain ones counts for nothing but its record, and is made again without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bridgekit_codemods.migration.errors import BaselineError
from bridgekit_codemods.migration.guard import Guard, GuardResult, Selection
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.reached import Reach
from bridgekit_codemods.tracing.run import collected

FLAKY = "flaky"
RED = "red"
_SHOWN = 20


class Teller(Protocol):
    """Hears how the runs go."""

    def note(self, message: str) -> None: ...

    def started(self, number: int, title: str, key: str) -> None: ...

    def state(self, state: str) -> None: ...

    def finished(self, outcome: str, detail: str, seconds: float) -> None: ...


@dataclass(frozen=True)
class Baseline:
    """What the guard said of the program before the first step."""

    result: GuardResult
    """Of the run that every later one is compared with: green, without what was set aside."""
    runs: int = 1
    set_aside: Mapping[str, str] = field(default_factory=dict)
    """Tests that later runs leave out, each with the reason: ``flaky`` or ``red``."""
    reach: Reach | None = None
    always: frozenset[str] = frozenset()
    """Tests whose reach is not known because they came out otherwise under the collector."""


class BaselineRuns:
    """Makes the runs of one baseline. `known` are tests that were found flaky before."""

    def __init__(
        self, guard: Guard, policy: GuardPolicy, teller: Teller, known: frozenset[str]
    ) -> None:
        self._guard = guard
        self._policy = policy
        self._teller = teller
        self._known = known
        self._number = 0
        self._last: GuardResult | None = None

    def run(self, sources: Mapping[str, bytes]) -> Baseline:
        """Run the guard as often as the policy says.

        Raises:
            BaselineError: it is red, or hangs, or does not come out the same each time.
        """
        if self._guard.notice:
            self._teller.note(self._guard.notice)
        if not self._guard.selects:
            return self._by_exit_code()
        wanted = self._policy.reached_only and self._policy.baseline_runs > 1
        plain = [self._plain() for _ in range(self._policy.baseline_runs - wanted)]
        reach, always = Reach(), frozenset[str]()
        if wanted and all(self._policy.allows(test) for test in plain[-1].failed):
            result, reach = self._recorded(sources, self._known)
            if result.outcomes == plain[-1].outcomes:
                plain.append(result)
            else:
                always = _differing(result, plain[-1])
        if len(plain) < self._policy.baseline_runs:
            plain.append(self._plain())
        aside = self._set_aside(plain)
        everything = dict.fromkeys(sorted(self._known), FLAKY) | aside
        if not aside:
            return Baseline(plain[-1], self._number, everything, reach or None, always)
        without = frozenset(everything)
        if wanted and not reach:
            result, reach = self._recorded(sources, without)
            if result.ok:
                return Baseline(result, self._number, everything, reach or None)
        result = self._without(without)
        if reach:
            always = always - without
        return Baseline(result, self._number, everything, reach or None, always)

    def _by_exit_code(self) -> Baseline:
        for number in range(self._policy.baseline_runs):
            result = self._run("green")
            if not result.ok:
                what = "does not end" if result.timed_out else "fails"
                if number:
                    what = f"passes in one run and {what} in another"
                raise self._error(what, result)
        return Baseline(result, self._number)

    def _plain(self) -> GuardResult:
        """A run that ends by itself and in which at most single tests fail."""
        result = self._run("green", Selection(without=self._known, at_first_failure=False))
        if result.timed_out:
            raise self._error("does not end", result)
        if not result.ok and not result.failed:
            raise self._error("fails", result)
        return result

    def _recorded(
        self, sources: Mapping[str, bytes], without: frozenset[str]
    ) -> tuple[GuardResult, Reach]:
        with tempfile.TemporaryDirectory(prefix="bridgekit-trace-") as directory:
            selection = Selection(without=without, at_first_failure=False)
            result = self._run("recorded", selection, Path(directory))
            try:
                trace = collected(Path(directory), self._guard.description.split())
            except (ValueError, KeyError):  # torn, when a process of the run was killed
                return result, Reach()
        is_whole = not result.timed_out and (result.returncode or 0) >= 0
        return result, Reach.of(trace, sources) if is_whole else Reach()

    def _without(self, tests: frozenset[str]) -> GuardResult:
        result = self._run("green", Selection(without=tests, at_first_failure=False))
        if not result.ok:
            raise self._error("fails also without the tests that were set aside", result)
        return result

    def _set_aside(self, runs: list[GuardResult]) -> dict[str, str]:
        outcomes = [run.outcomes or {} for run in runs]
        every = {test for known in outcomes for test in known}
        red = sorted(test for test in every if all(o.get(test) == "failed" for o in outcomes))
        stopping = [test for test in red if not self._policy.allows(test)]
        if stopping:
            shown = ", ".join(stopping[:_SHOWN])
            more = f" and {len(stopping) - _SHOWN} more" if len(stopping) > _SHOWN else ""
            raise self._error(
                "fails", runs[-1],
                f"; these tests are red: {shown}{more}. Repair them, or go on without them: "
                "--allow-red PATTERN",
            )  # fmt: skip
        flaky = sorted(test for test in every if len({o.get(test) for o in outcomes}) > 1)
        for word, tests in ((FLAKY, flaky), (RED, red)):
            for test in tests:
                self._teller.note(f"set aside, {_REASONS[word]}: {test}")
        if self._known:
            self._teller.note(
                f"set aside, flaky in an earlier run: {', '.join(sorted(self._known))}"
            )
        return {**dict.fromkeys(flaky, FLAKY), **dict.fromkeys(red, RED)}

    def _run(
        self, green: str, selection: Selection | None = None, record: Path | None = None
    ) -> GuardResult:
        self._number += 1
        title = f"The guard before the first step: {self._guard.description}"
        if self._number > 1:
            title = f"The guard once more, run {self._number}"
        if record is not None:
            title += ", recording which tests run what"
        self._teller.started(0, title, "")
        self._teller.state("testing")
        name = "0000-baseline" if self._number == 1 else f"0000-baseline-{self._number}"
        selection = selection or Selection()
        result = self._guard.run(name, selection, self._teller.state, record)
        self._teller.finished(green if result.ok else "red", result.summary, result.seconds)
        return result

    def _error(self, what: str, result: GuardResult, more: str = "") -> BaselineError:
        return BaselineError(
            f"the guard {what} before the first step ({result.summary}); nothing was changed{more}",
            result.output(),
        )


_REASONS = {FLAKY: "it does not come out the same each time", RED: "it is red, as allowed"}


def _differing(first: GuardResult, second: GuardResult) -> frozenset[str]:
    one, other = first.outcomes or {}, second.outcomes or {}
    return frozenset(t for t in one.keys() | other.keys() if one.get(t) != other.get(t))
