"""`bridgekit scan --trace` and `--calls`, with the real planner."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridgekit.cli.app import app

PROGRAM = """\
def send(order):
    return order


def dispatch(name):
    return globals()[name](1)


if __name__ == "__main__":
    raise SystemExit(dispatch("send") - 1)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM)
    return tmp_path


def targets(output: str) -> dict[str, list[dict[str, str]]]:
    return {call["caller"] or "": call["targets"] for call in json.loads(output)["calls"]}


def test_calls_tell_confidence_and_evidence(program: Path) -> None:
    result = CliRunner().invoke(app, ["scan", str(program), "--json", "--calls"])
    data = json.loads(result.stdout)
    assert data["resolution"]["unknown"] == 1
    (call,) = [c for c in data["calls"] if c["caller"] is None and c["name"] == "dispatch"]
    assert call["targets"] == [
        {
            "function": "app.dispatch",
            "confidence": "exact",
            "evidence": "the function is named",
        }
    ]
    assert targets(result.stdout)["app.dispatch"] == []


def test_a_traced_run_is_used_by_later_scans(program: Path) -> None:
    command = f"{shlex.quote(sys.executable)} app.py"
    first = CliRunner().invoke(app, ["scan", str(program), "--trace", command, "--no-tree"])
    assert first.exit_code == 0, first.output
    assert "functions ran" in first.stderr
    assert (program / ".bridgekit" / "trace.json").exists()

    later = CliRunner().invoke(app, ["scan", str(program), "--json", "--calls"])
    assert targets(later.stdout)["app.dispatch"] == [
        {"function": "app.send", "confidence": "traced", "evidence": "seen in the traced run"}
    ]
    assert json.loads(later.stdout)["resolution"]["traced"] == 1

    (program / "app.py").write_text("# changed\n" + PROGRAM)
    changed = CliRunner().invoke(app, ["scan", str(program), "--json", "--calls"])
    assert targets(changed.stdout)["app.dispatch"] == []


def test_a_red_run_is_told(program: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -c 'import app; app.dispatch(\"none\")'"
    result = CliRunner().invoke(app, ["scan", str(program), "--trace", command, "--no-tree"])
    assert result.exit_code == 0, result.output
    assert "the traced command ended with 1" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trace", "no-such-command"], "cannot run no-such-command"),
        (["--trace", ""], "--trace needs a command"),
        (["--trace", "'"], "cannot read the command"),
        (["--trace", f"{shlex.quote(sys.executable)} -c pass"], "no function of the program"),
        (["--calls"], "--calls goes with --json"),
    ],
)
def test_what_cannot_be_traced(program: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["scan", str(program), *options])
    assert result.exit_code == 2
    assert message in result.stderr
