"""Which of the steps so far a user means, and what is to become of those that were kept back."""

from __future__ import annotations

from bridgekit_codemods.migration.errors import NoSuchStepError, RefusedError
from bridgekit_codemods.migration.ledger import Applied, History, Kept
from bridgekit_codemods.migration.session import Session
from bridgekit_codemods.planning.steps import Step

BY_REQUEST = "skip"
"""The cause of a step that nobody tried: someone asked to leave it out."""


def find(history: History, wanted: str) -> tuple[int, Applied] | Kept | None:
    """The step that was done, with its number in the walk, or kept back; by number or key."""
    for number, entry in enumerate(history.applied, 1):
        if wanted in {entry.step.key, str(number)}:
            return number, entry
    return history.kept.get(wanted)


def skip(session: Session, step: Step, reason: str) -> None:
    """Keep a step back that has not been tried, until :func:`redo`.

    Raises:
        RefusedError: it has been done, or was kept back before.
    """
    history = session.ledger.history()
    found = find(history, step.key)
    if isinstance(found, Kept):
        raise RefusedError(f"{step.key} is kept back already: {found.cause}")
    if found is not None:
        raise RefusedError(f"{step.key} is done; `bridgekit undo --keep` takes it back for good")
    session.ledger.append(
        "kept",
        n=history.last + 1,
        key=step.key,
        kind=step.kind,
        title=step.title,
        cause=BY_REQUEST,
        detail=reason,
    )


def redo(session: Session, wanted: str) -> Kept:
    """Have a step that was kept back tried again by the next run; returns what was known of it.

    Raises:
        NoSuchStepError: no step of that key is kept back.
    """
    found = find(session.ledger.history(), wanted)
    if not isinstance(found, Kept):
        state = "has not been kept back" if found is None else "is done"
        raise NoSuchStepError(f"{wanted} {state}; bridgekit status lists the steps that are")
    session.ledger.append("retry", key=found.key)
    return found
