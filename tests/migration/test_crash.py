"""A kill at any moment: the tree is the old or the new program, and a rerun ends the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.errors import InterruptedStepError, LedgerError, RefusedError
from bridgekit_codemods.migration.session import history_of, ledger_of

POINTS = [
    ("backup", 1), ("intent", 1), ("write:app/low.py", 1), ("written", 1), ("tested", 1),
    ("staged", 1), ("committed", 1), ("done", 1),
    ("write:app/extra/gone.py", 1), ("written", 2), ("restore:app/extra/gone.py", 1), ("kept", 1),
    ("intent", 3), ("write:app/deep/__init__.py", 1), ("write:app/deep/sub.py", 1),
    ("write:app/old.py", 1), ("staged", 2), ("committed", 2), ("done", 2),
]  # fmt: skip


def killed(toy: ModuleType, root: Path, name: str, occurrence: int, undo: bool = False) -> None:
    environment = {**os.environ, **({"TOY_UNDO": "1"} if undo else {})}
    done = subprocess.run(
        [sys.executable, toy.__file__, str(root), name, str(occurrence)],
        env=environment, check=False, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 9, done.stderr


def kept_program(toy: ModuleType, root: Path) -> dict[str, bytes]:
    """The tree without what an interrupted write left beside a file."""
    return {n: d for n, d in toy.tree(root).items() if not n.endswith(".bridgekit~")}


@pytest.mark.parametrize(("name", "occurrence"), POINTS)
def test_after_a_kill_a_rerun_ends_as_an_undisturbed_run(
    toy: ModuleType, repository: Path, name: str, occurrence: int
) -> None:
    killed(toy, repository, name, occurrence)

    changed = {n: d for n, d in toy.tree(repository).items() if toy.PROGRAM.get(n) != d}
    known = {toy.LOW, toy.MID, toy.BROKEN, toy.SUB, b""}
    assert set(changed.values()) <= known, "a file is half written"

    toy.migrate(repository)

    assert toy.tree(repository) == toy.FINAL
    subjects = toy.git(repository, "log", "--format=%s", "--reverse").splitlines()
    assert subjects == ["Start", "Make low new", "Make mid new"]
    assert toy.git(repository, "status", "--porcelain") == ""
    history = history_of(repository)
    assert [entry.step.key for entry in history.applied] == ["flip:low", "flip:mid"]
    assert set(history.kept) == {"flip:broken"}
    assert all(entry.commit for entry in history.applied)
    assert not (repository / "app/extra").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "occurrence"), [p for p in POINTS if p[0] not in {"staged", "committed"}]
)
def test_the_same_without_git(toy: ModuleType, plain: Path, name: str, occurrence: int) -> None:
    killed(toy, plain, name, occurrence)
    toy.migrate(plain)
    assert toy.tree(plain) == toy.FINAL
    assert [entry.step.key for entry in history_of(plain).applied] == ["flip:low", "flip:mid"]


@pytest.mark.parametrize("name", ["backup", "intent", "write:app/mid.py", "written", "committed"])
def test_a_killed_undo_is_repeated_or_finished(
    toy: ModuleType, repository: Path, name: str
) -> None:
    toy.migrate(repository)
    killed(toy, repository, name, 1, undo=True)

    if name == "committed":
        with toy.open_session(repository):
            pass
    else:
        assert toy.take_back(repository, "1") == ["flip:mid", "flip:low"]

    assert toy.tree(repository) == toy.PROGRAM
    assert history_of(repository).applied == ()


def test_git_was_killed_between_a_commit_and_its_index(toy: ModuleType, repository: Path) -> None:
    killed(toy, repository, "committed", 2)
    # As git leaves it: the branch is moved, the index is that of before, with the new files staged.
    toy.git(repository, "read-tree", "HEAD^")
    toy.git(repository, "add", "app/deep")
    assert toy.git(repository, "status", "--porcelain") != ""

    toy.migrate(repository)
    assert toy.tree(repository) == toy.FINAL
    assert toy.git(repository, "status", "--porcelain") == ""
    assert [entry.step.key for entry in history_of(repository).applied] == ["flip:low", "flip:mid"]


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/bridgekit/migrate.lock"])
def test_a_lock_that_a_killed_git_left_is_named_before_anything_is_put_back(
    toy: ModuleType, repository: Path, name: str
) -> None:
    killed(toy, repository, "staged", 2)
    tree = toy.tree(repository)
    lock = repository / ".git" / name
    lock.write_bytes(b"")
    with pytest.raises(RefusedError, match=rf"remove .*{name}"):
        toy.migrate(repository)
    assert toy.tree(repository) == tree

    lock.unlink()
    toy.migrate(repository)
    assert toy.tree(repository) == toy.FINAL
    assert toy.git(repository, "status", "--porcelain") == ""


def test_a_temporary_file_of_a_killed_write_is_removed(toy: ModuleType, repository: Path) -> None:
    killed(toy, repository, "intent", 1)
    (repository / "app/low.py.bridgekit~").write_bytes(b"def lo")
    toy.migrate(repository)
    assert toy.tree(repository) == toy.FINAL


def test_edits_after_a_kill_are_never_overwritten(toy: ModuleType, repository: Path) -> None:
    killed(toy, repository, "written", 1)
    (repository / "app/low.py").write_bytes(b"mine = 1\n")

    with pytest.raises(InterruptedStepError, match=r"app/low\.py.*backups/0001"):
        toy.migrate(repository)
    assert (repository / "app/low.py").read_bytes() == b"mine = 1\n"

    toy.git(repository, "checkout", "-q", "--", "app/low.py")
    toy.migrate(repository)
    assert toy.tree(repository) == toy.FINAL


def test_a_switch_of_branches_after_a_kill_is_left_alone(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository, until="1")
    killed(toy, repository, "intent", 1)
    toy.git(repository, "switch", "-q", "main")
    toy.migrate(repository)
    assert toy.tree(repository) == toy.FINAL


def test_a_torn_last_line_is_ignored_and_cut_off(toy: ModuleType, plain: Path) -> None:
    toy.migrate(plain, until="1")
    ledger = ledger_of(plain)
    with open(ledger.path, "ab") as stream:
        stream.write(b'{"event": "done", "n": ')
    assert len(history_of(plain).applied) == 1
    toy.migrate(plain)
    assert [entry.step.key for entry in history_of(plain).applied] == ["flip:low", "flip:mid"]


def test_a_damaged_line_is_named(toy: ModuleType, plain: Path) -> None:
    toy.migrate(plain, until="1")
    ledger = ledger_of(plain)
    ledger.path.write_bytes(b"junk\n" + ledger.path.read_bytes())
    with pytest.raises(LedgerError, match="line 1 is damaged"):
        history_of(plain)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
def test_a_kill_at_any_of_200_random_moments(toy: ModuleType, tmp_path: Path) -> None:
    """Whatever the moment: each file is an old or a new one, and a rerun ends as it would have."""
    import fcntl

    chance = random.Random(6)
    known = {toy.LOW, toy.MID, toy.BROKEN, toy.SUB, b""}
    begun = time.monotonic()
    whole = toy.commit_all(toy.write_tree(tmp_path / "whole"))
    subprocess.run([sys.executable, toy.__file__, str(whole)], check=True, capture_output=True)
    seconds = time.monotonic() - begun
    killed = 0
    for number in range(600):
        root = toy.commit_all(toy.write_tree(tmp_path / f"program-{number}"))
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, toy.__file__, str(root)],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(chance.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # git too, if it is at work
        if process.wait() < 0:
            killed += 1
        else:
            seconds = time.monotonic() - begun  # the machine has other things to do, or no longer
        if (root / ".bridgekit/lock").exists():
            with open(root / ".bridgekit/lock", "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # waits until the last of the group is gone

        changed = {n: d for n, d in kept_program(toy, root).items() if toy.PROGRAM.get(n) != d}
        assert set(changed.values()) <= known, f"a file is half written (number {number})"
        for left in (root / ".git").rglob("*.lock"):
            left.unlink()  # as git asks for, when it was killed
        toy.migrate(root)
        assert kept_program(toy, root) == toy.FINAL, number
        assert toy.git(root, "log", "--format=%s", "--reverse").splitlines() == [
            "Start", "Make low new", "Make mid new"
        ]  # fmt: skip
        assert toy.git(root, "status", "--porcelain") == ""
        assert [entry.step.key for entry in history_of(root).applied] == ["flip:low", "flip:mid"]
        shutil.rmtree(root)
        if killed == 200:
            return
    raise AssertionError(f"only {killed} of 600 were killed in time")
