"""The checkers themselves, where they are installed."""

from __future__ import annotations

import ast

import pytest

from bridgekit_codemods.engines import ENGINES, Answers, ask, find
from bridgekit_codemods.program import read_sources
from bridgekit_codemods.tracing.record import Place

PROGRAM = """\
from __future__ import annotations

from typing import Any

import json


class Shop:
    def buy(self) -> int:
        return 1


class Mall(Shop):
    def __init__(self) -> None: ...


def total() -> int:
    return 1


def run(shop: Shop, mall: Mall, other: Any, text: str) -> None:
    "é"; shop.buy()
    (shop if text else other).buy()
    total()
    json.loads(text)
    other.buy()
    Mall()
    (mall
        .buy())
"""


@pytest.fixture(scope="module", params=sorted(ENGINES))
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    name: str = request.param
    if find(name) is None:
        pytest.skip(f"{name} is not installed")
    root = tmp_path_factory.mktemp(name)
    (root / "shop.py").write_text(PROGRAM, encoding="utf-8")
    found = ask(name, root, read_sources(root), limit=60.0)
    assert found.engine.startswith(name)
    return found


def reached(answers: Answers, text: str) -> tuple[set[str], bool] | None:
    """The names of what a call reaches, and whether it reaches libraries; the call by its text."""
    (node,) = [
        node
        for node in ast.walk(ast.parse(PROGRAM))
        if isinstance(node, ast.Call) and ast.unparse(node) == text
    ]
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    found = answers.calls.get(Place("shop.py", node.lineno, node.col_offset, *end))
    return None if found is None else ({d.name for d in found.functions}, found.elsewhere)


def test_methods_functions_and_libraries_are_told_apart(answers: Answers) -> None:
    assert reached(answers, "shop.buy()") == ({"buy"}, False)
    assert reached(answers, "total()") == ({"total"}, False)
    assert reached(answers, "json.loads(text)") == (set(), True)


def test_what_may_be_anything_is_not_answered(answers: Answers) -> None:
    assert reached(answers, "other.buy()") is None
    assert reached(answers, "(shop if text else other).buy()") is None


def test_a_class_is_known_by_what_makes_it(answers: Answers) -> None:
    found = reached(answers, "Mall()")
    assert found is not None
    assert found[0] in ({"Mall"}, {"__init__"})


def test_a_call_on_two_lines_has_its_place(answers: Answers) -> None:
    assert reached(answers, "mall.buy()") == ({"buy"}, False)
