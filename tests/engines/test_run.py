"""Running a checker: which one, with whose libraries, and what becomes of failures."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import bridgekit_codemods.engines.run as running
from bridgekit_codemods.engines import (
    ENGINE_FILE,
    ENGINES,
    Answers,
    EngineError,
    MissingEngineError,
    ask,
    record,
)

SOURCES = {"app.py": b"pass\n"}
Play = Callable[[str], None]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the played checkers are scripts")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Have a program that does this in the place of every checker."""

    def play(act: str) -> None:
        file = tmp_path / "checker"
        file.write_text(f"#!{sys.executable}\nimport sys, time\n{textwrap.dedent(act)}\n")
        file.chmod(0o755)
        monkeypatch.setattr(running, "find", lambda name: str(file))

    return play


def test_a_missing_checker_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "find", lambda name: None)
    with pytest.raises(MissingEngineError, match="python -m pip install ty"):
        ask("ty", tmp_path, SOURCES)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_checker_that_ends_at_once_is_an_error(play: Play, tmp_path: Path, name: str) -> None:
    play("sys.exit('no such option')")
    with pytest.raises(EngineError, match=name):
        ask(name, tmp_path, SOURCES)


def test_what_pyrefly_said_is_told_when_it_wrote_nothing(play: Play, tmp_path: Path) -> None:
    play("sys.exit('no such option')")
    with pytest.raises(EngineError, match="wrote no report: no such option"):
        ask("pyrefly", tmp_path, SOURCES)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_checker_that_does_not_end_is_ended(play: Play, tmp_path: Path, name: str) -> None:
    play("time.sleep(600)")
    with pytest.raises(EngineError, match="took longer than 1 s"):
        ask(name, tmp_path, SOURCES, limit=1.0)


def test_a_record_of_before_does_not_outlive_a_failure(play: Play, tmp_path: Path) -> None:
    file = tmp_path / ENGINE_FILE
    file.parent.mkdir()
    file.write_text(Answers("before").dump(SOURCES))
    play("sys.exit(1)")
    with pytest.raises(EngineError):
        record("pyrefly", tmp_path, SOURCES)
    assert not file.exists()


def test_a_report_of_an_unknown_form_is_an_error(play: Play, tmp_path: Path) -> None:
    play(
        """
        import json, pathlib
        out = pathlib.Path(sys.argv[sys.argv.index("--report-pysa") + 1])
        out.mkdir()
        (out / "pyrefly.pysa.json").write_text(json.dumps({"format_version": 7}))
        """
    )
    with pytest.raises(EngineError, match="format_version is 7"):
        ask("pyrefly", tmp_path, SOURCES)


def test_the_record_keeps_itself_out_of_git(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play("print('checker 1.0')")
    monkeypatch.setitem(ENGINES, "ty", lambda *_: Answers())
    done = record("ty", tmp_path, SOURCES)
    assert done.file == tmp_path / ENGINE_FILE
    assert Answers.current(done.file.read_bytes(), SOURCES).engine == "checker 1.0"
    assert (done.file.parent / ".gitignore").read_text() == "*\n"


def test_whose_libraries_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert running.interpreter(tmp_path) == sys.executable
    for home in (".venv", "active"):
        (tmp_path / home / "bin").mkdir(parents=True)
        (tmp_path / home / "bin" / "python").touch()
    assert running.interpreter(tmp_path) == str(tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert running.interpreter(tmp_path) == str(tmp_path / "active" / "bin" / "python")
