"""`--engine`, with checkers that are played by functions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import bridgekit.cli.engines
import bridgekit_codemods.engines.run
from bridgekit.cli.app import app
from bridgekit.cli.engines import Engine, reader
from bridgekit_codemods.engines import ENGINE_FILE, ENGINES, Answer, Answers, EngineError
from bridgekit_codemods.tracing.record import Definition, Place

PROGRAM = """\
from elsewhere import make

class Order:
    def send(self): ...

make().send()
Order().send()
"""
Install = Callable[..., list[str]]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Have these checkers installed and no others; gives the names of those that were asked."""
    asked: list[str] = []

    def install(*names: str, error: str | None = None) -> list[str]:
        def find(name: str) -> str | None:
            return sys.executable if name in names else None

        def answer(name: str) -> Callable[..., Answers]:
            def ask(
                program: str, root: Path, sources: Mapping[str, bytes], limit: float
            ) -> Answers:
                asked.append(name)
                if error is not None:
                    raise EngineError(error)
                send = Answer(frozenset({Definition("app.py", 4, "send")}))
                return Answers(
                    calls={
                        Place("app.py", 6, 0, 6, 13): send,
                        Place("app.py", 7, 0, 7, 14): Answer(frozenset(), elsewhere=True),
                    }
                )

            return ask

        monkeypatch.setattr(bridgekit.cli.engines, "find", find)
        monkeypatch.setattr(bridgekit_codemods.engines.run, "find", find)
        for name in ("ty", "pyrefly"):
            monkeypatch.setitem(ENGINES, name, answer(name))
        return asked

    return install


def scan(program: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["scan", str(program), "--json", "--calls", *words])


def call(result: Result) -> dict[str, object]:
    (found,) = [
        c for c in json.loads(result.stdout)["calls"] if c["line"] == 6 and c["name"] == "send"
    ]
    return found  # type: ignore[no-any-return]


def test_the_answers_are_used_and_told(program: Path, install: Install) -> None:
    install("ty")
    result = scan(program, "--engine", "ty")
    version = f"Python {sys.version.split()[0]}"
    assert call(result)["targets"] == [
        {"function": "app.Order.send", "confidence": "engine", "evidence": f"{version} says so"}
    ]
    assert f"{version} answered for 2 calls" in result.stderr
    assert (
        "targets from the type checker: 1; that it contradicts, without effect: 1" in result.stderr
    )
    assert json.loads(result.stdout)["resolution"]["engine"] == 1


def test_differences_are_listed(program: Path, install: Install) -> None:
    install("ty")
    calls = json.loads(scan(program, "--engine", "ty").stdout)["calls"]
    assert [(c["line"], c["disputed"]) for c in calls if c["disputed"] is not None] == [(7, [])]


@pytest.mark.parametrize("command", ["scan", "plan", "migrate"])
def test_a_missing_checker_is_one_line(program: Path, install: Install, command: str) -> None:
    install("ty")
    result = CliRunner().invoke(app, [command, str(program), "--engine", "pyrefly"])
    assert result.exit_code == 2
    assert result.stderr.startswith("bridgekit: pyrefly is not installed; install it (")
    assert result.stderr.count("\n") == 1
    assert not (program / ENGINE_FILE).exists()


@pytest.mark.parametrize(
    ("installed", "asked"), [(("ty", "pyrefly"), ["ty"]), (("pyrefly",), ["pyrefly"]), ((), [])]
)
def test_auto_takes_what_there_is(
    program: Path, install: Install, installed: tuple[str, ...], asked: list[str]
) -> None:
    found = install(*installed)
    result = scan(program, "--engine", "auto")
    assert result.exit_code == 0
    assert found == asked
    assert ("going on without a type checker" in result.stderr) is (not installed)


def test_a_checker_that_fails_ends_the_command_if_it_was_named(
    program: Path, install: Install
) -> None:
    install("ty", error="ty: it broke")
    named = scan(program, "--engine", "ty")
    assert (named.exit_code, named.stderr) == (2, "bridgekit: ty: it broke\n")
    auto = scan(program, "--engine", "auto")
    assert auto.exit_code == 0
    assert "it broke; going on without" in auto.stderr
    assert call(auto)["targets"] == []


def test_no_checker_runs_unasked_and_an_earlier_answer_holds(
    program: Path, install: Install
) -> None:
    asked = install("ty", "pyrefly")
    assert call(scan(program))["targets"] == []
    assert asked == []
    scan(program, "--engine", "pyrefly")
    result = scan(program)
    assert call(result)["targets"] != []
    assert result.stderr == ""
    assert asked == ["pyrefly"]


def test_none_forgets(program: Path, install: Install) -> None:
    install("ty")
    scan(program, "--engine", "ty")
    assert call(scan(program, "--engine", "none"))["targets"] == []
    assert not (program / ENGINE_FILE).exists()
    assert call(scan(program))["targets"] == []


def test_an_answer_about_a_file_that_changed_counts_for_nothing(
    program: Path, install: Install
) -> None:
    install("ty")
    scan(program, "--engine", "ty")
    (program / "app.py").write_text(PROGRAM + "\n")
    assert call(scan(program))["targets"] == []


def test_a_walk_asks_again_when_files_have_changed(program: Path, install: Install) -> None:
    asked = install("ty")
    read = reader(Engine.ty)
    assert ENGINE_FILE in read(program)
    read(program)
    assert len(asked) == 1
    (program / "app.py").write_text(PROGRAM + "\n")
    read(program)
    assert len(asked) == 2


def test_a_walk_uses_what_the_command_has_just_asked(program: Path, install: Install) -> None:
    asked = install("ty")
    scan(program, "--engine", "ty")
    assert ENGINE_FILE in reader(Engine.ty)(program)
    assert len(asked) == 1


@pytest.mark.parametrize("engine", [None, Engine.none])
def test_a_walk_without_a_checker_asks_none(
    program: Path, install: Install, engine: Engine | None
) -> None:
    asked = install("ty", "pyrefly")
    assert ENGINE_FILE not in reader(engine)(program)
    assert asked == []


def test_a_walk_goes_on_when_the_checker_fails(
    program: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("ty", error="ty: it broke")
    read = reader(Engine.ty)
    assert set(read(program)) == set(read(program)) == {"app.py"}
    assert capsys.readouterr().err.count("it broke") == 1
