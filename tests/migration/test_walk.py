"""The walk over a program: commits, undone steps, resuming, and never a half-written tree."""

from __future__ import annotations

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.errors import (
    BaselineError,
    MigrationError,
    NoSuchStepError,
    PlannerError,
    RefusedError,
)
from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.planning.steps import Step


def subjects(toy: ModuleType, root: Path) -> list[str]:
    return toy.git(root, "log", "--format=%s", "--reverse").split("\n")[:-1]


def test_good_steps_are_committed_and_the_red_one_leaves_no_trace(
    toy: ModuleType, repository: Path
) -> None:
    outcome = toy.migrate(repository)

    assert [entry.step.key for entry in outcome.applied] == ["flip:low", "flip:mid"]
    assert [(kept.key, kept.cause) for kept in outcome.kept] == [("flip:broken", "guard")]
    assert outcome.done_now == 2
    assert toy.tree(repository) == toy.FINAL
    assert not (repository / "app/extra").exists()
    assert subjects(toy, repository) == ["Start", "Make low new", "Make mid new"]
    assert toy.git(repository, "branch", "--show-current").strip() == "bridgekit/migrate"
    assert toy.git(repository, "status", "--porcelain") == ""


def test_a_commit_says_what_changed_and_carries_the_key(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository, until="1")

    body = toy.git(repository, "log", "-1", "--format=%B")
    assert "- app.low.low" in body
    assert "Bridges added:\n- app.mid.mid -> app.low.low" in body
    assert "Guard: quick\n1 passed" in body
    trailer = toy.git(
        repository, "log", "-1", "--format=%(trailers:key=Bridgekit-Step,valueonly)"
    ).strip()
    assert trailer == "flip:low"


def test_a_second_run_does_nothing_at_all(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository)
    head = toy.git(repository, "rev-parse", "HEAD")
    guard = toy.QuickGuard(repository)

    outcome = toy.migrate(repository, guard=guard)

    assert outcome.done_now == 0
    assert guard.runs == []
    assert toy.git(repository, "rev-parse", "HEAD") == head


def test_until_stops_after_that_step_and_the_next_run_goes_on(
    toy: ModuleType, repository: Path
) -> None:
    outcome = toy.migrate(repository, until="flip:low")
    assert outcome.stopped_at == "flip:low"
    assert [entry.step.key for entry in outcome.applied] == ["flip:low"]

    toy.git(repository, "switch", "-q", "main")
    toy.migrate(repository)

    assert toy.tree(repository) == toy.FINAL
    assert subjects(toy, repository) == ["Start", "Make low new", "Make mid new"]


def test_kept_steps_are_tried_again_only_when_asked(toy: ModuleType, repository: Path) -> None:
    steps = toy.STEPS[:2]
    planner = toy.ScriptedPlanner(steps)
    toy.migrate(repository, planner)
    guard = toy.QuickGuard(repository)

    toy.migrate(repository, planner, guard)
    assert guard.runs == []
    toy.migrate(repository, planner, guard, retry=True)
    assert len([name for name in guard.runs if "baseline" not in name]) == 1


def test_a_red_baseline_changes_nothing(toy: ModuleType, repository: Path) -> None:
    (repository / "app/mid.py").write_bytes(toy.BROKEN)
    toy.git(repository, "commit", "-q", "-am", "Break it")
    before = toy.tree(repository)

    with pytest.raises(BaselineError, match="before the first step"):
        toy.migrate(repository)

    assert toy.tree(repository) == before
    assert toy.git(repository, "branch", "--format=%(refname:short)").split() == ["main"]


def test_a_static_objection_keeps_a_step_back_without_running_the_guard(
    toy: ModuleType, repository: Path
) -> None:
    guard = toy.QuickGuard(repository)
    planner = toy.ScriptedPlanner(toy.STEPS[:1], {"flip:low": "low is not awaited in mid"})

    outcome = toy.migrate(repository, planner, guard)

    assert [(kept.cause, kept.detail) for kept in outcome.kept] == [
        ("check", "low is not awaited in mid")
    ]
    assert guard.runs == ["0000-baseline", "0000-baseline-2"]
    assert toy.tree(repository) == toy.PROGRAM


def test_a_result_that_does_not_compile_is_refused(toy: ModuleType, repository: Path) -> None:
    step = Step("flip:bad", "flip", "Bad", ("app.low",), {"app/low.py": b"def low(:\n"})
    outcome = toy.migrate(repository, toy.ScriptedPlanner((step,)))
    assert outcome.kept[0].detail.startswith("app/low.py:1: does not compile")


@pytest.mark.parametrize("path", ["app/low.py", "app/new.py", "notes.txt"])
def test_only_uncommitted_sources_and_tracked_files_are_dirt(
    toy: ModuleType, repository: Path, path: str
) -> None:
    (repository / path).write_bytes(b"x = 1\n")
    if path == "notes.txt":
        assert toy.migrate(repository).done_now == 2
        assert (repository / path).read_bytes() == b"x = 1\n"
    else:
        with pytest.raises(RefusedError, match=f"uncommitted changes .*{path}"):
            toy.migrate(repository)


def test_a_refused_run_leaves_nothing_for_git_to_see(toy: ModuleType, repository: Path) -> None:
    (repository / "app/low.py").write_bytes(b"x = 1\n")
    with pytest.raises(RefusedError):
        toy.migrate(repository)
    assert toy.git(repository, "status", "--porcelain").strip() == "M app/low.py"


def test_ignored_files_are_not_dirt(toy: ModuleType, repository: Path) -> None:
    (repository / ".gitignore").write_text("local.py\n")
    toy.git(repository, "add", ".gitignore")
    toy.git(repository, "commit", "-q", "-m", "Ignore")
    (repository / "local.py").write_text("x = 1\n")
    assert toy.migrate(repository).done_now == 2


def test_only_the_given_part_of_a_repository_is_touched(toy: ModuleType, tmp_path: Path) -> None:
    service = toy.write_tree(tmp_path / "mono" / "service")
    other = tmp_path / "mono" / "other.py"
    other.write_text("x = 1\n")
    toy.commit_all(tmp_path / "mono")
    other.write_text("x = 2\n")
    toy.git(tmp_path / "mono", "add", "other.py")

    toy.migrate(service)

    assert toy.tree(service) == toy.FINAL
    changed = toy.git(tmp_path / "mono", "diff", "--name-only", "main..HEAD").split()
    assert all(name.startswith("service/") for name in changed)
    assert toy.git(tmp_path / "mono", "status", "--porcelain").split() == ["M", "other.py"]


def test_the_state_directory_stays_out_of_git(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository)
    toy.migrate(repository)
    assert (repository / ".git/info/exclude").read_text().count(".bridgekit/") == 1
    assert not (repository / ".gitignore").exists()


def test_a_detached_head_gets_the_branch(toy: ModuleType, repository: Path) -> None:
    toy.git(repository, "checkout", "-q", "--detach")
    toy.migrate(repository)
    assert toy.git(repository, "branch", "--show-current").strip() == "bridgekit/migrate"


def test_a_merged_branch_moves_up_to_where_the_user_is(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository, until="1")
    toy.git(repository, "switch", "-q", "main")
    toy.git(repository, "merge", "-q", "--ff-only", "bridgekit/migrate")
    (repository / "later.py").write_text("x = 1\n")
    toy.git(repository, "add", "later.py")
    toy.git(repository, "commit", "-q", "-m", "Later")

    toy.migrate(repository)

    assert subjects(toy, repository) == ["Start", "Make low new", "Later", "Make mid new"]


def test_a_hook_that_refuses_a_commit_keeps_the_step_back(
    toy: ModuleType, repository: Path
) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\necho no deep code >&2\n! git diff --cached --name-only | grep deep\n"
    )
    hook.chmod(0o755)

    outcome = toy.migrate(repository)

    assert {kept.key: kept.cause for kept in outcome.kept} == {
        "flip:broken": "guard",
        "flip:mid": "commit",
    }
    assert toy.tree(repository) == {**toy.PROGRAM, "app/low.py": toy.LOW}
    assert toy.git(repository, "status", "--porcelain") == ""


def test_without_git_each_step_leaves_a_patch_that_applies(toy: ModuleType, plain: Path) -> None:
    outcome = toy.migrate(plain)

    assert toy.tree(plain) == toy.FINAL
    patches = sorted((plain / ".bridgekit/patches").iterdir())
    assert [path.name for path in patches] == ["0001-flip-low.patch", "0003-flip-mid.patch"]
    assert [entry.commit for entry in outcome.applied] == [path.name for path in patches]
    copy = toy.write_tree(plain.parent / "copy")
    for path in patches:
        subprocess.run(["git", "apply", "-p1", str(path)], cwd=copy, check=True)
    assert toy.tree(copy) == toy.FINAL


@pytest.mark.parametrize("kind", ["plain", "repository"])
def test_undo_takes_back_the_named_step_and_the_later_ones(
    toy: ModuleType, kind: str, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue(kind)
    toy.migrate(root)

    assert toy.take_back(root) == ["flip:mid"]
    assert toy.tree(root) == {**toy.PROGRAM, "app/low.py": toy.LOW}
    assert not (root / "app/deep").exists()
    toy.migrate(root)
    assert toy.take_back(root, "flip:low") == ["flip:mid", "flip:low"]
    assert toy.tree(root) == toy.PROGRAM
    assert history_of(root).applied == ()
    with pytest.raises(NoSuchStepError):
        toy.take_back(root)


def test_a_step_undone_for_good_is_not_tried_again(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository)
    toy.take_back(repository, "flip:mid", keep=True)
    assert history_of(repository).kept["flip:mid"].cause == "undo"
    assert toy.migrate(repository).done_now == 0


def test_undo_refuses_to_destroy_later_edits(toy: ModuleType, repository: Path) -> None:
    toy.migrate(repository)
    (repository / "app/mid.py").write_bytes(toy.MID + b"# mine\n")
    toy.git(repository, "commit", "-q", "-am", "Mine")
    with pytest.raises(RefusedError, match=r"app/mid\.py changed after the step"):
        toy.take_back(repository)
    assert (repository / "app/mid.py").read_bytes() == toy.MID + b"# mine\n"


def test_permission_bits_survive(toy: ModuleType, plain: Path) -> None:
    (plain / "app/low.py").chmod(0o750)
    toy.migrate(plain)
    assert stat.S_IMODE((plain / "app/low.py").stat().st_mode) == 0o750


def test_an_edit_while_the_guard_runs_stops_the_walk_and_is_not_lost(
    toy: ModuleType, repository: Path
) -> None:
    def edit() -> None:
        path = repository / "app/low.py"
        if path.read_bytes() == toy.LOW:
            path.write_bytes(b"mine = 1\n")

    with pytest.raises(MigrationError, match="changed while the guard ran"):
        toy.migrate(repository, guard=toy.QuickGuard(repository, edit))

    assert toy.tree(repository) == toy.PROGRAM
    assert (repository / ".bridgekit/conflicts/0001/app/low.py").read_bytes() == b"mine = 1\n"


def test_an_interrupt_puts_the_step_back(toy: ModuleType, repository: Path) -> None:
    guard = toy.QuickGuard(repository)

    def interrupt() -> None:
        if len(guard.runs) == 3:
            raise KeyboardInterrupt

    guard.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        toy.migrate(repository, guard=guard)
    assert toy.tree(repository) == toy.PROGRAM
    assert history_of(repository).pending is None


def test_a_planner_that_repeats_itself_is_stopped(toy: ModuleType, plain: Path) -> None:
    class Stubborn(toy.ScriptedPlanner):  # type: ignore[name-defined,misc]
        def next_step(self, sources: object, kept: frozenset[str]) -> Step:
            return toy.STEPS[1]

    with pytest.raises(PlannerError, match="again, which was kept back"):
        toy.migrate(plain, Stubborn())


@pytest.mark.parametrize("path", ["../evil.py", "/evil.py", ".git/hooks/x", ".bridgekit/ledger"])
def test_a_step_cannot_leave_the_program(toy: ModuleType, plain: Path, path: str) -> None:
    step = Step("x:y", "x", "X", (), {path: b"x"})
    with pytest.raises(MigrationError, match="program"):
        toy.migrate(plain, toy.ScriptedPlanner((step,)))


def test_two_runs_at_once_are_refused(toy: ModuleType, plain: Path) -> None:
    def second() -> None:
        with pytest.raises(RefusedError, match="another bridgekit"):
            toy.migrate(plain)

    assert toy.migrate(plain, guard=toy.QuickGuard(plain, second)).done_now == 2


def test_this_python_runs_the_toy(toy: ModuleType, plain: Path) -> None:
    done = subprocess.run([sys.executable, toy.__file__, str(plain)], check=True, timeout=60)
    assert done.returncode == 0
    assert toy.tree(plain) == toy.FINAL


def test_a_test_that_stops_running_is_red(toy: ModuleType, plain: Path) -> None:
    class Forgetful(toy.QuickGuard):  # type: ignore[name-defined,misc]
        def run(self, name: str, *options: object) -> object:
            names = {"test_a", "test_b"} if "baseline" in name else {"test_a"}
            return replace(super().run(name), outcomes=dict.fromkeys(names, "passed"))

    outcome = toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), Forgetful(plain))

    assert outcome.kept[0].detail == "tests that passed before did not run:\ntest_b"
    assert toy.tree(plain) == toy.PROGRAM


def test_a_step_that_weakens_a_test_is_refused(toy: ModuleType, plain: Path) -> None:
    weaker = toy.PROGRAM["tests/test_app.py"].replace(b" == 2", b"")
    step = Step("tests:app", "tests", "Weaken", ("tests",), {"tests/test_app.py": weaker})
    outcome = toy.migrate(plain, toy.ScriptedPlanner((step,)))
    assert outcome.kept[0].cause == "integrity"
    assert toy.tree(plain) == toy.PROGRAM


def test_line_ends_are_kept(toy: ModuleType, plain: Path) -> None:
    (plain / "app/low.py").write_bytes(toy.PROGRAM["app/low.py"].replace(b"\n", b"\r\n"))
    outcome = toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]))
    assert outcome.kept[0].detail == "app/low.py: the line ends would change"
    crlf = Step("flip:low", "flip", "Low", (), {"app/low.py": toy.LOW.replace(b"\n", b"\r\n")})
    toy.migrate(plain, toy.ScriptedPlanner((crlf,)), retry=True)
    assert (plain / "app/low.py").read_bytes() == toy.LOW.replace(b"\n", b"\r\n")
