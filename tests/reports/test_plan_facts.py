"""What a report tells of the plan and of the program beside colours: limits, gains, evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bridgekit_codemods.migration.ledger import History
from bridgekit_codemods.planning.recording import read_recording
from bridgekit_codemods.planning.scope import build_scope
from bridgekit_codemods.program import read_sources
from bridgekit_codemods.reports import document, html, lines, markdown
from bridgekit_codemods.reports.building import build_report
from bridgekit_codemods.reports.model import Report
from bridgekit_codemods.reports.suspects import _sounds_like_waiting
from bridgekit_codemods.tracing import run
from bridgekit_codemods.walk.planner import build_planner

Build = Callable[..., Report]
SOURCES = {
    "pyproject.toml": b'[project]\nname = "p"\n[tool.bridgekit]\nkeep = ["shop.public"]\n',
    "shop.py": b"""\
import time

import requests
import strangelib
from flask import Flask

app = Flask(__name__)


class Base:
    def run(self):
        return fetch("x")


class Other(Base):
    def run(self):
        return 1


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
    strangelib.fetch_all()
    return "done"


def public(thing: Base):
    pause()
    return thing.run()
""",
}
RECORDING = """
{"function": "shop.fetch", "leaf": "requests.get", "seconds": 3}
{"leaf": "time.sleep", "seconds": 1}
{"function": "gone.away", "seconds": 4}
"""


def made(root: Path, sources: Mapping[str, bytes] = SOURCES, **choices: object) -> Report:
    return build_report(root, dict(sources), build_planner(**choices), History())  # type: ignore[arg-type]


@pytest.fixture
def recorded(tmp_path: Path) -> Report:
    waits = read_recording(RECORDING)
    planner = build_planner(granularity="function")
    return build_report(tmp_path, SOURCES, planner, History(), walk=True, waits=waits)


def test_each_kind_of_waiting_has_its_closure(tmp_path: Path) -> None:
    overview = made(tmp_path).overview
    by_kind = {closure.kind: closure for closure in overview.closures}
    assert (by_kind["http"].seeds, by_kind["http"].views) == (1, 1)
    assert by_kind["sleep"].waiting == 3
    assert overview.kept == ("shop.public",)


def test_the_limits_of_the_walk_are_told(tmp_path: Path) -> None:
    limited = made(tmp_path, scope=build_scope(only=["sleep"], goals=["views:wait"]))
    assert document.document(limited)["scope"] == {"only": ["sleep"], "goals": ["views:wait"]}
    page = html.write(limited)
    assert "limited to <code>--only sleep --goal views:wait</code>" in page
    assert "The walk has no limits" in html.write(made(tmp_path))
    assert list(lines.scope(limited.overview.scope)) == [
        "Limited to --only sleep --goal views:wait"
    ]
    assert list(lines.scope(made(tmp_path).overview.scope)) == []


def test_steps_say_what_they_free_of_a_recording(recorded: Report) -> None:
    gains = {s.title: s.gain for s in recorded.with_state("planned") if s.gain and s.gain.share}
    assert sorted(gain.seconds for gain in gains.values()) == [1, 3]
    found = recorded.recording
    assert found is not None
    assert (found.seconds, found.freed, found.unknown, found.share) == (8, 4, 4, 0.5)
    data = json.loads(document.write(recorded))
    assert data["recording"] == {"seconds": 8, "freed": 4, "unknown": 4, "held": {}}
    assert [s["gain"] for s in data["steps"] if s["gain"] and s["gain"]["seconds"]]
    text = markdown.write(recorded)
    assert "| frees |" in text
    assert "| 37.5% |" in text
    assert "Of 8 s of recorded waiting the steps free 50.0%" in text
    page = html.write(recorded)
    assert "frees 37.5 % of the recorded waiting" in page
    assert "<b>50.0 %</b> (4 s)" in page
    told = list(lines.to_come(recorded))
    assert any(line.endswith("frees 37.5% of the recorded waiting") for line in told)
    assert "recorded waiting: 8 s, of which the steps free 50.0% (4 s)" in told


def test_without_a_recording_there_are_no_gains(build: Build) -> None:
    report = build(SOURCES, walk=True)
    assert report.recording is None
    assert all(step.gain is None for step in report.steps)
    assert "frees" not in markdown.write(report)


def test_calls_have_evidence(tmp_path: Path) -> None:
    report = made(tmp_path)
    told = {
        (report.functions[e.caller].name, report.functions[e.callee].name): (e.grade, e.evidence)
        for e in report.edges
    }
    assert told["shop.show", "shop.fetch"] == ("exact", "the function is named")
    assert told["shop.public", "shop.Base.run"][0] == "method"
    grade, evidence = told["shop.public", "shop.Other.run"]
    assert grade == "override"
    assert evidence == "overrides what is called on shop.Base"
    payload = html.payload(report)
    assert ["override", "overrides what is called on shop.Base"] in payload["whys"]
    assert len(payload["edges"]) == 5 * len(report.edges)


def test_what_may_block_is_told_and_has_no_colour(tmp_path: Path) -> None:
    sources = {"app.py": b"""\
import strangelib
import json


def load():
    return strangelib.Client().get("x")


def show():
    return strangelib.colour("red") + json.dumps([])
"""}  # fmt: skip
    report = made(tmp_path, sources)
    (suspect,) = report.suspects
    assert report.functions[suspect.function].name == "app.load"
    assert report.functions[suspect.function].colour == "pure"
    assert (suspect.target, suspect.line) == ("strangelib.Client.get", 6)
    assert suspect.reason == "the catalog does not know strangelib"
    assert "strangelib.Client.get" in html.write(report)
    assert "`strangelib.Client.get` at `app.py:6`" in markdown.write(report)


@pytest.mark.parametrize(
    ("name", "sounds"),
    [
        ("lib.connect", True), ("lib.create_database", True), ("lib.Client.get", True),
        ("lib.httpClient.list_all", True), ("lib.Widget.get", False), ("lib.Connect", False),
        ("lib.requested", False), ("lib.sendMessage", True), ("get", False),
    ],
)  # fmt: skip
def test_names_that_sound_like_waiting(name: str, sounds: bool) -> None:
    assert _sounds_like_waiting(name) is sounds


def test_functions_name_the_tests_that_reached_them(tmp_path: Path) -> None:
    import sys

    (tmp_path / "app.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    (tmp_path / "test_app.py").write_text("import app\n\n\ndef test_f():\n    assert app.f()\n")
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"],
        tmp_path, read_sources(tmp_path))  # fmt: skip
    report = made(tmp_path, read_sources(tmp_path))
    reached = {f.name: [report.tests[n] for n in f.tests] for f in report.functions}
    assert reached == {"app.f": ["test_app.py::test_f"], "app.g": []}
    assert html.payload(report)["functions"]["tests"] == [[1, 0], 0]
