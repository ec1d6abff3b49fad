"""The options of `plan` and `migrate` that need a real planner, over a small real program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgekit.cli.app import app

GUARD = f"{sys.executable} -c \"import ast; ast.parse(open('shop.py').read())\""
SHOP = """\
import time

import requests
from flask import Flask

app = Flask(__name__)


def fetch(name):
    return requests.get(f"http://prices/{name}", timeout=5).text


def pause():
    time.sleep(1)


@app.get("/fetch")
def show():
    return fetch("tea")


@app.get("/pause")
def wait():
    pause()
    return "done"
"""
TEST = "from shop import fetch\n\n\ndef test_fetch():\n    assert fetch\n"


@pytest.fixture
def program(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
            monkeypatch: pytest.MonkeyPatch) -> Path:  # fmt: skip
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    (home / ".gitconfig").write_text("[user]\n name = Tester\n email = tester@example.org\n")
    root = tmp_path / "program"
    root.mkdir()
    (root / "shop.py").write_text(SHOP)
    (root / "test_shop.py").write_text(TEST)
    (root / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    return root


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def keys(result: Result) -> list[str]:
    return [step["key"] for step in json.loads(result.stdout)["steps"]]


def test_the_plan_begins_with_how_far_each_kind_reaches(program: Path) -> None:
    result = run("plan", program)
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["waits", "for"]
    assert [line.split() for line in lines[1:3]] == [
        ["http", "1", "2", "2", "1"],
        ["sleep", "1", "2", "2", "1"],
    ]
    assert "scope: no limits: 4 functions become async" in lines
    assert any(line.startswith("  bridges after: ") for line in lines)


def test_the_plan_as_json_has_the_same(program: Path) -> None:
    data = json.loads(run("plan", program, "--only", "sleep", "--json").stdout)
    assert data["scope"] == {"only": ["sleep"]}
    assert {c["kind"]: c["becoming_async"] for c in data["closures"]} == {"http": 2, "sleep": 2}
    assert data["becoming_async"] == 2
    assert [step["bridges_after"] for step in data["steps"]] == [
        {"to_thread": 0, "to_loop": 0},
        {"to_thread": 0, "to_loop": 1},
        {"to_thread": 0, "to_loop": 1},
        {"to_thread": 0, "to_loop": 0},
    ]
    assert keys(run("plan", program, "--only", "sleep", "--json")) == [
        "views:flask-on-portal", "flip:shop.pause", "flip:shop.wait", "fold:shop.pause",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "limits",
    [(), ("--only", "sleep"), ("--goal", "views:show"), ("--goal", "routes:/pause")],
)
def test_migrate_does_what_plan_says(program: Path, limits: tuple[str, ...]) -> None:
    planned = keys(run("plan", program, *limits, "--json"))
    done = run("migrate", program, "--write", "--guard", GUARD, *limits)
    assert done.exit_code == 0, done.output
    applied = json.loads(run("status", program, "--json").stdout)["applied"]
    assert [entry["key"] for entry in applied] == planned
    assert keys(run("plan", program, *limits, "--json")) == []


def test_a_walk_is_not_widened_by_mistake(program: Path) -> None:
    first = run("migrate", program, "--write", "--guard", GUARD, "--only", "sleep", "--until", "2")
    assert first.exit_code == 0, first.output
    text = (program / "shop.py").read_text()
    refused = run("migrate", program, "--write", "--guard", GUARD, "--only", "http")
    assert refused.exit_code == 2
    assert "started with --only sleep, and now the options are --only http" in refused.stderr
    assert (program / "shop.py").read_text() == text
    widened = run(
        "migrate", program, "--write", "--guard", GUARD, "--only", "http,sleep", "--rescope"
    )
    assert widened.exit_code == 0, widened.output
    assert "the walk goes on with --only http,sleep, before it was --only sleep" in widened.stdout
    assert "async def show" in (program / "shop.py").read_text()


def test_without_options_a_walk_goes_on_within_its_limits(program: Path) -> None:
    first = run("migrate", program, "--write", "--guard", GUARD, "--only", "sleep", "--until", "2")
    assert first.exit_code == 0, first.output
    planned = run("plan", program)
    assert "scope: --only sleep:" in planned.stdout
    assert keys(run("plan", program, "--json")) == ["flip:shop.wait", "fold:shop.pause"]
    went_on = run("migrate", program, "--write", "--guard", GUARD)
    assert went_on.exit_code == 0, went_on.output
    applied = json.loads(run("status", program, "--json").stdout)["applied"]
    assert [entry["key"] for entry in applied] == [
        "views:flask-on-portal", "flip:shop.pause", "flip:shop.wait", "fold:shop.pause",
    ]  # fmt: skip
    assert len(keys(run("plan", program, "--only", "http,sleep", "--json"))) > 0
    assert len(keys(run("plan", program, "--json"))) == 0
    unlimited = run("migrate", program, "--write", "--guard", GUARD, "--rescope")
    assert "the walk goes on with no limits, before it was --only sleep" in unlimited.stdout


@pytest.mark.parametrize("command", ["plan", "migrate"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "htp"), "no kind of waiting 'htp'"),
        (("--goal", "views:nosuch"), "there are show, wait"),
        (("--bridge-below", "-1"), "0 or more"),
    ],
)
def test_limits_that_do_not_exist(
    program: Path, command: str, words: tuple[str, ...], message: str
) -> None:
    result = run(command, program, *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_goal_that_does_not_exist_stops_a_migration_before_it_starts(program: Path) -> None:
    result = run("migrate", program, "--write", "--guard", GUARD, "--goal", "views:nosuch")
    assert result.exit_code == 2
    assert not (program / ".bridgekit").exists()


def test_explain(program: Path) -> None:
    result = run("plan", program, "--explain", "show")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "shop.show  (shop.py:18)",
        "  blocking, waits for http",
        "  becomes async",
        "  http:",
        "    shop.py:19: shop.show -> shop.fetch  [exact]",
        "    shop.py:10: shop.fetch -> requests.get",
        "  obstacles: none",
        "  reached by views and hooks: shop.show",
        "  reached by tests: none",
    ]
    data = json.loads(run("plan", program, "--explain", "shop.fetch", "--json").stdout)
    assert data["chains"]["http"][0]["line"] == 10
    missing = run("plan", program, "--explain", "shop.fetsh")
    assert missing.exit_code == 2
    assert "there are shop.fetch" in missing.stderr


def test_a_recording_says_what_each_step_frees(program: Path, tmp_path: Path) -> None:
    recording = tmp_path / "waits.jsonl"
    recording.write_text(
        '{"function": "shop.fetch", "leaf": "requests.get", "seconds": 3}\n'
        '{"leaf": "time.sleep", "seconds": 1}\n'
    )
    result = run("plan", program, "--recording", recording, "--granularity", "function")
    text = result.stdout
    assert text.index("key: flip:shop.show") < text.index("frees 75.0% of the recorded waiting")
    assert "recorded waiting: 4 s, of which the steps free 100.0% (4 s)" in text
    data = json.loads(run("plan", program, "--recording", recording, "--only", "sleep",
                          "--json").stdout)  # fmt: skip
    assert data["recording"]["freed"] == 1
    assert data["recording"]["held"] == {"shop.fetch": 3}
    recording.write_text("no JSON\n")
    broken = run("plan", program, "--recording", recording)
    assert broken.exit_code == 2
    assert "line 1 is no JSON" in broken.stderr
    assert run("plan", program, "--recording", tmp_path / "none").exit_code == 2


def test_a_library(program: Path) -> None:
    before = (program / "shop.py").read_text()
    result = run("plan", program, "--library")
    assert result.exit_code == 1
    assert "no command writes the twins yet" in result.stdout
    assert "shop.fetch -> shop_aio.fetch" in result.stdout
    data = json.loads(run("plan", program, "--library", "--json", "--only", "sleep").stdout)
    assert [twin["function"] for twin in data["twins"]] == ["shop.pause", "shop.wait"]
    assert data["rewrites"] is False
    assert (program / "shop.py").read_text() == before


def test_explain_and_library_exclude_each_other(program: Path) -> None:
    assert run("plan", program, "--explain", "shop.fetch", "--library").exit_code == 2
