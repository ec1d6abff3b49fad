"""The steps of a report, and the program after each of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.session import history_of
from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.steps import NO_BRIDGES, Bridges, Finding, Step
from bridgekit_codemods.program.source import read_sources
from bridgekit_codemods.reports.building import build_report
from bridgekit_codemods.reports.chart import chart
from bridgekit_codemods.reports.model import Counts, Report
from bridgekit_codemods.walk.planner import build_planner

TOY = Path(__file__).parents[1] / "migration" / "toy.py"

BLOCKING = b"import time\n\n\ndef low():\n    time.sleep(1)\n"
ASYNC = b"import anyio\n\n\nasync def low():\n    await anyio.sleep(1)\n"
CALLER = b"from low import low\n\n\ndef mid():\n    low()\n"
NEW = b"async def new():\n    pass\n"


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bridgekit_reports_toy", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


STEPS = (
    Step("flip:low", "flip", "Flip low", ("low.low",), {"low.py": ASYNC, "new.py": NEW}),
    Step("drop:mid", "flip", "Drop mid", ("mid.mid",), {"mid.py": None}),
    Step("drop:new", "flip", "Drop new", ("new.new",), {"new.py": None}),
)


class Scripted:
    """Proposes the first step of a list that is not done."""

    def __init__(self, steps: tuple[Step, ...], bad: str = "") -> None:
        self.steps = steps
        self.bad = bad

    def next_step(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Step | None:
        done = sources.get("low.py") == ASYNC, "mid.py" not in sources, "new.py" not in sources
        begun = sources.get("low.py") == ASYNC
        for n, step in enumerate(self.steps):
            if step.key not in kept and not (done[n] and (n != 2 or begun)):
                return step
        return None

    def findings(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> tuple[Finding, ...]:
        return ()

    def verify(self, step: Step, sources_after: Mapping[str, bytes]) -> tuple[str, ...]:
        return ("no",) if step.key == self.bad else ()

    def bridges(self, sources: Mapping[str, bytes]) -> Bridges:
        return NO_BRIDGES

    def overview(self, sources: Mapping[str, bytes]) -> Overview:
        return Overview()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program whose first two steps are done."""
    from bridgekit_codemods.migration.ledger import StepRecord
    from bridgekit_codemods.migration.session import ledger_of
    from bridgekit_codemods.migration.transaction import Transaction

    root = tmp_path / "program"
    root.mkdir()
    (root / "low.py").write_bytes(BLOCKING)
    (root / "mid.py").write_bytes(CALLER)
    ledger = ledger_of(root)
    transaction = Transaction(root, root / ".bridgekit", ledger)
    for n, step in enumerate(STEPS[:2], 1):
        record = StepRecord(n, step.key, step.kind, step.title, step.members)
        transaction.write(transaction.begin(record, step.changes, {}), step.changes)
        ledger.append("done", n=n, key=step.key, commit=None, guard={"summary": "1 passed"})
    return root


def report_of(root: Path, walk: bool = True, planner: object | None = None) -> Report:
    sources = read_sources(root)
    return build_report(
        root,
        sources,
        planner or Scripted(STEPS),
        history_of(root),
        walk=walk,  # type: ignore[arg-type]
    )


def test_the_past_is_put_together_and_the_future_predicted(program: Path) -> None:
    before = {path: path.read_bytes() for path in program.rglob("*") if path.is_file()}
    report = report_of(program)
    assert report.start == Counts(pure=0, blocking=2, native=0)
    assert [(s.number, s.state, s.key, s.counts) for s in report.steps] == [
        (1, "done", "flip:low", Counts(pure=1, native=2)),
        (2, "done", "drop:mid", Counts(native=2)),
        (3, "planned", "drop:new", Counts(native=1)),
    ]
    assert report.steps[0].guard == "1 passed"
    assert {path: path.read_bytes() for path in program.rglob("*") if path.is_file()} == before


def test_without_the_walk_steps_have_no_counts(program: Path) -> None:
    report = report_of(program, walk=False)
    assert [(s.state, s.counts) for s in report.steps] == [("done", None), ("done", None)]
    assert report.start is None
    assert chart(report) is None


def test_the_past_reaches_back_to_what_someone_edited(program: Path) -> None:
    (program / "low.py").write_bytes(ASYNC + b"\n\ndef more():\n    pass\n")
    report = report_of(program)
    assert [s.counts is not None for s in report.steps[:2]] == [True, True]
    assert report.start is None
    assert report.steps[1].counts == Counts(pure=1, native=2)


def test_the_past_reaches_back_to_what_is_left_of_the_copies(program: Path) -> None:
    (program / ".bridgekit/backups/0002/mid.py").unlink()
    report = report_of(program)
    assert [s.counts for s in report.steps[:2]] == [None, Counts(native=2)]
    shown = chart(report)
    assert shown is not None
    assert (shown.done, shown.to_come) == (1, 1)


def test_a_refused_step_is_no_part_of_the_burn_down(program: Path) -> None:
    report = report_of(program, planner=Scripted(STEPS, bad="drop:new"))
    (refused,) = report.with_state("refused")
    assert (refused.detail, refused.counts) == ("no", None)
    assert report.with_state("planned") == ()


def test_kept_steps_have_their_reason(toy: ModuleType, tmp_path: Path, git: None) -> None:
    root = toy.commit_all(toy.write_tree(tmp_path / "toy"))
    toy.migrate(root)
    report = build_report(root, read_sources(root), build_planner(), history_of(root))
    (kept,) = report.with_state("kept")
    assert (kept.key, kept.cause) == ("flip:broken", "guard")
    assert "1 failed" in kept.detail
    assert [s.key for s in report.with_state("done")] == ["flip:low", "flip:mid"]


@pytest.fixture
def git(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    (home / ".gitconfig").write_text("[user]\n name = Tester\n email = tester@example.org\n")


def test_the_chart_stands_on_its_axis_and_ends_at_the_edge(program: Path) -> None:
    shown = chart(report_of(program))
    assert shown is not None
    assert (shown.done, shown.to_come) == (2, 1)
    pure = [tuple(map(float, point.split(","))) for point in shown.areas[0][1].split()]
    assert pure[-1] == (shown.left, shown.bottom)
    assert pure[4] == (shown.right, shown.bottom)
    assert [label for _, label in shown.labels] == ["start", "1", "2", "3"]
    assert shown.columns[0].x == shown.left
    assert abs(sum(column.width for column in shown.columns) - (shown.right - shown.left)) < 0.1
    assert "2 blocking, 0 native" in shown.columns[0].text


WEB = b"""
import time

import requests
from flask import Flask

app = Flask(__name__)


def fetch(url):
    return requests.get(url, timeout=5).json()


def rest():
    time.sleep(0.1)


def label():
    return "total"


@app.get("/total")
def show():
    rest()
    return {label(): fetch("http://127.0.0.1/rows")}


@app.get("/health")
def health():
    return "ok"
"""


def test_foreseen_steps_count_what_the_walk_comes_to(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(WEB)
    sources = read_sources(tmp_path)

    def steps(exact: bool) -> list[tuple[str, Counts | None]]:
        report = build_report(
            tmp_path, sources, build_planner(), history_of(tmp_path), walk=True, exact=exact
        )
        assert report.is_planned
        assert report.is_foreseen is not exact
        assert report.start == Counts(pure=2, blocking=3)
        return [(step.key, step.counts) for step in report.steps]

    assert steps(exact=False) == steps(exact=True)
    assert steps(exact=False)[-1][1] == Counts(pure=1, native=4)


def test_what_was_done_before_a_forecast_is_not_put_together(program: Path) -> None:
    (program / "app.py").write_bytes(WEB)
    sources = read_sources(program)
    report = build_report(
        program, sources, build_planner(), history_of(program), walk=True, exact=False
    )
    done = report.with_state("done")
    assert [step.counts for step in done] == [None, report.counts]
    shown = chart(report)
    assert shown is not None
    assert (shown.done, shown.now) == (1, shown.left)
    assert shown.first == report.counts
