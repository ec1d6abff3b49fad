"""Whom to blame when the guard is red: the step, an earlier one, or the tests themselves.

Only a guard that tells its tests apart makes this possible. The same tests run once more on the
program without the step. Where they are green, the step is to blame.
"""

from __future__ import annotations

from bridgekit_codemods.migration.guard import GuardResult, Selection
from bridgekit_codemods.migration.ledger import Applied
from bridgekit_codemods.migration.proving import Prover, Refusal
from bridgekit_codemods.migration.session import Session
from bridgekit_codemods.migration.undo import undo

_ALONE = "some tests fail when the others do not run"
_MISSED = "a step broke a test that was not known to reach it"


class Blamer:
    """Works on the program as it is in the files, with no step under way."""

    def __init__(self, session: Session, prover: Prover) -> None:
        self._session = session
        self._prover = prover

    def is_the_steps(self, name: str, selection: Selection) -> bool:
        """Whether a red run with these tests was the fault of the step, which is undone by now.

        Where it was not, what was at fault has been taken back or set aside, and the step may be
        tried again.
        """
        prover = self._prover
        if not prover.guard.selects:
            return True
        prover.teller.state("testing without the step")
        result, refusal = self._run(f"{name}-without", selection)
        if refusal is None:
            return True
        if selection.only is not None:
            result, refusal = self._run(f"{name}-without-whole", prover.whole())
            if refusal is None:
                prover.distrust(_ALONE)
                return False
        if not result.failed:
            return True
        self.settle(name, result.failed, refusal)
        return False

    def settle(self, name: str, failed: frozenset[str], refusal: Refusal | None) -> None:
        """These tests fail in the program as it is: take back what broke them, or set them aside
        when they fail in the program that the whole suite has passed in."""
        entry = self._take_back(name, failed, refusal)
        if entry is not None:
            self._prover.distrust(_MISSED)
        else:
            self._prover.set_aside(failed)

    def is_unstable(self, name: str, failed: frozenset[str]) -> bool:
        """Whether tests that were red just now are green for the same program."""
        _, refusal = self._run(f"{name}-again", self._only(failed))
        return refusal is None

    def _take_back(
        self, name: str, failed: frozenset[str], refusal: Refusal | None
    ) -> Applied | None:
        """Undo the steps that no whole run has proved, the last first, until the tests are green;
        the one that was undone last stays undone."""
        session, prover = self._session, self._prover
        selection = self._only(failed)
        while session.ledger.history().unproven:
            (entry,) = undo(session).steps
            prover.teller.note(f"taken back, to find what broke a test: {entry.step.title}")
            _, still = self._run(f"{name}-before-{entry.step.n:04}", selection)
            if still is not None:
                continue
            session.ledger.append(
                "kept",
                n=entry.step.n,
                key=entry.step.key,
                kind=entry.step.kind,
                title=entry.step.title,
                cause="guard",
                detail=refusal.detail if refusal is not None else "",
                members=list(entry.step.members),
                failed=sorted(failed),
                proposal=(
                    "the tests that were known to reach it were green, these were not; see what "
                    "they show, then `bridgekit migrate --write --retry`"
                ),
            )
            return entry
        return None

    def _only(self, tests: frozenset[str]) -> Selection:
        if not tests:
            return self._prover.whole()
        return Selection(only=tests, at_first_failure=True)

    def _run(self, name: str, selection: Selection) -> tuple[GuardResult, Refusal | None]:
        result = self._prover.guard.run(name, selection, self._prover.teller.state)
        return result, self._prover.judge(result, selection)
