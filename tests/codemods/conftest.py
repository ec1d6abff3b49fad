"""What every test of a rule does: load the program, propose, and hold the result to the rules."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from bridgekit_codemods.planning.steps import Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options, Rule

DEFAULTS = Options()
Sources = Mapping[str, str] | str
Propose = Callable[..., Step | None]


def as_bytes(files: Sources) -> dict[str, bytes]:
    """Sources by path; a bare string is the only module, `app.py`."""
    named = {"app.py": files} if isinstance(files, str) else files
    return {path: dedent(text).encode() for path, text in named.items()}


def proposed(
    rule: Rule,
    files: Sources,
    options: Options = DEFAULTS,
    kept: frozenset[str] = frozenset(),
) -> Step | None:
    """The rule's step for the program; checks that its output compiles and is a fixed point.

    A rule with several steps is a fixed point when walking on ends within one step per file.
    """
    sources = as_bytes(files)
    step = rule.propose(Program.load(sources), options, kept)
    following = step
    for _ in range(len(sources) + 5):
        if following is None:
            return step
        assert following.changes, "a step without changes"
        for path, data in following.changes.items():
            assert data is not None
            assert data != sources.get(path)
            if path.endswith(".py"):
                ast.parse(data)
        sources = {**sources, **following.changes}  # type: ignore[dict-item]
        following = rule.propose(Program.load(sources), options, kept)
    raise AssertionError("the rule never comes to an end")


@pytest.fixture
def propose() -> Propose:
    """See `proposed`."""
    return proposed


@pytest.fixture
def rewritten() -> Callable[..., str]:
    """The text of one file after the rule's step, which must exist."""

    def run(rule: Rule, files: Sources, path: str = "app.py", **options: object) -> str:
        step = proposed(rule, files, Options(**options))  # type: ignore[arg-type]
        assert step is not None, "no step was proposed"
        data = step.changes.get(path)
        assert data is not None, f"{path} is not changed"
        return data.decode()

    return run


@pytest.fixture
def untouched() -> Callable[..., None]:
    """Asserts that the rule proposes nothing for the program."""

    def run(rule: Rule, files: Sources) -> None:
        step = proposed(rule, files)
        assert step is None, {path: data.decode() for path, data in step.changes.items() if data}

    return run


@pytest.fixture
def found() -> Callable[..., list[tuple[str, int, str]]]:
    """Path, line and reason of what the rule reports, in order."""

    def run(rule: Rule, files: Sources) -> list[tuple[str, int, str]]:
        program = Program.load(as_bytes(files))
        findings = rule.findings(program, Options(), frozenset())
        for finding in findings:
            assert finding.code == rule.code
            assert finding.remedy
        return [(finding.path, finding.line, finding.reason) for finding in findings]

    return run
