"""`show`, `why`, `skip` and `redo`: one step, and one function's way through the walk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgekit.cli.app import app
from bridgekit_codemods.editing import EditMissed, FileEdits

GUARD = f"{sys.executable} -I -S -c ''"
SHOP = b"""\
import time

from bridgekit.integrations.flask import Flask

app = Flask(__name__)


def rest():
    time.sleep(0.1)


def doze():
    rest()


@app.get("/rest")
def show():
    doze()
    return "rested"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program without git, and the current directory."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "shop.py").write_bytes(SHOP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    if words[0] in {"plan", "migrate", "show", "skip"}:
        words += ["--target", "flask", "--granularity", "function"]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def keys() -> list[str]:
    return [step["key"] for step in json.loads(run("plan", ".", "--json").stdout)["steps"]]


def migrate(*options: str) -> None:
    result = run("migrate", ".", "--write", "--guard", GUARD, *options)
    assert result.exit_code in (0, 1), result.output


def test_a_step_to_come(shop: Path) -> None:
    assert keys()[:3] == ["flip:shop.rest", "flip:shop.doze", "flip:shop.show"]
    for words in (("show", "flip:shop.rest"), ("show", "1"), ("show", shop, "1")):
        text = run(*words).stdout
        assert text.startswith("step 1: ")
        assert "    shop.rest waits for sleep (shop.py:9: time.sleep)\n" in text
        assert "+async def rest_async():\n" in text
    data = json.loads(run("show", "2", "--json").stdout)
    assert data["state"] == "planned"
    assert data["reasons"] == {"shop.doze": "waits for sleep (shop.py:9: time.sleep)"}
    assert not (shop / ".bridgekit").exists()


def test_a_step_that_is_done_is_shown_as_it_was(shop: Path) -> None:
    first = run("show", "1").stdout
    first = first[first.index("diff --git") :]
    migrate()
    text = run("show", "1").stdout
    assert "  done 2" in text
    assert "    shop.rest waits for sleep (shop.py:9: time.sleep)\n" in text
    assert text[text.index("diff --git") :] == first
    data = json.loads(run("show", "flip:shop.rest", "--json").stdout)
    assert (data["state"], data["number"], data["lost"]) == ("done", 1, [])


def test_what_something_else_changed_since_is_not_guessed(shop: Path) -> None:
    migrate("--until", "1")
    with (shop / "shop.py").open("ab") as stream:
        stream.write(b"# more\n")
    text = run("show", "1").stdout
    assert "shop.py: changed since by something else" in text
    assert "diff --git" not in text


def test_a_step_that_was_kept_back(shop: Path) -> None:
    check = "import sys; sys.exit('doze_async' in open('shop.py').read() and 'AssertionError')"
    bad = f'{sys.executable} -I -S -c "{check}"'
    result = run("migrate", ".", "--write", "--guard", bad)
    assert result.exit_code == 1, result.output
    text = run("show", "flip:shop.doze").stdout
    assert text.startswith("kept back: ")
    assert "  | AssertionError" in text
    assert json.loads(run("show", "flip:shop.doze", "--json").stdout)["cause"] == "guard"
    why = run("why", "doze").stdout
    assert "  kept back: " in why
    assert "guard: AssertionError" in why


def test_a_step_is_left_out_until_it_is_to_be_tried_again(shop: Path) -> None:
    skipped = run("skip", "2", "--reason", "the team next door")
    assert skipped.exit_code == 0, skipped.output
    assert "flip:shop.doze" not in keys()
    assert "skip: the team next door" in run("status").stdout
    migrate()
    assert "def doze():\n    rest()\n" in (shop / "shop.py").read_text()
    again = run("redo", "flip:shop.doze")
    assert again.exit_code == 0, again.output
    assert "flip:shop.doze" in keys()
    migrate()
    assert "async def doze" in (shop / "shop.py").read_text()


def test_why(shop: Path) -> None:
    text = run("why", "doze").stdout
    assert "blocking, waits for sleep" in text
    migrate()
    text = run("why", shop, "shop.doze").stdout
    assert "is async" in text
    assert "  changed by step 2: " in text
    data = json.loads(run("why", "doze", "--json").stdout)
    assert data["changed_by"][0]["number"] == 2
    assert data["kept_back"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show",), "name the step"),
        (("show", "nosuch"), "there is no step nosuch"),
        (("show", "99"), "there is no step 99"),
        (("why",), "name the function"),
        (("why", "nosuch"), "there is no function nosuch"),
        (("skip", "nosuch"), "there is no step nosuch"),
        (("redo", "flip:shop.rest"), "has not been kept back"),
        (("undo", "nosuch"), "no applied step is called nosuch"),
    ],
)
def test_what_does_not_exist(shop: Path, words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_what_is_done_cannot_be_skipped_or_redone(shop: Path) -> None:
    migrate("--until", "1")
    assert "is done or kept back already" in run("skip", "1").stderr
    assert "is done" in run("redo", "1").stderr


def test_a_step_that_the_tool_fails_to_write_is_kept_back_and_the_walk_goes_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileEdits.apply

    def failing(self: FileEdits, data: bytes) -> bytes:
        after = write(self, data)
        if b"doze_async" in after:
            raise EditMissed(f"{self.path}:12:0: no Call here to edit")
        return after

    monkeypatch.setattr(FileEdits, "apply", failing)
    planned = run("plan", ".").stdout
    assert "  would be kept back: bridgekit failed to write this step" in planned
    migrate()
    (entry,) = json.loads(run("status", "--json").stdout)["kept"]
    assert (entry["key"], entry["cause"]) == ("flip:shop.doze", "fault")
    assert "shop.py:12:0: no Call here to edit" in entry["detail"]
    assert "async def rest_async" in (shop / "shop.py").read_text()
    assert "kept back" in run("why", "doze").stdout
