"""What planning must do only once: the work of a plan grows with its steps, not with its rules."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.steps import Step
from bridgekit_codemods.program import source
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.walk.planner import RulePlanner, build_planner

NOTHING_KEPT: frozenset[str] = frozenset()
SOURCES = {
    "shop/__init__.py": b"",
    "shop/prices.py": (
        b"import requests\n\n\n"
        b"def price(name):\n"
        b"    return requests.get(f'http://prices/{name}', timeout=5).json()\n"
    ),
    "shop/app.py": (
        b"from flask import Flask\n\nfrom shop.prices import price\n\n"
        b"app = Flask(__name__)\n\n\n"
        b"@app.get('/<name>')\n"
        b"def show(name):\n"
        b"    return {'price': price(name)}\n\n\n"
        b"@app.get('/')\n"
        b"def home():\n"
        b"    return 'shop'\n"
    ),
    "tests/test_prices.py": (
        b"from shop.prices import price\n\n\n"
        b"def test_price(monkeypatch):\n"
        b"    monkeypatch.setattr('requests.get', lambda *a, **k: None)\n"
        b"    assert price is not None\n"
    ),
}


def walk(planner: RulePlanner) -> Iterator[tuple[Step, dict[str, bytes]]]:
    """All steps of the plan, each with the sources that it leads to."""
    sources = dict(SOURCES)
    while (step := planner.next_step(sources, NOTHING_KEPT)) is not None:
        for path, data in step.changes.items():
            if data is None:
                del sources[path]
            else:
                sources[path] = data
        yield step, dict(sources)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the colourings (of now, and of what lies ahead), the programs and the parsed files."""
    counter: Counter[str] = Counter()
    colour, load, parse = Colours.__init__, Program.__init__, ast.parse

    def colouring(self: Colours, program: Program) -> None:
        counter["colours" if type(self) is Colours else "ahead"] += 1
        colour(self, program)

    def loading(self: Program, *arguments: object) -> None:
        counter["programs"] += 1
        load(self, *arguments)  # type: ignore[arg-type]

    def parsing(*arguments: object, **options: object) -> object:
        counter["files"] += 1
        return parse(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Colours, "__init__", colouring)
    monkeypatch.setattr(Program, "__init__", loading)
    monkeypatch.setattr(source, "ast", _Ast(parsing))
    return counter


class _Ast:
    """The module `ast` with another `parse`, for the reader of source files alone."""

    def __init__(self, parse: object) -> None:
        self.parse = parse

    def __getattr__(self, name: str) -> object:
        return getattr(ast, name)


def test_all_rules_see_one_program_and_its_one_colouring(counted: Counter[str]) -> None:
    planner = build_planner()
    sources = dict(SOURCES)
    steps = 0
    for _, after in walk(planner):
        steps += 1
        sources = after
    assert steps >= 4
    # the walk ends with a look at the last program, which finds nothing to do
    assert counted["programs"] == steps + 1
    assert counted["colours"] <= steps + 1
    assert counted["ahead"] <= steps + 1

    counted.clear()
    planner.findings(sources, NOTHING_KEPT)
    assert not counted, "the findings are those of the program that is known already"


def test_the_first_look_colours_once(counted: Counter[str]) -> None:
    planner = build_planner()
    planner.next_step(SOURCES, NOTHING_KEPT)
    planner.findings(SOURCES, NOTHING_KEPT)
    assert (counted["programs"], counted["colours"], counted["ahead"]) == (1, 1, 1)


def test_a_step_is_verified_in_the_program_in_which_the_next_is_sought(
    counted: Counter[str],
) -> None:
    planner = build_planner()
    steps = 0
    for step, after in walk(planner):
        planner.verify(step, after)
        steps += 1
    assert counted["programs"] == steps + 1


def test_a_step_costs_no_more_files_than_it_changes(counted: Counter[str]) -> None:
    planner = build_planner()
    changed = sum(
        path.endswith(".py") and data is not None
        for step, _ in walk(planner)
        for path, data in step.changes.items()
    )
    assert changed > 0
    assert counted["files"] == len(SOURCES) + changed


def test_a_planner_that_remembers_plans_as_one_that_does_not() -> None:
    remembering = [(step.key, dict(step.changes)) for step, _ in walk(build_planner())]
    sources = dict(SOURCES)
    for key, changes in remembering:
        step = build_planner().next_step(sources, NOTHING_KEPT)
        assert step is not None
        assert (step.key, dict(step.changes)) == (key, changes)
        sources.update({path: data for path, data in changes.items() if data is not None})
    assert build_planner().next_step(sources, NOTHING_KEPT) is None
