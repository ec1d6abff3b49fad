"""Opens a program for changing: its lock, its ledger, its workspace, and order after a crash."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridgekit_codemods.migration.ledger import History, Ledger, StepRecord
from bridgekit_codemods.migration.lock import exclusive
from bridgekit_codemods.migration.transaction import CrashPoint, Transaction, no_crash
from bridgekit_codemods.migration.workspace import STATE, Workspace, open_workspace


@dataclass(frozen=True)
class Session:
    """A program that only this process may change.  ``note`` tells what recovery did, if any."""

    root: Path
    ledger: Ledger
    workspace: Workspace
    transaction: Transaction
    crash_point: CrashPoint
    note: str | None = None

    @property
    def state(self) -> Path:
        return self.root / STATE


def ledger_of(root: Path) -> Ledger:
    """The ledger of a program, which need not exist yet."""
    return Ledger(root / STATE / "ledger.jsonl")


@contextlib.contextmanager
def open_session(root: Path, crash_point: CrashPoint = no_crash) -> Iterator[Session]:
    """Lock a program, finish or take back what a killed run left, and check that work may start.

    Raises:
        RefusedError: another run is at work, or the work tree is not clean.
        InterruptedStepError: an unfinished step cannot be taken back.
        LedgerError: the ledger is damaged.
    """
    root = root.resolve()
    with exclusive(root / STATE / "lock"):
        ledger = ledger_of(root)
        workspace = open_workspace(root, crash_point)
        transaction = Transaction(root, root / STATE, ledger, crash_point)
        workspace.wait_until_free()
        history = ledger.history()
        note = None
        if history.pending is not None:
            note = recover(history.pending, ledger, workspace, transaction)
        workspace.check()
        yield Session(root, ledger, workspace, transaction, crash_point, note)


def recover(
    step: StepRecord, ledger: Ledger, workspace: Workspace, transaction: Transaction
) -> str:
    """Bring a step that a killed run left behind to an end; says which."""
    commit = workspace.is_committed(step)
    if commit is not None:
        workspace.release(step)  # git may have been killed between the commit and its index
        ledger.append("done", n=step.n, key=step.key, commit=commit)
        return f"step {step.key} was committed just before an interruption: recorded as done"
    workspace.release(step)
    transaction.recover(step, workspace.vouches_for)
    ledger.append("restored", n=step.n, key=step.key)
    return f"step {step.key} was interrupted: its files were put back"


def history_of(root: Path) -> History:
    """What happened to a program so far."""
    return ledger_of(root.resolve()).history()
