"""Every command: what it prints, what it leaves behind, and its exit code (docs/cli.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import Result

Run = Callable[..., Result]
GUARD = f'{sys.executable} -c "import app.mid; assert app.mid.mid() == 2"'


def test_scan_lists_leaves_entry_points_and_findings(run: Run, program: Path) -> None:
    result = run("scan", program)
    assert result.exit_code == 1
    assert "2 files, 3 functions" in result.stdout
    assert "app/low.py:1: sleep: time.sleep in app.low.low" in result.stdout
    assert "app/mid.py:4: view: app.mid.mid" in result.stdout
    assert "app/mid.py:4: BK900 x was kept" in result.stdout
    assert "remedy: none" in result.stdout


def test_scan_as_json(run: Run, program: Path) -> None:
    data = json.loads(run("scan", program, "--json").stdout)
    assert data["colours"] == {"blocking": 1, "pure": 2}
    assert data["leaves"][0]["target"] == "time.sleep"
    assert data["problems"] == []


def test_plan_shows_every_step_and_writes_nothing(run: Run, toy: ModuleType, program: Path) -> None:
    result = run("plan", program)
    assert result.exit_code == 1
    assert result.stdout.index("step 1: Make low new") < result.stdout.index("Make mid new")
    assert "bridges added: app.mid.mid -> app.low.low" in result.stdout
    assert toy.tree(program) == toy.PROGRAM
    assert not (program / ".bridgekit").exists()


def test_plan_as_json(run: Run, program: Path) -> None:
    data = json.loads(run("plan", program, "--json").stdout)
    assert [step["key"] for step in data["steps"]] == ["flip:low", "flip:broken", "flip:mid"]
    assert '+    """Now new."""' in data["steps"][0]["diff"]


def test_migrate_is_a_dry_run_with_the_diff_by_default(
    run: Run, toy: ModuleType, program: Path
) -> None:
    result = run("migrate", program)
    assert result.exit_code == 1
    assert "+++ b/app/low.py" in result.stdout
    assert toy.tree(program) == toy.PROGRAM


def test_the_whole_way(run: Run, toy: ModuleType, program: Path) -> None:
    done = run("migrate", program, "--write", "--guard", GUARD)
    assert done.exit_code == 1, done.output
    assert "2 steps done now, 2 in all, 1 kept back" in done.stdout
    assert toy.tree(program).items() >= toy.FINAL.items()

    status = run("status", program)
    assert status.exit_code == 1
    assert "Make low new  [flip:low]" in status.stdout
    assert "kept  Break mid  [flip:broken]  guard: AssertionError" in status.stdout
    data = json.loads(run("status", program, "--json").stdout)
    assert [entry["key"] for entry in data["applied"]] == ["flip:low", "flip:mid"]
    assert data["kept"][0]["cause"] == "guard"

    report = run("report", program)
    assert report.exit_code == 1
    assert "flip:broken was kept" in report.stdout
    assert json.loads(run("report", program, "--json").stdout)["findings"]

    undone = run("undo", program, "flip:low")
    assert undone.exit_code == 0
    assert undone.stdout.splitlines() == [
        "undone  Make mid new  [flip:mid]",
        "undone  Make low new  [flip:low]",
    ]
    assert toy.tree(program).items() >= toy.PROGRAM.items()


def test_all_done_and_nothing_to_do_are_zero(
    run: Run, toy: ModuleType, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bridgekit_codemods.walk.planner as planning

    planner = toy.ScriptedPlanner(toy.STEPS[:1])
    monkeypatch.setattr(planning, "build_planner", lambda **_: planner)
    assert run("migrate", program, "--write", "--guard", GUARD).exit_code == 0
    again = run("migrate", program, "--write", "--guard", GUARD)
    assert again.exit_code == 0
    assert "0 steps done now, 1 in all" in again.stdout
    assert run("status", program).exit_code == 0
    assert run("plan", program).exit_code == 0


def test_until(run: Run, toy: ModuleType, program: Path) -> None:
    result = run("migrate", program, "--write", "--guard", GUARD, "--until", "flip:low")
    assert result.exit_code == 0
    assert (program / "app/mid.py").read_bytes() == toy.PROGRAM["app/mid.py"]


@pytest.mark.parametrize(
    "words", [("plan",), ("migrate",), ("migrate", "--write", "--guard", GUARD)]
)
def test_until_a_step_that_is_not_in_the_plan(
    run: Run, toy: ModuleType, program: Path, words: tuple[str, ...]
) -> None:
    result = run(words[0], program, *words[1:], "--until", "flip:nosuch")
    assert result.exit_code == 2
    assert "--until flip:nosuch: the plan has no such step" in result.stderr
    assert toy.tree(program) == toy.PROGRAM


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("bridgekit 0.")


@pytest.mark.parametrize("command", ["scan", "plan", "migrate", "report", "status", "undo"])
def test_no_such_path(run: Run, command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "there is no such path" in result.stderr


@pytest.mark.parametrize("command", ["scan", "plan", "migrate", "report"])
def test_no_python(run: Run, command: str, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    result = run(command, tmp_path)
    assert result.exit_code == 2
    assert "there is no Python file" in result.stderr


@pytest.mark.parametrize("command", ["scan", "plan", "migrate", "report"])
def test_a_syntax_error_is_reported_and_the_rest_goes_on(
    run: Run, toy: ModuleType, program: Path, command: str
) -> None:
    (program / "app/bad.py").write_text("x = 1\ndef f(:\n")
    result = run(command, program)
    assert result.exit_code == 3
    assert "app/bad.py:2: cannot be processed: invalid syntax" in result.stdout


def test_a_red_guard_shows_its_output_and_changes_nothing(
    run: Run, toy: ModuleType, program: Path
) -> None:
    command = f"{sys.executable} -c \"raise SystemExit('the tests are red')\""
    result = run("migrate", program, "--write", "--guard", command)
    assert result.exit_code == 1
    assert "the tests are red" in result.stderr
    assert "nothing was changed" in result.stderr
    assert toy.tree(program) == toy.PROGRAM


def test_a_guard_that_hangs_is_stopped(run: Run, toy: ModuleType, program: Path) -> None:
    command = f'{sys.executable} -c "import threading; threading.Event().wait()"'
    result = run("migrate", program, "--write", "--guard", command, "--guard-timeout", "0.5")
    assert result.exit_code == 1
    assert "does not end before the first step (no end after 0.5 s" in result.stderr


def test_a_dirty_tree_is_refused(run: Run, program: Path) -> None:
    (program / "app/low.py").write_text("x = 1\n")
    result = run("migrate", program, "--write", "--guard", GUARD)
    assert result.exit_code == 2
    assert "uncommitted changes" in result.stderr


@pytest.mark.parametrize("guard", ["", "pytest 'x"])
def test_an_unusable_guard_is_a_usage_error(run: Run, program: Path, guard: str) -> None:
    assert run("migrate", program, "--write", "--guard", guard).exit_code == 2


def test_a_program_without_tests_needs_a_guard(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    result = run("migrate", tmp_path, "--write")
    assert result.exit_code == 2
    assert "--guard COMMAND" in result.stderr


def test_undo_without_a_step_says_so(run: Run, program: Path) -> None:
    result = run("undo", program)
    assert result.exit_code == 2
    assert "nothing to undo" in result.stderr


def test_an_unknown_option_is_a_usage_error(run: Run, program: Path) -> None:
    assert run("scan", program, "--nonsense").exit_code == 2


def test_a_missing_extra_is_one_line() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['bridgekit', 'scan', '.']\n"
        "from bridgekit.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'install the "migrate" extra' in done.stderr
    assert "pip install bridgekit" not in done.stderr
