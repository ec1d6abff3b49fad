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
from bridgekit_codemods.migration.blaming import Blamer
from bridgekit_codemods.migration.checks import check_changes
from bridgekit_codemods.migration.errors import CommitError, MigrationError, PlannerError
from bridgekit_codemods.migration.guard import Guard
from bridgekit_codemods.migration.integrity import check_tests
from bridgekit_codemods.migration.ledger import Applied, Kept, StepRecord
from bridgekit_codemods.migration.messages import commit_message
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.proving import Choice, Prover, Refusal, proposal
from bridgekit_codemods.migration.session import Session
from bridgekit_codemods.planning.steps import Finding, Planner, Step

Sources = Mapping[str, bytes]
ReadSources = Callable[[Path], Sources]
DEFAULT_POLICY = GuardPolicy()
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


class Runner:
    """Walks one program.  Used once, by one thread, inside an open session."""

    def __init__(
        self,
        session: Session,
        planner: Planner,
        guard: Guard,
        read_sources: ReadSources,
        observer: Observer,
        policy: GuardPolicy = DEFAULT_POLICY,
    ) -> None:
        self._session = session
        self._planner = planner
        self._guard = guard
        self._policy = policy
        self._read_sources = read_sources
        self._observer = observer
        self._prover = Prover(guard, policy, session.ledger, observer)
        self._blamer = Blamer(session, self._prover)
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
        while True:
            history = session.ledger.history()
            number = len(history.applied) + 1
            stopped_at = named(until, history.applied) if until is not None else None
            sources = self._read_sources(session.root)
            step = None
            if stopped_at is None:
                step = self._next_step(sources, history.kept_keys)
            if step is None:
                if self._is_proved_whole():
                    break
                self._seen.clear()
                continue
            if self._prover.baseline is None:
                self._prover.begin(sources)
                session.workspace.enter()
            if self._attempt(history.last + 1, number, step, sources):
                done += 1
        history = session.ledger.history()
        sources = self._read_sources(session.root)
        return Outcome(
            history.applied,
            history.blamed,
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
        if step.fault is None and not self._changes(sources, step):
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

    def _is_proved_whole(self) -> bool:
        """Run the whole suite where the last steps saw a part of it; red steps are taken back."""
        ledger, prover = self._session.ledger, self._prover
        while ledger.history().unproven:
            self._observer.started(0, f"The whole suite at the end: {self._guard.description}", "")
            self._observer.state("testing")
            name = f"{ledger.history().last:04}-whole"
            selection = prover.whole()
            result = self._guard.run(name, selection, self._observer.state)
            refusal = prover.judge(result, selection)
            if refusal is None:
                self._observer.finished("green", result.summary, result.seconds)
                ledger.append(
                    "whole", summary=result.summary, seconds=round(result.seconds, 2),
                    log=_relative(result.log, self._session.root),
                )  # fmt: skip
                return True
            self._observer.finished("red", result.summary, result.seconds)
            if result.failed and self._blamer.is_unstable(name, result.failed):
                prover.set_aside(result.failed)
                continue
            applied = len(ledger.history().applied)
            self._blamer.settle(name, result.failed, refusal)
            if len(ledger.history().applied) < applied:
                return False
            if not result.failed:
                raise MigrationError(
                    f"the whole suite is red at the end ({result.summary}), and no step is to "
                    f"blame; its output is in {_relative(result.log, self._session.root)}"
                )
        return True

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
        choice = self._prover.choose(step, sources, changes)
        if choice.unguarded and not self._policy.allow_unguarded:
            self._keep_back(n, step, _unguarded(choice), started)
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
            refusal, commit, guard = self._apply(record, step, changes, choice)
        except BaseException:
            # Once the commit exists the step is part of the program; the next run records it.
            if session.workspace.is_committed(record) is None:
                self._undo(record)
                session.ledger.append("restored", n=n, key=step.key)
            raise
        if refusal is not None:
            self._undo(record)
            if refusal.cause in {"guard", "timeout"}:
                session.ledger.append("restored", n=n, key=step.key)
                name = f"{n:04}-{step.key[:60]}"
                if not self._blamer.is_the_steps(name, choice.selection):
                    self._observer.finished(
                        "again", "it is not to blame", time.monotonic() - started
                    )
                    self._seen.clear()
                    return False
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
        self._prover.kept(sources, changes)
        self._observer.finished("done", _told(guard), time.monotonic() - started)
        return True

    def _check(
        self, step: Step, changes: Mapping[str, bytes | None], sources: Sources
    ) -> Refusal | None:
        """Everything that can be said without touching the files."""
        self._observer.state("checking")
        if step.fault is not None:
            return Refusal("fault", step.fault)
        if messages := check_changes(sources, changes):
            return Refusal("check", "\n".join(messages))
        if messages := check_tests(sources, changes):
            return Refusal("integrity", "\n".join(messages))
        if messages := self._planner.verify(step, overlay(sources, changes)):
            return Refusal("check", "\n".join(messages))
        return None

    def _apply(
        self,
        record: StepRecord,
        step: Step,
        changes: Mapping[str, bytes | None],
        choice: Choice,
    ) -> tuple[Refusal | None, str | None, dict[str, Any]]:
        session = self._session
        self._observer.state("writing")
        session.transaction.write(record, changes)
        session.crash_point("written")
        self._observer.state("testing")
        result = self._guard.run(
            f"{record.n:04}-{step.key}", choice.selection, self._observer.state
        )
        session.crash_point("tested")
        if refusal := self._prover.judge(result, choice.selection):
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
            **self._prover.summary(choice, result),
        }
        if result.leftovers:
            self._observer.note(f"the guard left processes behind: {', '.join(result.leftovers)}")
        before = session.transaction.old_contents(record, list(changes))
        try:
            commit = session.workspace.commit(record, commit_message(step, guard), before)
        except CommitError as error:
            self._commit_failures += 1
            return Refusal("commit", str(error)), None, {}
        self._commit_failures = 0
        session.crash_point("committed")
        return None, commit, guard

    def _undo(self, record: StepRecord) -> None:
        self._session.workspace.release(record)
        for path in self._session.transaction.restore(record):
            self._observer.note(
                f"{path} was changed by something else meanwhile; that version is in "
                f".bridgekit/conflicts/{record.n:04}"
            )

    def _keep_back(self, n: int, step: Step, refusal: Refusal, started: float) -> None:
        self._session.ledger.append(
            "kept",
            n=n,
            key=step.key,
            kind=step.kind,
            title=step.title,
            cause=refusal.cause,
            detail=refusal.detail,
            log=_relative(refusal.log, self._session.root),
            members=list(step.members),
            failed=list(refusal.failed),
            proposal=proposal(step, refusal),
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


def _unguarded(choice: Choice) -> Refusal:
    names = choice.reached.unreached if choice.reached is not None else ()
    return Refusal("unguarded", "no test runs what it changes:\n" + "\n".join(names))


def _told(guard: Mapping[str, Any]) -> str:
    """The tests' own summary, and what of them it is about."""
    if guard.get("tests") == "reached":
        return f"{guard['summary']} ({guard['ran']} of {guard['of']} tests reach it)"
    return f"{guard['summary']}{', unguarded' if guard.get('unguarded') else ''}"


def _relative(path: Path | None, root: Path) -> str | None:
    if path is None:
        return None
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
