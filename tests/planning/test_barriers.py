"""What keeps a program sync is said in few words, the largest first."""

from __future__ import annotations

import pytest

from bridgekit_codemods.planning.overview import Barrier, Overview
from bridgekit_codemods.planning.scope import EVERYTHING, Scope, build_scope
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.reports import plans
from bridgekit_codemods.walk.facts import Facts
from bridgekit_codemods.walk.overview import overview

MODELS = b"""
from flask_sqlalchemy import SQLAlchemy


class Database(SQLAlchemy):
    def _make_engine(self, bind_key, options, app):
        return self.engine


db = Database()


class User(db.Model):
    pass
"""
APP = b"""
import requests
from flask import Flask
from sqlalchemy.orm import Session


class Shop(Flask):
    pass


app = Shop(__name__)


class Source:
    def rows(self):
        return []


class Remote(Source):
    def rows(self):
        return requests.get("http://127.0.0.1/rows", timeout=5).json()


class Other(Source):
    def rows(self):
        yield requests.get("http://127.0.0.1/rows", timeout=5)


class Users(Source):
    def __init__(self, session: Session):
        self.session = session

    def rows(self):
        return self.session.commit()


def total(source: Source):
    found = source.rows()
    return found


@app.get("/")
def show():
    return str(total(Remote()))
"""


def of(sources: dict[str, bytes], scope: Scope = EVERYTHING) -> tuple[Barrier, ...]:
    return overview(Program.load(sources), scope).barriers


def test_an_extension_and_an_application_class_stand_in_the_way_of_everything() -> None:
    found = of({"models.py": MODELS, "app.py": APP})
    whole = [(b.what, b.code, b.path, b.line) for b in found if b.what in ("db", "views", "http")]
    assert whole == [("db", "BK211", "models.py", 6), ("views", "BK221", "app.py", 7)]
    assert all(barrier.functions > 0 for barrier in found)


def test_a_family_is_kept_by_its_members() -> None:
    family = next(b for b in of({"app.py": APP}) if b.what == "family")
    assert (family.code, family.functions, family.places) == ("BK305", 4, 1)
    assert "overrides of rows change colour together, and 1 of them cannot" in family.reason


def test_the_scope_decides_what_matters() -> None:
    found = of({"models.py": MODELS, "app.py": APP}, build_scope(only=["http"]))
    assert "db" not in {barrier.what for barrier in found}


def test_nothing_stands_in_the_way_of_a_program_that_can_change() -> None:
    text = APP.replace(b"Shop(__name__)", b"Flask(__name__)").replace(
        b"class Shop(Flask):\n    pass\n", b""
    )
    assert of({"app.py": text.replace(b"yield ", b"return ")}) == ()


def test_the_words_and_the_values_say_the_same() -> None:
    result: Overview = overview(Program.load({"models.py": MODELS, "app.py": APP}), EVERYTHING)
    text = "\n".join(plans.overview(result))
    for barrier in result.barriers:
        assert f"{barrier.path}:{barrier.line}" in text
    data = plans.plan(result, [], [], [])
    assert [b["code"] for b in data["in_the_way"]] == [b.code for b in result.barriers]


def test_a_trace_says_in_which_tests_a_function_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program.load({"app.py": APP})
    function = program.functions["app.total"]
    seen = {function: ("tests/test_app.py::test_total",)}
    monkeypatch.setattr(program, "tests_reaching", lambda f: seen.get(f, ()))
    facts = Facts(program)
    assert facts.of(function).traced_tests == seen[function]
    assert "  seen to run in tests: tests/test_app.py::test_total" in plans.facts(
        facts.of(function)
    )
    assert facts.of(program.functions["app.show"]).traced_tests == ()
