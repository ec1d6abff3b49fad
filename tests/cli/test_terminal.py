"""Live progress on a terminal, plain lines everywhere else."""

from __future__ import annotations

import io

import pytest

from bridgekit_codemods.reports.terminal import LiveProgress, PlainProgress, Printer, progress


def walk(observer: PlainProgress | LiveProgress) -> None:
    with observer:
        observer.note("going on")
        observer.started(1, "Make low new", "flip:low")
        observer.state("testing")
        observer.finished("done", "3 passed", 1.5)
        observer.started(2, "Break [mid]", "flip:mid")
        observer.finished("kept", "guard: ....\nFAILED test_it.py::test_it - boom\n1 failed", 2.0)


def test_plain_lines() -> None:
    stream = io.StringIO()
    walk(progress(Printer(stream)))
    assert stream.getvalue().splitlines() == [
        "note: going on",
        "step 1: Make low new  [flip:low]",
        "  done in 1.5 s: 3 passed",
        "step 2: Break [mid]  [flip:mid]",
        "  kept in 2.0 s: guard: FAILED test_it.py::test_it - boom",
    ]


def test_live_lines_have_colour_and_keep_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    printer = Printer(stream, is_terminal=True)
    walk(progress(printer))
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "step 1: Make low new" in text
    assert "Break [mid]" in text
    assert "FAILED test_it.py::test_it - boom" in text


def test_bytes_that_are_no_text_do_not_stop_a_report() -> None:
    stream = io.StringIO()
    Printer(stream).line("+caf\udce9")
    assert stream.getvalue() == "+caf\ufffd\n"
