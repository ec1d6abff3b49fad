"""`benchmarks.resolution --engine`: what is counted for a checker and what against it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from benchmarks.resolution.engines import Measured, measure, tables
from benchmarks.resolution.observed import Observed, Seen

import bridgekit_codemods.engines.run
from bridgekit_codemods.engines import ENGINES, Answer, Answers
from bridgekit_codemods.tracing.record import Definition, Place

PROGRAM = """\
from elsewhere import make
class Order:
    def send(self): ...
    def fetch(self): ...
class Other:
    def send(self): ...
make().send()
make().fetch()
Order().send()
"""
Ask = Callable[..., Measured]
SEND, FETCH, OTHER = (Definition("app.py", n, name) for n, name in
                      ((3, "send"), (4, "fetch"), (6, "send")))  # fmt: skip
FIRST, SECOND, THIRD = (
    Place("app.py", 7, 0, 7, 13),
    Place("app.py", 8, 0, 8, 14),
    Place("app.py", 9, 0, 9, 14),
)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    def ask(calls: dict[Place, Answer], observed: dict[Place, Seen]) -> Measured:
        def answer(program: str, root: Path, sources: Mapping[str, bytes], limit: float) -> Answers:
            return Answers(calls=calls)

        monkeypatch.setitem(ENGINES, "ty", answer)
        monkeypatch.setattr(bridgekit_codemods.engines.run, "find", lambda name: sys.executable)
        seen: Observed = {
            (p.path, p.end_line, p.end_column): {(p.line, p.column): s} for p, s in observed.items()
        }
        return measure("ty", Path.cwd(), {"app.py": PROGRAM.encode()}, seen)

    return ask


def reached(*definitions: Definition) -> Seen:
    return Seen({(d.path, d.line) for d in definitions}, set())


def test_right_answers_fill_gaps(ask: Ask) -> None:
    calls = {FIRST: Answer(frozenset({SEND})), SECOND: Answer(frozenset({FETCH}))}
    found = ask(calls, {FIRST: reached(SEND), SECOND: reached(FETCH), THIRD: reached(SEND)})
    assert (found.joined.sites, found.joined.resolved, found.alone.resolved) == (3, 3, 2)
    assert (found.added, found.joined.grades["engine"].wrong, found.disputed) == (2, 0, 0)


def test_wrong_answers_are_counted(ask: Ask) -> None:
    found = ask({FIRST: Answer(frozenset({OTHER}))}, {FIRST: reached(SEND)})
    assert found.joined.resolved == 0
    assert (found.joined.grades["engine"].wrong, found.alone.grades["engine"].wrong) == (1, 1)
    assert found.doubles == 0


def test_who_was_right_is_told_where_the_two_differ(ask: Ask) -> None:
    found = ask({THIRD: Answer(frozenset({OTHER}))}, {THIRD: reached(SEND)})
    assert (found.disputed, found.disputed_executed) == (1, 1)
    assert (found.own_right, found.engine_right) == (1, 0)


def test_what_a_mock_stands_for_is_no_fault_of_the_checker(ask: Ask) -> None:
    found = ask({FIRST: Answer(frozenset({SEND}))}, {FIRST: Seen(set(), {"MagicMock"})})
    assert (found.alone.grades["engine"].wrong, found.doubles) == (1, 1)


def test_the_table_has_a_column_for_each(ask: Ask) -> None:
    found = ask({}, {})
    lines = tables([found, found]).splitlines()
    assert {line.count("|") for line in lines} == {4}
    assert any(line.startswith("| resolved with it |") for line in lines)
