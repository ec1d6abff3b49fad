"""Which files of a program cannot be parsed."""

from __future__ import annotations

from bridgekit_codemods.migration.checks import Problem, problems
from bridgekit_codemods.program.program import Program


def test_what_the_program_model_reads_is_no_problem() -> None:
    sources = {"deep.py": ("x = " + " + ".join(["f()"] * 1500) + "\n").encode()}
    assert problems(sources) == ()
    assert not Program.load(sources).problems


def test_files_that_cannot_be_parsed() -> None:
    sources = {"a.py": b"def f(:\n", "b.py": b"x = '\0'\n", "c.txt": b"def f(:\n", "d.py": b""}
    first, second = problems(sources)
    assert first == Problem("a.py", 1, "invalid syntax")
    assert (second.path, second.line) == ("b.py", 1)
