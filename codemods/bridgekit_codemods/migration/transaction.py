"""Changes the files of one step as a whole, or not at all, whatever happens in between.

The order is what makes a kill at any moment safe: copies of the old files, then the intent in the
ledger, then the new files one by one, then the outcome in the ledger.  While the last line is an
intent without an outcome, :meth:`Transaction.recover` can tell every file's state by its digest.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bridgekit_codemods.migration import files
from bridgekit_codemods.migration.errors import InterruptedStepError, MigrationError
from bridgekit_codemods.migration.ledger import FileChange, Ledger, StepRecord

CrashPoint = Callable[[str], None]
"""Called with a name between any two effects; tests pass one that ends the process there."""


def no_crash(_: str) -> None:
    """The crash point of normal runs."""


class ChangedMeanwhileError(MigrationError):
    """A file changed between planning a step and writing it."""


@dataclass(frozen=True)
class Transaction:
    """File changes of one program, with its backups below ``state``."""

    root: Path
    state: Path
    ledger: Ledger
    crash_point: CrashPoint = no_crash

    def begin(
        self,
        step: StepRecord,
        changes: Mapping[str, bytes | None],
        expected: Mapping[str, bytes | None],
    ) -> StepRecord:
        """Save the old files and record the intent; nothing of the program changes yet.

        ``expected`` holds the contents ``changes`` were made from.

        Raises:
            UnsafePathError: a path that is not a regular file of the program.
            ChangedMeanwhileError: a file is not the one that was planned with.
        """
        backup = self._backup(step.n)
        shutil.rmtree(backup, ignore_errors=True)
        backup.mkdir(parents=True)
        recorded: list[FileChange] = []
        directories: dict[str, None] = {}
        for name, after in sorted(changes.items()):
            path = files.locate(self.root, name)
            before = files.read(path)
            if name in expected and expected[name] != before:
                raise ChangedMeanwhileError(f"{name} was changed by someone else; run again")
            if before is not None:
                files.write(backup / name, before)
            elif after is not None:
                directories.update(dict.fromkeys(files.missing_parents(self.root, path)))
            recorded.append(
                FileChange(name, files.digest(before), files.digest(after), files.mode_of(path))
            )
        whole = replace(step, files=tuple(recorded), new_directories=tuple(directories))
        self.crash_point("backup")
        self.ledger.intend(whole)
        self.crash_point("intent")
        return whole

    def write(self, step: StepRecord, changes: Mapping[str, bytes | None]) -> None:
        """Bring the files of a recorded step into their new form."""
        for change in step.files:
            path = files.locate(self.root, change.path)
            data = changes[change.path]
            if data is None:
                files.remove(path)
            else:
                files.write(path, data, change.mode)
            self.crash_point(f"write:{change.path}")

    def restore(self, step: StepRecord) -> tuple[str, ...]:
        """Put every file of ``step`` back to the byte.

        Returns the paths of files that were neither old nor new (someone else wrote them); they
        were first copied below ``conflicts/`` in the state directory.
        """
        foreign = []
        for change in step.files:
            path = files.locate(self.root, change.path)
            files.drop_temporary(path)
            now = files.read(path)
            if files.digest(now) not in {change.before, change.after} and now is not None:
                files.write(self.state / "conflicts" / f"{step.n:04}" / change.path, now)
                foreign.append(change.path)
            self._put_back(step, change)
            self.crash_point(f"restore:{change.path}")
        self.remove_directories(step)
        return tuple(foreign)

    def recover(self, step: StepRecord, unchanged: Callable[[str], bool]) -> None:
        """Put back what a killed run left of ``step``.

        ``unchanged(path)`` tells whether version control vouches for a file as it is.

        Raises:
            InterruptedStepError: a file was edited after the kill; nothing was touched.
        """
        touched = [
            change
            for change in step.files
            if self._digest(change.path) != change.before and not unchanged(change.path)
        ]
        foreign = [change.path for change in touched if self._digest(change.path) != change.after]
        if foreign:
            raise InterruptedStepError(
                f"step {step.n} ({step.key}) was interrupted, and these files were edited since: "
                f"{', '.join(foreign)}. Their old form is in {self._backup(step.n)}; put them "
                "back or commit them, then run again"
            )
        for change in step.files:
            files.drop_temporary(files.locate(self.root, change.path))
        for change in touched:
            self._put_back(step, change)
            self.crash_point(f"recover:{change.path}")
        self.remove_directories(step)

    def old_contents(self, step: StepRecord, paths: Collection[str]) -> dict[str, bytes | None]:
        """The saved contents of files as they were before ``step``."""
        by_path = {change.path: change for change in step.files}
        return {path: self._saved(step, by_path[path]) for path in paths}

    def remove_directories(self, step: StepRecord) -> None:
        """Delete the directories that ``step`` made, as far as nothing else moved in."""
        for name in reversed(step.new_directories):
            directory = self.root / name
            shutil.rmtree(directory / "__pycache__", ignore_errors=True)
            with contextlib.suppress(OSError):  # not empty, or never made
                directory.rmdir()

    def _digest(self, name: str) -> str | None:
        return files.digest(files.read(files.locate(self.root, name)))

    def _put_back(self, step: StepRecord, change: FileChange) -> None:
        path = files.locate(self.root, change.path)
        old = self._saved(step, change)
        if old is None:
            files.remove(path)
        elif files.read(path) != old or files.mode_of(path) != change.mode:
            files.write(path, old, change.mode)

    def _saved(self, step: StepRecord, change: FileChange) -> bytes | None:
        if change.before is None:
            return None
        old = files.read(self._backup(step.n) / change.path)
        if files.digest(old) != change.before:
            raise InterruptedStepError(
                f"the saved copy of {change.path} in {self._backup(step.n)} is gone or damaged"
            )
        return old

    def _backup(self, n: int) -> Path:
        return self.state / "backups" / f"{n:04}"
