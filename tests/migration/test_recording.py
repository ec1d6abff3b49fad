"""The baseline of a real pytest suite: which tests reach what."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.baseline import Baseline, BaselineRuns
from bridgekit_codemods.migration.guard import CommandGuard
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.reached import Reach
from bridgekit_codemods.program.source import read_sources

APP = """\
import functools

def registered(function):
    return function

def timed(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

class Shop:
    def price(self):
        return 1

    @timed
    def total(self):
        return self.price() + 1

@registered
def connect():
    return Shop()

def make():
    def view():
        return 3
    return view

def untested():
    return 4

def in_child():
    return 5
"""
TESTS = """\
import os, subprocess, sys
import pytest
import app

@pytest.fixture(scope="module")
def shop():
    return app.connect()

@pytest.fixture
def view():
    return app.make()

def test_total(shop): assert shop.total() == 2

def test_view(view): assert view() == 3

def test_make(view): assert view

def test_price(): assert app.Shop().price() == 1

def test_child():
    assert subprocess.run([sys.executable, "-c", "import app; app.in_child()"]).returncode == 0

def test_unsteady():
    first = not os.path.exists("ran")
    open("ran", "a").close()
    assert first
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recorded")
    (root / "app.py").write_text(APP)
    (root / "test_app.py").write_text(TESTS)
    return root


@pytest.fixture(scope="module")
def baseline(program: Path, toy: ModuleType) -> Iterator[Baseline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_PLUGINS", raising=False)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        guard = CommandGuard(command, program, program / ".bridgekit/logs", 120)
        assert guard.selects, guard.notice
        runs = BaselineRuns(guard, GuardPolicy(), toy.Recorder(), frozenset())
        yield runs.run(read_sources(program))


def test_a_test_that_only_passes_once_is_flaky(baseline: Baseline) -> None:
    assert baseline.set_aside == {"test_app.py::test_unsteady": "flaky"}
    assert baseline.result.ok
    assert len(baseline.result.outcomes or ()) == 5


@pytest.mark.parametrize(
    ("old", "new", "tests"),
    [
        ("return 1", "return 0 + 1", {"total", "price"}),
        ("self.price() + 1", "1 + self.price()", {"total"}),
        ("function(*args)", "function(*args )  or None", {"total"}),
        ("return 3", "return 1 + 2", {"view"}),
        ("return view", "return (view) or 1", {"view", "make"}),
    ],
)
def test_the_tests_of_a_function_are_those_in_which_it_ran(
    baseline: Baseline, old: str, new: str, tests: set[str]
) -> None:
    assert baseline.reach is not None
    found = baseline.reach.by({"app.py": APP.encode()}, {"app.py": APP.replace(old, new).encode()})
    assert found.tests == {f"test_app.py::test_{name}" for name in tests}
    assert (found.doubts, found.unreached, found.unguarded) == ((), (), False)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("connect", "return Shop()"),
        ("registered", "return function\n\ndef timed"),
        ("timed", "return wrapper"),
        ("in_child", "return 5"),
    ],
)
def test_what_runs_outside_of_single_tests_is_for_all(
    baseline: Baseline, name: str, old: str
) -> None:
    """In a fixture of the module, at import, in another process."""
    assert baseline.reach is not None
    new = APP.replace(old, old.replace("return ", "return None or "))
    found = baseline.reach.by({"app.py": APP.encode()}, {"app.py": new.encode()})
    assert found.doubts == (f"{name} in app.py also runs outside of single tests",)


def test_what_no_test_runs_is_unguarded(baseline: Baseline) -> None:
    reach = baseline.reach
    assert isinstance(reach, Reach)
    new = APP.replace("return 4", "return 2 + 2")
    found = reach.by({"app.py": APP.encode()}, {"app.py": new.encode()})
    assert found.unguarded
    assert found.unreached == ("app.py: untested",)


def test_a_test_that_changes_is_its_own_reach(baseline: Baseline) -> None:
    assert baseline.reach is not None
    new = TESTS.replace("view() == 3", "3 == view()")
    found = baseline.reach.by({"test_app.py": TESTS.encode()}, {"test_app.py": new.encode()})
    assert found.tests == {"test_app.py::test_view"}
    assert (found.doubts, found.unguarded) == ((), False)
