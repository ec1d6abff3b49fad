"""The memory of a migration: one JSON object a line, appended and never changed.

The file is written by one process at a time (see :mod:`.lock`), each line is on disk before
:meth:`Ledger.append` returns, and a last line that a crash tore is ignored and cut off by the
next append.  Everything else about a migration is derived from these lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridgekit_codemods.migration.errors import LedgerError
from bridgekit_codemods.migration.files import sync_directory


@dataclass(frozen=True)
class FileChange:
    """One file of a step: digests of its content before and after, ``None`` for no file."""

    path: str
    before: str | None
    after: str | None
    mode: int | None = None


@dataclass(frozen=True)
class StepRecord:
    """What the ledger knows of one step."""

    n: int
    key: str
    kind: str
    title: str
    members: tuple[str, ...] = ()
    files: tuple[FileChange, ...] = ()
    new_directories: tuple[str, ...] = ()
    bridges_added: tuple[str, ...] = ()
    bridges_removed: tuple[str, ...] = ()
    head: str | None = None
    """Commit the step started from, where there is git."""
    undoes: tuple[int, ...] = ()
    """Numbers of the steps this one takes back; empty for a step of a plan."""
    keep: bool = False
    """With ``undoes``: the steps taken back are not tried again."""


@dataclass(frozen=True)
class Applied:
    """A step that is part of the program."""

    step: StepRecord
    commit: str | None
    guard: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Mapping[str, Any], ...] = ()
    time: str = ""


@dataclass(frozen=True)
class Kept:
    """A step that was tried and taken back, and why."""

    n: int
    key: str
    kind: str
    title: str
    cause: str
    """``check``, ``integrity``, ``guard``, ``timeout``, ``unguarded``, ``commit``, ``undo``,
    ``skip`` or ``fault``."""
    detail: str
    log: str | None = None
    time: str = ""
    members: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    """Ids of the tests that failed, as far as the guard told them."""
    proposal: str | None = None
    """What to do about it."""


@dataclass(frozen=True)
class History:
    """The state that follows from the lines of a ledger."""

    applied: tuple[Applied, ...] = ()
    kept: Mapping[str, Kept] = field(default_factory=dict)
    pending: StepRecord | None = None
    last: int = 0
    """The highest step number used so far."""
    unproven: tuple[int, ...] = ()
    """Numbers of the latest steps that were kept after a part of the suite, not yet the whole."""
    aside: Mapping[str, str] = field(default_factory=dict)
    """Ids of the tests that guard runs leave out, with the reason: ``flaky`` or ``red``."""

    @property
    def kept_keys(self) -> frozenset[str]:
        return frozenset(self.kept)

    @property
    def blamed(self) -> tuple[Kept, ...]:
        """The steps that were kept back for good: those are left out whose functions were tried
        again in smaller steps, because these are what tells."""
        done = {member for entry in self.applied for member in entry.step.members}
        entries = list(self.kept.values())

        def is_narrowed(entry: Kept) -> bool:
            members = set(entry.members)
            smaller = [set(e.members) for e in entries if e is not entry and e.members]
            within = done.union(*(names for names in smaller if names < members))
            return len(members) > 1 and members <= within

        return tuple(entry for entry in entries if not is_narrowed(entry))


class Ledger:
    """Append-only list of what was intended and what came of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, **fields: Any) -> None:
        """Add one line and return when it is on disk."""
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **fields}
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as stream:
            _cut_torn_line(stream)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_directory(self.path.parent)

    def intend(self, step: StepRecord) -> None:
        """Record that the files of ``step`` are about to change."""
        self.append("intent", **_plain(step))

    def records(self) -> list[dict[str, Any]]:
        """All whole lines, oldest first.

        Raises:
            LedgerError: a line other than a torn last one cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        records = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                record["event"]
            except (ValueError, TypeError, KeyError) as error:
                raise LedgerError(
                    f"{self.path}, line {number} is damaged; remove that line and run again"
                ) from error
            records.append(record)
        return records

    def history(self) -> History:
        """Replay the lines."""
        applied: dict[int, Applied] = {}
        kept: dict[str, Kept] = {}
        pending: StepRecord | None = None
        last = 0
        unproven: list[int] = []
        aside: dict[str, str] = {}
        for record in self.records():
            event = record["event"]
            if event == "intent":
                pending = _step(record)
                last = max(last, pending.n)
            elif event == "done" and pending is not None and pending.n == record["n"]:
                for number in pending.undoes:
                    undone = applied.pop(number, None)
                    if undone is not None and pending.keep:
                        kept[undone.step.key] = _kept_by_undo(undone.step, record)
                unproven = [number for number in unproven if number not in pending.undoes]
                if not pending.undoes:
                    unproven = [*unproven, pending.n] if _is_partly(record) else []
                    kept.pop(pending.key, None)
                    applied[pending.n] = Applied(
                        pending,
                        record.get("commit"),
                        record.get("guard") or {},
                        tuple(record.get("findings") or ()),
                        record["time"],
                    )
                pending = None
            elif event == "kept":
                kept[record["key"]] = _kept(record)
                last = max(last, record["n"])
                pending = None
            elif event == "restored":
                pending = None
            elif event == "retry" and "key" in record:
                kept.pop(record["key"], None)
            elif event == "retry":
                kept.clear()
            elif event == "whole":
                unproven = []
            elif event == "baseline":
                aside = record["aside"]
            elif event == "unstable":
                aside = {**aside, **record["aside"]}
        return History(tuple(applied.values()), kept, pending, last, tuple(unproven), aside)


def _is_partly(record: Mapping[str, Any]) -> bool:
    """Whether a step that was kept is still to be proved by the whole suite. One that was found
    committed after a kill is: what its guard was is not known."""
    guard = record.get("guard")
    return guard is None or guard.get("tests") == "reached"


def _cut_torn_line(stream: Any) -> None:
    stream.seek(0)
    data = stream.read()
    end = data.rfind(b"\n") + 1
    if end != len(data):
        stream.truncate(end)
        stream.seek(end)


def _plain(step: StepRecord) -> dict[str, Any]:
    data = {name: value for name, value in vars(step).items() if value not in ((), None, False)}
    data["files"] = [
        {"path": f.path, "before": f.before, "after": f.after, "mode": f.mode} for f in step.files
    ]
    return data


def _step(record: Mapping[str, Any]) -> StepRecord:
    def words(name: str) -> tuple[str, ...]:
        return tuple(record.get(name, ()))

    return StepRecord(
        n=record["n"],
        key=record["key"],
        kind=record["kind"],
        title=record["title"],
        members=words("members"),
        files=tuple(FileChange(**change) for change in record["files"]),
        new_directories=words("new_directories"),
        bridges_added=words("bridges_added"),
        bridges_removed=words("bridges_removed"),
        head=record.get("head"),
        undoes=tuple(record.get("undoes", ())),
        keep=record.get("keep", False),
    )


def _kept(record: Mapping[str, Any]) -> Kept:
    return Kept(
        n=record["n"],
        key=record["key"],
        kind=record["kind"],
        title=record["title"],
        cause=record["cause"],
        detail=record["detail"],
        log=record.get("log"),
        time=record["time"],
        members=tuple(record.get("members", ())),
        failed=tuple(record.get("failed", ())),
        proposal=record.get("proposal"),
    )


def _kept_by_undo(step: StepRecord, record: Mapping[str, Any]) -> Kept:
    return Kept(
        step.n, step.key, step.kind, step.title, "undo", "taken back on request", None,
        record["time"], step.members,
    )  # fmt: skip
