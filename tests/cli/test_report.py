"""The forms of `bridgekit report`, where they go, and the tree and progress bar of `scan`."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgekit.cli import exactness
from bridgekit.cli.app import app
from bridgekit_codemods.migration.session import ledger_of
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports.collecting import collect
from bridgekit_codemods.reports.terminal import Printer
from bridgekit_codemods.reports.tree import branches, tree
from bridgekit_codemods.reports.waiting import Waiting

Command = Callable[..., Result]
SOURCES = {
    "shop/__init__.py": b"",
    "shop/clock.py": b"import time\n\n\ndef wait():\n    time.sleep(1)\n",
    "shop/deep/__init__.py": b"",
    "shop/deep/only/__init__.py": b"",
    "shop/deep/only/one.py": b"def f():\n    return 1\n",
    "main.py": b"from shop.clock import wait\n\n\nasync def main():\n    wait()\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name, data in SOURCES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


STARTS = {
    "html": "<!doctype html>",
    "json": '{\n  "schema": "bridgekit-report/1"',
    "sarif": '{\n  "$schema"',
    "markdown": "## root",
    "text": "Done\n",
    "github": "",
}


@pytest.mark.parametrize("form", STARTS)
def test_each_form_on_standard_output(shop: Path, form: str) -> None:
    result = run("report", shop, "--format", form, "--no-plan")
    assert result.exit_code in (0, 1)
    assert result.stdout.startswith(STARTS[form])
    assert result.stderr == ""
    written = [path.name for path in shop.glob(".bridgekit/*")]
    assert written == (["cache"] if form == "text" else [])


def test_several_reports_at_once_by_the_names_of_their_files(shop: Path, tmp_path: Path) -> None:
    names = {"r.html": "html", "r.json": "json", "r.sarif": "sarif", "r.md": "markdown",
             "r.txt": "text"}  # fmt: skip
    outputs = [word for name in names for word in ("-o", tmp_path / name)]
    result = run("report", shop, *outputs, "--no-plan")
    assert result.stdout == ""
    for name, form in names.items():
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(STARTS[form])


def test_formats_belong_to_outputs_in_their_order(shop: Path, tmp_path: Path) -> None:
    result = run(
        "report", shop, "--format", "json", "-o", tmp_path / "x.dat", "--format", "markdown",
        "-o", "-",
    )  # fmt: skip
    assert json.loads((tmp_path / "x.dat").read_text())["program"] == "root"
    assert result.stdout.startswith("## root")


def test_the_plan_is_made_for_html_and_on_request(shop: Path) -> None:
    def is_planned(*options: str) -> bool:
        result = run("report", shop, *options)
        return bool(json.loads(result.stdout)["is_planned"])

    assert is_planned("--format", "json") is False
    assert is_planned("--format", "json", "--plan") is True
    page = run("report", shop, "--format", "html").stdout
    assert "The steps to come were not asked for" not in page


def test_steps_are_foreseen_in_a_large_program_and_on_request(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_foreseen(*options: str) -> bool:
        result = run("report", shop, "--format", "json", *options)
        data = json.loads(result.stdout)
        assert data["is_planned"] is True
        return bool(data["is_foreseen"])

    assert is_foreseen("--plan") is False
    assert is_foreseen("--forecast") is True
    monkeypatch.setattr(exactness, "EXACT_LINES", 3)
    assert is_foreseen("--plan") is True
    assert is_foreseen("--exact") is False
    assert "foreseen from one reading" in run("report", shop, "--format", "html").stdout
    assert "To come, foreseen" in run("report", shop, "--forecast").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "r.unknown"), "which form?"),
        (("-o", "nowhere/r.html"), "there is no directory nowhere"),
        (("-o", "."), "is a directory"),
        (("-o", "r.md", "-o", "r.md"), "given twice"),
        (("--format", "html", "--format", "json"), "as many outputs"),
        (("--format", "html", "-o", "a", "-o", "b"), "one format for each output"),
        (("--json", "--format", "html"), "--json prints the short report"),
        (("--json", "--plan"), "--json prints the short report"),
        (("--forecast", "--no-plan"), "leave out --no-plan"),
        (("--recording", "none.jsonl"), "--recording none.jsonl"),
        (("--only", "naps"), "there is no kind of waiting"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = run("report", shop, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_the_limits_that_were_recorded_are_those_of_the_report(shop: Path) -> None:
    ledger_of(shop).append("scope", scope={"only": ["http"], "goals": []})
    data = json.loads(run("report", shop, "--format", "json").stdout)
    assert data["scope"] == {"only": ["http"]}
    assert data["becoming_async"] == 0
    assert run("report", shop).stdout.startswith("Limited to --only http\nDone\n")
    page = run("report", shop, "--format", "html").stdout
    assert "limited to <code>--only http</code>" in page
    data = json.loads(run("report", shop, "--format", "json", "--only", "sleep").stdout)
    assert data["scope"] == {"only": ["sleep"]}
    (clock,) = data["closures"]
    assert (clock["kind"], clock["seeds"]) == ("sleep", 1)


def test_a_recording_asks_for_the_steps_and_says_what_they_free(shop: Path, tmp_path: Path) -> None:
    recording = tmp_path / "waits.jsonl"
    recording.write_text('{"function": "shop.clock.wait", "seconds": 2}\n')
    data = json.loads(run("report", shop, "--format", "json", "--recording", recording).stdout)
    assert data["is_planned"] is True
    assert data["recording"]["seconds"] == 2
    assert run("report", shop, "--recording", recording, "--no-plan").exit_code == 2
    text = run("report", shop, "--recording", recording).stdout
    assert "To come\n" in text
    assert "recorded waiting: 2 s" in text


def test_a_device_is_written_to_and_not_replaced(shop: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    run("report", shop, "-o", pipe)
    reader.join(30)
    assert json.loads(read[0])["program"] == "root"
    assert pipe.is_fifo()


def test_exit_codes_are_the_same_for_every_form(shop: Path) -> None:
    plain = run("report", shop).exit_code
    assert run("report", shop, "--format", "json").exit_code == plain
    (shop / "bad.py").write_text("def f(:\n")
    for form in ("json", "markdown", "github", "sarif"):
        result = run("report", shop, "--format", form)
        assert result.exit_code == 3
        assert "bad.py" in result.stdout


def test_processes_agree_to_the_byte(shop: Path, tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        names = [tmp_path / f"{seed}.{kind}" for kind in ("html", "json", "sarif", "md")]
        outputs = [word for name in names for word in ("-o", str(name))]
        subprocess.run(
            [sys.executable, "-m", "bridgekit.cli", "report", str(shop), *outputs],
            env={**os.environ, "PYTHONHASHSEED": seed}, timeout=100, check=False,
        )  # fmt: skip
        written.append([name.read_bytes() for name in names])
    assert written[0] == written[1]


# The tree of `scan`


def test_scan_shows_the_tree_on_request_before_the_rest(shop: Path) -> None:
    plain = run("scan", shop, "--no-tree")
    assert run("scan", shop).stdout == plain.stdout
    shown = run("scan", shop, "--tree")
    assert shown.stdout.endswith(plain.stdout)
    lines = shown.stdout[: -len(plain.stdout)].splitlines()
    assert lines[0].startswith("root ")
    assert lines[0].endswith("1 blocking     1 native     1 pure  sleep 1")
    names = ["main", "shop", "clock", "deep.only.one"]
    assert [line.lstrip("│├└─ ").split()[0] for line in lines[1:-1]] == names
    assert not any("\x1b" in line for line in lines)


def test_scan_refuses_a_tree_in_json(shop: Path) -> None:
    assert run("scan", shop, "--json", "--tree").exit_code == 2


def test_a_terminal_gets_colours_and_no_line_wider_than_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    graph = collect(Program.load(SOURCES))
    Printer(stream, is_terminal=True).show(tree(branches(graph), "root"))
    text = stream.getvalue()
    assert "\x1b[" in text
    assert max(map(len, re.sub(r"\x1b\[[\d;]*m", "", text).splitlines())) <= 40


def test_branches_count_what_is_below_them() -> None:
    root = branches(collect(Program.load(SOURCES)))
    assert root.colours == {"blocking": 1, "native": 1, "pure": 1}
    assert root.children["shop"].colours == {"blocking": 1, "pure": 1}
    assert root.children["shop"].effects == {"sleep": 1}


# The progress bar


class Clock:
    """A timer that goes off when it is told to."""

    def __init__(self) -> None:
        self.daemon = False
        self.action: Callable[[], None] = lambda: None
        self.cancelled = False

    def __call__(self, delay: float, action: Callable[[], None]) -> Clock:
        self.action = action
        return self

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        self.cancelled = True


def test_a_bar_appears_when_work_is_long_and_leaves_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    with Waiting("reading", stream, is_terminal=True, timer=clock) as waiting:  # type: ignore[arg-type]
        assert stream.getvalue() == ""
        clock.action()
        assert "reading" in stream.getvalue()
        waiting.stage("colouring " + "x" * 200)
    assert clock.cancelled
    shown = stream.getvalue()
    assert shown.endswith("\x1b[2K")
    clock.action()
    assert stream.getvalue() == shown


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    stream, clock = io.StringIO(), Clock()
    with Waiting("reading", stream, timer=clock) as waiting:  # type: ignore[arg-type]
        clock.action()
        waiting.stage("colouring")
    assert stream.getvalue() == ""


def test_the_bar_is_away_while_something_is_printed() -> None:
    stream, clock = io.StringIO(), Clock()
    with Waiting("planning", stream, is_terminal=True, timer=clock) as waiting:  # type: ignore[arg-type]
        clock.action()
        for n in waiting.printing(range(2)):
            before = stream.getvalue()
            waiting.stage(f"step {n}")
            assert before.endswith("\x1b[2K")
            assert stream.getvalue() == before
