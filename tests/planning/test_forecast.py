"""A forecast names the steps that the walk then takes, without taking any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bridgekit_codemods.editing.edits import FileEdits
from bridgekit_codemods.migration.preview import outline, preview
from bridgekit_codemods.planning.scope import Scope, build_scope
from bridgekit_codemods.program.source import read_sources
from bridgekit_codemods.rules.base import Granularity
from bridgekit_codemods.walk.planner import RulePlanner, build_planner

LEGACY = Path(__file__).parents[2] / "examples" / "legacy_app"
NOTHING_KEPT: frozenset[str] = frozenset()

APP = b"""
import time
import requests
from flask import Flask, request

app = Flask(__name__)


def timed(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def fetch(url):
    return requests.get(url, timeout=5).json()


class Source:
    def rows(self):
        return []


class Remote(Source):
    def rows(self):
        time.sleep(0.1)
        return fetch("http://127.0.0.1/rows")


class Both(Source):
    def rows(self):
        return fetch("http://127.0.0.1/a") + fetch("http://127.0.0.1/b")


def total(source: Source):
    return sum(source.rows())


@app.get("/total")
def show():
    return {"total": total(Remote())}


@app.post("/rows")
def store():
    return {"rows": request.get_json()}
"""

Line = tuple[str, str, tuple[str, ...], int, int]


def walked(planner: RulePlanner, sources: Mapping[str, bytes], kept: frozenset[str]) -> list[Line]:
    """What the walk does, taking each step in memory."""
    return [
        (p.step.key, p.step.title, p.step.members, p.bridges.to_thread, p.bridges.to_loop)
        for p in preview(planner, sources, kept)
    ]


def foreseen(
    planner: RulePlanner, sources: Mapping[str, bytes], kept: frozenset[str]
) -> list[Line]:
    return [
        (p.step.key, p.step.title, p.step.members, p.bridges.to_thread, p.bridges.to_loop)
        for p in outline(planner, sources, kept)
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("granularity", ["module", "layer"])
def test_the_walk_of_the_example_is_foreseen(granularity: Granularity) -> None:
    sources = read_sources(LEGACY)
    planner = build_planner(granularity=granularity)
    taken = walked(planner, sources, NOTHING_KEPT)
    assert len(taken) > 10
    assert foreseen(build_planner(granularity=granularity), sources, NOTHING_KEPT) == taken


@pytest.mark.parametrize("granularity", ["function", "module", "layer"])
@pytest.mark.parametrize(
    "scope",
    [
        build_scope(),
        build_scope(only=["sleep"]),
        build_scope(only=["framework"]),
        build_scope(goals=["views:show"]),
        build_scope(bridge_below=100),
    ],
    ids=Scope.words,
)
def test_every_scope_and_size_of_step_is_foreseen(granularity: Granularity, scope: Scope) -> None:
    sources = {"app.py": APP}
    planner = build_planner(granularity=granularity, scope=scope)
    assert foreseen(planner, sources, NOTHING_KEPT) == walked(planner, sources, NOTHING_KEPT)


def test_a_step_that_was_kept_back_is_left_out() -> None:
    sources = {"app.py": APP}
    planner = build_planner()
    first = foreseen(planner, sources, NOTHING_KEPT)
    for key, *_ in first:
        kept = frozenset({key})
        found = foreseen(planner, sources, kept)
        assert key not in {line[0] for line in found}
        if key == "views:flask-on-portal":
            # the views then change after the framework, which has left bridges in their bodies
            assert {line[0] for line in found} & {line[0] for line in first}
        else:
            assert found == walked(planner, sources, kept), key


def test_the_rest_of_a_walk_is_foreseen_from_anywhere() -> None:
    sources: dict[str, bytes] = {"app.py": APP}
    planner = build_planner()
    while (step := planner.next_step(sources, NOTHING_KEPT)) is not None:
        assert foreseen(planner, sources, NOTHING_KEPT)[0][0] == step.key
        sources.update({path: data for path, data in step.changes.items() if data is not None})
    assert foreseen(planner, sources, NOTHING_KEPT) == []


def test_a_forecast_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(self: FileEdits, data: bytes) -> bytes:
        raise AssertionError(f"{self.path} was opened to be changed")

    monkeypatch.setattr(FileEdits, "apply", writing)
    sources = read_sources(LEGACY)
    steps = list(outline(build_planner(), sources, NOTHING_KEPT))
    assert steps
    assert all(step.files and not step.diff for step in steps)


def test_until_ends_a_forecast() -> None:
    planner = build_planner()
    keys = [p.step.key for p in outline(planner, {"app.py": APP})]
    assert [p.step.key for p in outline(planner, {"app.py": APP}, until=keys[1])] == keys[:2]
    later = outline(planner, {"app.py": APP}, until="6", first_number=5)
    assert [p.number for p in later] == [5, 6]


def steps_of(files: Mapping[str, str]) -> Iterator[str]:
    sources = {path: text.encode() for path, text in files.items()}
    for planned in preview(build_planner(), sources):
        yield planned.step.key


MODELS = """
from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy()
"""
QUERIES = """
import requests
from flask import Flask
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import Session, relationship, DeclarativeBase, mapped_column

class Base(DeclarativeBase):
    pass

class Owner(Base):
    __tablename__ = "owner"
    id = mapped_column(primary_key=True)
    items = relationship("Item")

class Item(Base):
    __tablename__ = "item"
    id = mapped_column(primary_key=True)
    owner_id = mapped_column(ForeignKey("owner.id"))

app = Flask(__name__)

@app.get("/")
def show():
    with Session(create_engine("sqlite://")) as session:
        return [len(o.items) for o in session.query(Owner).all()]

def refresh():
    requests.post("http://127.0.0.1/")
"""


def test_no_step_prepares_what_stays_sync() -> None:
    """No view sends a request, and with Flask-SQLAlchemy the database stays synchronous."""
    assert list(steps_of({"models.py": MODELS, "app.py": QUERIES})) == []


def test_views_of_an_application_class_of_its_own_stay_sync() -> None:
    """Their `async def` views would run each on a loop of its own."""
    own = "from flask import Flask\n\nclass Shop(Flask):\n    pass\n"
    text = APP.decode().replace("app = Flask(", "from own import Shop\napp = Shop(")
    assert list(steps_of({"own.py": own, "app.py": text})) == []
