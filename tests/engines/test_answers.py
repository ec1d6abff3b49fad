"""The record of a checker's answers: what of it holds, and for which files."""

from __future__ import annotations

import pytest

from bridgekit_codemods.engines import Answer, Answers
from bridgekit_codemods.tracing.record import Definition, Place

SOURCES = {"a.py": b"from b import send\nsend()\n", "b.py": b"def send(): ...\n"}
CALL = Place("a.py", 2, 0, 2, 6)
SEND = Definition("b.py", 1, "send")


def recorded() -> bytes:
    calls = {CALL: Answer(frozenset({SEND})), CALL._replace(line=9): Answer(frozenset(), True)}
    return Answers("checker 1.0", {}, calls).dump(SOURCES).encode()


def test_a_record_is_read_as_it_was_written() -> None:
    answers = Answers.current(recorded(), SOURCES)
    assert answers.engine == "checker 1.0"
    assert answers.calls == {
        CALL: Answer(frozenset({SEND})),
        CALL._replace(line=9): Answer(frozenset(), elsewhere=True),
    }


@pytest.mark.parametrize(
    ("changed", "left"), [("a.py", 0), ("b.py", 1)], ids=["the caller", "what it calls"]
)
def test_what_concerns_a_changed_file_counts_for_nothing(changed: str, left: int) -> None:
    answers = Answers.current(recorded(), {**SOURCES, changed: b"\n" + SOURCES[changed]})
    assert len(answers.calls) == left
    assert CALL not in answers.calls


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version": 1}', b'{"version": 99}', b"\xff"]
)
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    assert Answers.current(data, SOURCES).calls == {}
