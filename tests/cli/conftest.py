"""The command line over the toy program of the migration tests, with its scripted planner."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

import bridgekit_codemods.walk.planner as planning
from bridgekit.cli.app import app
from bridgekit_codemods.planning.survey import EntryPoint, Leaf, Survey

TOY = Path(__file__).parents[1] / "migration" / "toy.py"
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bridgekit_cli_toy", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(
    toy: ModuleType, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    (home / ".gitconfig").write_text("[user]\n name = Tester\n email = tester@example.org\n")
    return toy.commit_all(toy.write_tree(tmp_path / "program"))


@pytest.fixture
def run(toy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; the planner is the toy's."""

    def survey(sources: object, planner: object) -> Survey:
        return Survey(
            2, 3, {"blocking": 1, "pure": 2},
            (Leaf("app/low.py", 1, "app.low.low", "time.sleep", "sleep"),),
            (EntryPoint("app/mid.py", 4, "app.mid.mid", "view"),),
            toy.ScriptedPlanner().findings({}, frozenset({"x"})),
        )  # fmt: skip

    monkeypatch.setattr(planning, "build_planner", lambda **_: toy.ScriptedPlanner())
    monkeypatch.setattr(planning, "build_survey", survey)
    monkeypatch.setattr(planning, "unparsed", lambda sources, planner: sources)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)

    return invoke
