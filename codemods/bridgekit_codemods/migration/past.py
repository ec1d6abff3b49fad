"""The program as it was: put together from the copies that the walk keeps of old files.

Nothing is written. Where a copy is missing, or what it was copied from has changed since, the past
ends there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridgekit_codemods.migration import files
from bridgekit_codemods.migration.ledger import Applied, FileChange, StepRecord
from bridgekit_codemods.migration.patches import patch
from bridgekit_codemods.migration.workspace import STATE

Sources = Mapping[str, bytes]


@dataclass(frozen=True)
class Difference:
    """What a step that was done has changed."""

    diff: str
    lost: tuple[str, ...]
    """Files whose content before or after the step is not known any more."""


def difference(root: Path, applied: Sequence[Applied], entry: Applied) -> Difference:
    """The difference that one of the steps made, whatever later steps made of the same files."""
    later = applied[applied.index(entry) + 1 :]
    before: dict[str, bytes | None] = {}
    after: dict[str, bytes | None] = {}
    lost: list[str] = []
    for change in entry.step.files:
        old, new = _copy(root, entry.step, change), _content_after(root, later, change)
        if files.digest(old) != change.before or files.digest(new) != change.after:
            lost.append(change.path)
        else:
            before[change.path], after[change.path] = old, new
    return Difference(patch(before, after), tuple(lost))


def states(root: Path, applied: Sequence[Applied], sources: Sources) -> list[Sources]:
    """The sources before the first step, after it, and so on to those of now.

    Starts later where an old file cannot be had.
    """
    found: list[Sources] = [sources]
    current: dict[str, bytes] = dict(sources)
    for entry in reversed(applied):
        before = dict(current)
        for change in entry.step.files:
            old = _copy(root, entry.step, change)
            if files.digest(old) != change.before:
                return found
            is_source = change.path in current or change.after is None
            if is_source and files.digest(current.get(change.path)) != change.after:
                return found  # edited by someone since
            if old is None:
                before.pop(change.path, None)
            elif is_source:
                before[change.path] = old
        before = dict(sorted(before.items()))
        found.insert(0, before)
        current = before
    return found


def _copy(root: Path, step: StepRecord, change: FileChange) -> bytes | None:
    return files.read(root / STATE / "backups" / f"{step.n:04}" / change.path)


def _content_after(root: Path, later: Sequence[Applied], change: FileChange) -> bytes | None:
    for entry in later:
        for other in entry.step.files:
            if other.path == change.path:
                return _copy(root, entry.step, other)
    return files.read(files.locate(root, change.path))
