"""The walk: plan the next step, apply it, prove it, keep it or take it back, and so on.

The planner sees the files as they are before each step, so a walk can stop anywhere and go on
later.  After every step the program is the old one or the new one to the byte, and the ledger
says which.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bridgekit_codemods.migration import files
from bridgekit_codemods.migration.checks import check_changes
from bridgekit_codemods.migration.errors import (
    BaselineError,
    CommitError,
    MigrationError,
    PlannerError,
)
from bridgekit_codemods.migration.guard import Guard, GuardResult
from bridgekit_codemods.migration.integrity import check_tests
from bridgekit_codemods.migration.ledger import Applied, Kept, StepRecord
from bridgekit_codemods.migration.session import Session
from bridgekit_codemods.planning.steps import Finding, Planner, Step

Sources = Mapping[str, bytes]
ReadSources = Callable[[Path], Sources]
_COMMIT_FAILURES = 3


class Observer(Protocol):
    """Is told how the walk goes on, from the thread that walks."""

    def note(self, message: str) -> None: ...

    def started(self, number: int, title: str, key: str) -> None: ...

    def state(self, state: str) -> None: ...

    def finished(self, outcome: str, detail: str, seconds: float) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What a walk came to."""

    applied: tuple[Applied, ...]
    """Every step that is part of the program, earlier runs included."""
    kept: tuple[Kept, ...]
    done_now: int
    findings: tuple[Finding, ...]
    stopped_at: str | None = None
    """Key of the step that ``until`` named, when the walk ended there."""


@dataclass(frozen=True)
class _Refusal:
    cause: str
    detail: str
    log: Path | None = None


class Runner:
    """Walks one program.  Used once, by one thread, inside an open session."""

    def __init__(
        self,
        session: Session,
        planner: Planner,
        guard: Guard,
        read_sources: ReadSources,
        observer: Observer,
    ) -> None:
        self._session = session
        self._planner = planner
        self._guard = guard
        self._read_sources = read_sources
        self._observer = observer
        self._baseline: GuardResult | None = None
        self._seen: set[str] = set()
        self._commit_failures = 0

    def run(self, until: str | None = None, retry: bool = False) -> Outcome:
        """Apply steps until none is left, or up to and including the step ``until`` names.

        ``until`` is the key of a step or its number in the walk.  With ``retry`` the steps that
        earlier runs kept back are tried again.

        Raises:
            BaselineError: the guard fails before the first step; nothing was changed.
            PlannerError: the planner repeats itself.
            MigrationError: a file changed under the walk, or commits keep failing.
        """
        session = self._session
        if session.note:
            self._observer.note(session.note)
        if note := session.workspace.resume():
            self._observer.note(note)
        if retry and session.ledger.history().kept:
            session.ledger.append("retry")
        done = 0
        stopped_at = None
        while True:
            history = session.ledger.history()
            number = len(history.applied) + 1
            if until is not None and (found := named(until, history.applied)):
                stopped_at = found
                break
            sources = self._read_sources(session.root)
            step = self._next_step(sources, history.kept_keys)
            if step is None:
                break
            if self._baseline is None:
                self._baseline = self._run_baseline()
                session.workspace.enter()
            if self._attempt(history.last + 1, number, step, sources):
                done += 1
        history = session.ledger.history()
        sources = self._read_sources(session.root)
        return Outcome(
            history.applied,
            tuple(history.kept.values()),
            done,
            self._planner.findings(sources, history.kept_keys),
            stopped_at,
        )

    def _next_step(self, sources: Sources, kept: frozenset[str]) -> Step | None:
        step = self._planner.next_step(sources, kept)
        if step is None:
            return None
        if step.key in kept:
            raise PlannerError(f"the planner proposed {step.key} again, which was kept back")
        if not self._changes(sources, step):
            raise PlannerError(f"the step {step.key} changes nothing")
        fingerprint = tree_digest(sources) + step.key
        if fingerprint in self._seen:
            raise PlannerError(f"the planner proposed {step.key} twice for the same program")
        self._seen.add(fingerprint)
        return step

    def _changes(self, sources: Sources, step: Step) -> dict[str, bytes | None]:
        """Like :func:`changed`, also for files that are no sources (settings, say)."""
        return {
            path: data
            for path, data in changed(sources, step).items()
            if files.read(files.locate(self._session.root, path)) != data
        }

    def _run_baseline(self) -> GuardResult:
        if self._guard.notice:
            self._observer.note(self._guard.notice)
        self._observer.started(0, f"The guard before the first step: {self._guard.description}", "")
        self._observer.state("testing")
        result = self._guard.run("0000-baseline")
        if not result.ok:
            self._observer.finished("red", result.summary, result.seconds)
            what = "does not end" if result.timed_out else "fails"
            raise BaselineError(
                f"the guard {what} before the first step ({result.summary}); nothing was changed",
                result.output(),
            )
        self._observer.finished("green", result.summary, result.seconds)
        return result

    def _attempt(self, n: int, number: int, step: Step, sources: Sources) -> bool:
        """Try one step; whether it is now part of the program."""
        session = self._session
        started = time.monotonic()
        self._observer.started(number, step.title, step.key)
        changes = self._changes(sources, step)
        refusal = self._check(step, changes, sources)
        if refusal is not None:
            self._keep_back(n, step, refusal, started)
            return False
        record = StepRecord(
            n=n,
            key=step.key,
            kind=step.kind,
            title=step.title,
            members=step.members,
            bridges_added=step.bridges_added,
            bridges_removed=step.bridges_removed,
            head=session.workspace.head,
        )
        expected = {path: sources[path] for path in changes if path in sources}
        record = session.transaction.begin(record, changes, expected)
        try:
            refusal, commit, guard = self._apply(record, step, changes)
        except BaseException:
            # Once the commit exists the step is part of the program; the next run records it.
            if session.workspace.is_committed(record) is None:
                self._undo(record)
                session.ledger.append("restored", n=n, key=step.key)
            raise
        if refusal is not None:
            self._undo(record)
            self._keep_back(n, step, refusal, started)
            if self._commit_failures >= _COMMIT_FAILURES:
                raise MigrationError(
                    f"git refused {_COMMIT_FAILURES} commits in a row; the last time it said: "
                    f"{refusal.detail}"
                )
            return False
        session.ledger.append(
            "done",
            n=n,
            key=step.key,
            commit=commit,
            guard=guard,
            findings=[asdict(finding) for finding in step.findings],
        )
        session.crash_point("done")
        self._observer.finished("done", guard["summary"], time.monotonic() - started)
        return True

    def _check(
        self, step: Step, changes: Mapping[str, bytes | None], sources: Sources
    ) -> _Refusal | None:
        """Everything that can be said without touching the files."""
        self._observer.state("checking")
        if messages := check_changes(sources, changes):
            return _Refusal("check", "\n".join(messages))
        if messages := check_tests(sources, changes):
            return _Refusal("integrity", "\n".join(messages))
        if messages := self._planner.verify(step, overlay(sources, changes)):
            return _Refusal("check", "\n".join(messages))
        return None

    def _apply(
        self, record: StepRecord, step: Step, changes: Mapping[str, bytes | None]
    ) -> tuple[_Refusal | None, str | None, dict[str, Any]]:
        session = self._session
        self._observer.state("writing")
        session.transaction.write(record, changes)
        session.crash_point("written")
        self._observer.state("testing")
        result = self._guard.run(f"{record.n:04}-{step.key}")
        session.crash_point("tested")
        if refusal := self._judge(result):
            return refusal, None, {}
        for change in record.files:
            if files.digest(files.read(session.root / change.path)) != change.after:
                raise MigrationError(f"{change.path} was changed while the guard ran")
        self._observer.state("committing")
        guard: dict[str, Any] = {
            "command": self._guard.description,
            "summary": result.summary,
            "seconds": round(result.seconds, 2),
            "log": _relative(result.log, session.root),
        }
        before = session.transaction.old_contents(record, list(changes))
        try:
            commit = session.workspace.commit(
                record, commit_message(step, self._guard.description, result), before
            )
        except CommitError as error:
            self._commit_failures += 1
            return _Refusal("commit", str(error)), None, {}
        self._commit_failures = 0
        session.crash_point("committed")
        return None, commit, guard

    def _judge(self, result: GuardResult) -> _Refusal | None:
        if result.timed_out:
            return _Refusal("timeout", f"{result.summary}\n{result.output()}", result.log)
        if not result.ok:
            return _Refusal("guard", result.output() or result.summary, result.log)
        before = self._baseline.passed if self._baseline else None
        if before and result.passed is not None and (lost := before - result.passed):
            shown = "\n".join(sorted(lost)[:20])
            return _Refusal("guard", f"tests that passed before did not run:\n{shown}", result.log)
        return None

    def _undo(self, record: StepRecord) -> None:
        self._session.workspace.release(record)
        for path in self._session.transaction.restore(record):
            self._observer.note(
                f"{path} was changed by something else meanwhile; that version is in "
                f".bridgekit/conflicts/{record.n:04}"
            )

    def _keep_back(self, n: int, step: Step, refusal: _Refusal, started: float) -> None:
        self._session.ledger.append(
            "kept",
            n=n,
            key=step.key,
            kind=step.kind,
            title=step.title,
            cause=refusal.cause,
            detail=refusal.detail,
            log=_relative(refusal.log, self._session.root),
        )
        self._session.crash_point("kept")
        self._observer.finished(
            "kept", f"{refusal.cause}: {refusal.detail}", time.monotonic() - started
        )


def named(wanted: str, applied: tuple[Applied, ...]) -> str | None:
    """The key of the applied step that ``wanted`` (a key or a number of the walk) names."""
    for number, entry in enumerate(applied, 1):
        if wanted in {entry.step.key, str(number)}:
            return entry.step.key
    return None


def changed(sources: Sources, step: Step) -> dict[str, bytes | None]:
    """The changes of a step that are not already there."""
    return {
        path: data
        for path, data in step.changes.items()
        if (path in sources and data != sources[path]) or (path not in sources and data is not None)
    }


def overlay(sources: Sources, changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """The program after a step, as :func:`read_sources` would then read it."""
    merged: dict[str, bytes | None] = {**sources, **changes}
    return {path: data for path, data in sorted(merged.items()) if data is not None}


def tree_digest(sources: Sources) -> str:
    """A name for the whole program."""
    lines = (f"{files.digest(data)} {path}\n" for path, data in sorted(sources.items()))
    return files.digest("".join(lines).encode("utf-8", "surrogateescape")) or ""


def commit_message(step: Step, command: str, result: GuardResult) -> str:
    """Subject, what changed together, which bridges, which tests; the key as a trailer."""
    parts = [step.title, "Changes together:\n" + "\n".join(f"- {name}" for name in step.members)]
    for label, names in (("added", step.bridges_added), ("removed", step.bridges_removed)):
        if names:
            parts.append(f"Bridges {label}:\n" + "\n".join(f"- {name}" for name in names))
    parts.append(f"Guard: {command}\n{result.summary}")
    parts.append(f"Bridgekit-Step: {step.key}\n")
    return "\n\n".join(parts)


def _relative(path: Path | None, root: Path) -> str | None:
    if path is None:
        return None
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
