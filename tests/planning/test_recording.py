"""Recorded waiting: how it is read, and which step frees how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgekit_codemods.planning.recording import Gains, RecordingError, Wait, read_recording
from bridgekit_codemods.program.program import Program

FILES = {
    "shop.py": (
        b"import time\n\nimport requests\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n"
        b"def fetch(x):\n    return requests.get(x, timeout=1).text\n\n\n"
        b"def pause():\n    time.sleep(1)\n\n\n"
        b"@app.get('/a')\ndef a():\n    return fetch('a')\n\n\n"
        b"@app.get('/b')\ndef b():\n    pause()\n    return fetch('b')\n"
    )
}


def gains(*waits: Wait) -> Gains:
    return Gains(Program.load(FILES), waits)


def test_reading() -> None:
    text = (
        '{"function": "shop.fetch", "leaf": "requests.get", "seconds": 1.5, "entry": "shop.a",'
        ' "count": 3, "more": []}\n\n{"leaf": "time.sleep", "seconds": 2}\n'
    )
    assert read_recording(text) == (
        Wait(1.5, "shop.fetch", "requests.get", "shop.a", 3),
        Wait(2.0, None, "time.sleep"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no JSON:"),
        ("[]", "line 1 is no JSON object"),
        ('{"leaf": "a"}', "'seconds' is no number"),
        ('{"leaf": "a", "seconds": true}', "'seconds' is no number"),
        ('{"leaf": "a", "seconds": -1}', "0 or more"),
        ('{"leaf": "a", "seconds": NaN}', "0 or more"),
        ('{"seconds": 1}', "neither 'function' nor 'leaf'"),
        ('{"function": 1, "seconds": 1}', "'function' is no text"),
        ('{"leaf": "a", "seconds": 1, "count": 1.5}', "'count' is no whole number"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(line: str, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(line)


def test_a_wait_is_freed_with_its_view_and_not_before() -> None:
    found = gains(Wait(6.0, "shop.fetch", entry="shop.a"), Wait(2.0, "shop.pause"))
    assert found.step(["shop.fetch"]).seconds == 0
    gain = found.step(["shop.a"])
    assert (gain.seconds, gain.share) == (6.0, 0.75)
    assert found.step(["shop.b"]).seconds == 0, "pause still holds the thread"
    assert found.held == {"shop.pause": 2.0}
    assert found.step(["shop.pause"]).seconds == 2.0
    assert (found.freed, found.total, found.held) == (8.0, 8.0, {})


def test_without_a_view_the_time_is_divided_among_those_that_reach_it() -> None:
    found = gains(Wait(6.0, None, "requests.get"))
    found.step(["shop.fetch"])
    assert found.step(["shop.a"]).seconds == 3.0
    assert found.step(["shop.b"]).seconds == 3.0


def test_what_the_program_does_not_know_is_told() -> None:
    found = gains(Wait(1.0, "shop.gone"), Wait(2.0, "shop.fetch", entry="shop.gone"))
    assert (found.unknown, found.total, found.held) == (3.0, 3.0, {})


def test_nothing_recorded_gives_nothing() -> None:
    assert gains().step(["shop.fetch", "shop.a"]).share == 0.0


@given(
    st.lists(
        st.builds(
            Wait,
            st.floats(0, 1e6),
            st.sampled_from(["shop.fetch", "shop.pause", "shop.gone"]),
            st.none(),
            st.sampled_from([None, "shop.a", "shop.b", "shop.gone"]),
        ),
        max_size=8,
    ),
    st.permutations(["shop.fetch", "shop.pause", "shop.a", "shop.b"]),
)
def test_no_second_is_lost_or_freed_twice(waits: list[Wait], order: list[str]) -> None:
    found = gains(*waits)
    freed = sum(found.step([name]).seconds for name in order)
    assert freed == pytest.approx(found.freed)
    assert found.freed + found.unknown == pytest.approx(found.total)
    assert found.held == {}
