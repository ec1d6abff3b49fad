"""Where the steps of a migration are kept: commits of a git branch, or patch files."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bridgekit_codemods.migration import files
from bridgekit_codemods.migration.errors import CommitError, RefusedError
from bridgekit_codemods.migration.ledger import StepRecord
from bridgekit_codemods.migration.patches import encode, patch
from bridgekit_codemods.migration.transaction import CrashPoint, no_crash

BRANCH = "bridgekit/migrate"
STATE = ".bridgekit"
TRAILER = "Bridgekit-Step"
_LOCKS = ("index.lock", "HEAD.lock", f"refs/heads/{BRANCH}.lock")
_PATIENCE = 2.0  # seconds for another git, an editor's for example, to let go of the index
_SOURCES = (".py", ".pyi", ".html", ".htm", ".jinja", ".jinja2", ".j2")
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")


class Workspace(Protocol):
    """Keeps finished steps.  All paths are POSIX and relative to the program's root."""

    root: Path

    @property
    def head(self) -> str | None:
        """Name of the last kept state, where there is one."""
        ...

    def wait_until_free(self) -> None:
        """Wait a moment for others who are at work here.

        Raises:
            RefusedError: they do not end, or were killed.
        """
        ...

    def check(self) -> None:
        """Raise :class:`RefusedError` unless steps could start right now."""
        ...

    def resume(self) -> str | None:
        """Go to where an earlier run left off; a sentence for the user if that means a move."""
        ...

    def enter(self) -> None:
        """Prepare for the first step, which is about to be written."""
        ...

    def commit(
        self, step: StepRecord, message: str, before: Mapping[str, bytes | None]
    ) -> str | None:
        """Keep the changes of a step, which are in the files; returns its name.

        Raises:
            CommitError: it was refused; the files are as they were, nothing is staged.
        """
        ...

    def is_committed(self, step: StepRecord) -> str | None:
        """The name of the commit an interrupted run made of ``step``, if it came that far."""
        ...

    def release(self, step: StepRecord) -> None:
        """Forget whatever of ``step`` was staged."""
        ...

    def vouches_for(self, path: str) -> bool:
        """Whether ``path`` is exactly as version control has it."""
        ...


def open_workspace(root: Path, crash_point: CrashPoint = no_crash) -> Workspace:
    """The workspace for a program: git where the program is part of a work tree."""
    git = GitWorkspace(root, crash_point)
    return git if git.is_usable() else PatchWorkspace(root)


class PatchWorkspace:
    """No version control: each step leaves a patch file, old files are in the backups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def head(self) -> str | None:
        return None

    def wait_until_free(self) -> None:
        pass

    def check(self) -> None:
        pass

    def resume(self) -> str | None:
        return None

    def enter(self) -> None:
        pass

    def commit(
        self, step: StepRecord, message: str, before: Mapping[str, bytes | None]
    ) -> str | None:
        after = {
            change.path: files.read(files.locate(self.root, change.path)) for change in step.files
        }
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", step.key).strip("-")[:60]
        name = f"{step.n:04}-{slug}.patch"
        files.write(
            self.root / STATE / "patches" / name, encode(f"{message}\n---\n{patch(before, after)}")
        )
        return name

    def is_committed(self, step: StepRecord) -> str | None:
        return None

    def release(self, step: StepRecord) -> None:
        pass

    def vouches_for(self, path: str) -> bool:
        return False


class GitWorkspace:
    """One commit a step on the branch ``bridgekit/migrate``; only the program's paths."""

    def __init__(self, root: Path, crash_point: CrashPoint = no_crash) -> None:
        self.root = root
        self._crash_point = crash_point

    def is_usable(self) -> bool:
        """Whether the program belongs to a work tree (and git is installed)."""
        try:
            inside = self._git("rev-parse", "--is-inside-work-tree")
        except FileNotFoundError:
            return False
        if inside.returncode or inside.stdout.strip() != "true":
            return False
        return self._git("check-ignore", "-q", ".").returncode != 0

    @property
    def head(self) -> str | None:
        result = self._git("rev-parse", "-q", "--verify", "HEAD")
        return result.stdout.strip() or None

    @property
    def branch(self) -> str | None:
        """The current branch, ``None`` when HEAD is detached."""
        return self._git("symbolic-ref", "-q", "--short", "HEAD").stdout.strip() or None

    def wait_until_free(self) -> None:
        locks = [self.root / self._read("rev-parse", "--git-path", name).strip() for name in _LOCKS]
        deadline = time.monotonic() + _PATIENCE
        while held := [str(lock) for lock in locks if lock.exists()]:
            if time.monotonic() > deadline:
                raise RefusedError(
                    "git is at work here, or was killed while it was: when no git runs any more, "
                    f"remove {' and '.join(held)} and run again"
                )
            time.sleep(0.05)

    def check(self) -> None:
        self._exclude_state()
        if self.head is None:
            raise RefusedError("the repository has no commit yet; commit the program first")
        for name in _UNFINISHED:
            if (self.root / self._read("rev-parse", "--git-path", name).strip()).exists():
                raise RefusedError("a merge or rebase is under way here; finish it first")
        dirty = self.dirty()
        if dirty:
            shown = ", ".join(dirty[:5]) + (", ..." if len(dirty) > 5 else "")
            raise RefusedError(
                f"the work tree has uncommitted changes ({shown}); commit or remove them first"
            )
        identity = self._git("var", "GIT_COMMITTER_IDENT")
        if identity.returncode:
            raise RefusedError(
                "git does not know who commits; set user.name and user.email (git config)"
            )

    def dirty(self) -> list[str]:
        """Changed files of the program, and untracked ones that belong to its sources."""
        status = self._read("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
        entries = iter(status.split("\0"))
        changed = []
        for entry in entries:
            if not entry:
                continue
            state, name = entry[:2], entry[3:]
            if state[0] in "RC":
                next(entries, None)  # the old name of a renamed file
            if state != "??" or name.endswith(_SOURCES):
                changed.append(name)
        return changed

    def resume(self) -> str | None:
        current = self.branch
        if current == BRANCH or not self._has_branch():
            return None
        if self._git("merge-base", "--is-ancestor", BRANCH, "HEAD").returncode == 0:
            return None  # merged: enter() moves it up to here
        self._must("switch", "-q", BRANCH)
        came_from = current or "a detached HEAD"
        missing = self._read("rev-list", "--count", f"HEAD..{current or 'HEAD@{1}'}").strip()
        note = f"continuing on the branch {BRANCH} (from {came_from})"
        if missing not in {"", "0"}:
            note += f"; {missing} commits of {came_from} are not on it: merge them when you can"
        return note

    def enter(self) -> None:
        if self.branch != BRANCH:
            self._must("switch", "-q", "-C" if self._has_branch() else "-c", BRANCH)

    def commit(
        self, step: StepRecord, message: str, before: Mapping[str, bytes | None]
    ) -> str | None:
        paths = [change.path for change in step.files]
        new = [change.path for change in step.files if change.before is None]
        if new:
            added = self._git("add", "--", *_literal(new))
            if added.returncode:
                self.release(step)
                raise CommitError(added.stderr.strip())
        self._crash_point("staged")
        made = self._git(
            "commit", "-q", "-F", "-", "--cleanup=verbatim", "--only", "--", *_literal(paths),
            stdin=message,
        )  # fmt: skip
        if made.returncode:
            self.release(step)
            raise CommitError((made.stdout + made.stderr).strip())
        return self.head

    def is_committed(self, step: StepRecord) -> str | None:
        head = self.head
        if head is None or head == step.head:
            return None
        parent = self._git("rev-parse", "-q", "--verify", "HEAD^").stdout.strip()
        trailer = self._read(
            "log", "-1", f"--format=%(trailers:key={TRAILER},valueonly,unfold)"
        ).strip()
        return head if parent == step.head and trailer == step.key else None

    def release(self, step: StepRecord) -> None:
        paths = [change.path for change in step.files]
        self._git("reset", "-q", "--", *_literal(paths))

    def vouches_for(self, path: str) -> bool:
        tracked = self._git("ls-files", "--error-unmatch", "--", *_literal([path]))
        clean = self._git("status", "--porcelain", "--", *_literal([path]))
        exists = (self.root / path).exists()
        return (
            clean.returncode == 0 and not clean.stdout and (tracked.returncode == 0 or not exists)
        )

    def _exclude_state(self) -> None:
        if self._git("check-ignore", "-q", f"{STATE}/ledger.jsonl").returncode == 0:
            return
        exclude = self.root / self._read("rev-parse", "--git-path", "info/exclude").strip()
        exclude.parent.mkdir(parents=True, exist_ok=True)
        old = files.read(exclude) or b""
        if old and not old.endswith(b"\n"):
            old += b"\n"
        files.write(exclude, old + f"{STATE}/\n".encode())

    def _has_branch(self) -> bool:
        return self._git("rev-parse", "-q", "--verify", f"refs/heads/{BRANCH}").returncode == 0

    def _must(self, *arguments: str) -> None:
        result = self._git(*arguments)
        if result.returncode:
            raise RefusedError(f"git {' '.join(arguments)} failed: {result.stderr.strip()}")

    def _read(self, *arguments: str) -> str:
        result = self._git(*arguments)
        return result.stdout if result.returncode == 0 else ""

    def _git(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return _run(["git", "-C", str(self.root), *arguments], stdin)


def _run(command: Sequence[str], stdin: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        check=False,
    )


def _literal(paths: Iterable[str]) -> list[str]:
    return [f":(literal){path}" for path in paths]
