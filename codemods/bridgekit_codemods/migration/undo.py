"""Takes steps back: the named one, and every later one, because they were built on it."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods.migration import files
from bridgekit_codemods.migration.errors import CommitError, NoSuchStepError, RefusedError
from bridgekit_codemods.migration.ledger import Applied, StepRecord
from bridgekit_codemods.migration.session import Session


@dataclass(frozen=True)
class Undone:
    """What was taken back, newest first, and the commit or patch that did it."""

    steps: tuple[Applied, ...]
    commit: str | None


def chosen(applied: tuple[Applied, ...], wanted: str | None) -> tuple[Applied, ...]:
    """The steps that go when ``wanted`` goes (a key or number; ``None`` for the last one).

    Raises:
        NoSuchStepError: no applied step has that name.
    """
    if wanted is None:
        if not applied:
            raise NoSuchStepError("no step has been applied, so there is nothing to undo")
        return applied[-1:]
    for number, entry in enumerate(applied, 1):
        if wanted in {entry.step.key, str(number)}:
            return applied[number - 1 :]
    raise NoSuchStepError(f"no applied step is called {wanted}; bridgekit status lists them")


def undo(session: Session, wanted: str | None = None, keep: bool = False) -> Undone:
    """Put the files back to what they were before the step ``wanted`` names.

    The result is a program that the guard has passed before, so it is not run again.  With
    ``keep`` the steps taken back are not tried again by later runs.

    Raises:
        NoSuchStepError: no applied step has that name.
        RefusedError: a file was changed after its step, or the commit was refused.
    """
    session.workspace.resume()
    history = session.ledger.history()
    going = chosen(history.applied, wanted)
    session.workspace.enter()
    changes = _old_files(session, going)
    target = going[0].step
    record = StepRecord(
        n=history.last + 1,
        key=f"undo:{target.key}",
        kind="undo",
        title=f"Undo: {target.title}",
        members=tuple(entry.step.key for entry in going),
        head=session.workspace.head,
        undoes=tuple(entry.step.n for entry in going),
        keep=keep,
    )
    record = session.transaction.begin(record, changes, {})
    try:
        session.transaction.write(record, changes)
        session.crash_point("written")
        before = session.transaction.old_contents(record, list(changes))
        commit = session.workspace.commit(record, _message(record), before)
        session.crash_point("committed")
    except BaseException as error:
        if session.workspace.is_committed(record) is None:
            session.workspace.release(record)
            session.transaction.restore(record)
            session.ledger.append("restored", n=record.n, key=record.key)
        if isinstance(error, CommitError):
            raise RefusedError(f"git refused the commit: {error}") from error
        raise
    session.ledger.append("done", n=record.n, key=record.key, commit=commit)
    for entry in reversed(going):
        session.transaction.remove_directories(entry.step)
    return Undone(tuple(reversed(going)), commit)


def _old_files(session: Session, going: tuple[Applied, ...]) -> dict[str, bytes | None]:
    first: dict[str, StepRecord] = {}
    last: dict[str, str | None] = {}
    for entry in going:
        for change in entry.step.files:
            first.setdefault(change.path, entry.step)
            last[change.path] = change.after
    edited = [
        path
        for path, after in last.items()
        if files.digest(files.read(files.locate(session.root, path))) != after
    ]
    if edited:
        raise RefusedError(
            f"{', '.join(edited)} changed after the step that wrote it; undo that change first"
        )
    return {
        path: session.transaction.old_contents(step, [path])[path] for path, step in first.items()
    }


def _message(record: StepRecord) -> str:
    members = "\n".join(f"- {key}" for key in reversed(record.members))
    return f"{record.title}\n\nTakes back:\n{members}\n\nBridgekit-Step: {record.key}\n"
