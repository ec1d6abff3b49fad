"""Runs what the flip makes of a program beside the program itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.flip import Flip

_APP = b"""\
from bridgekit.integrations.flask import Flask

import service

app = Flask(__name__)


@app.route("/")
def index():
    return service.top()
"""


def flipped(body: str) -> tuple[str, tuple[Finding, ...]]:
    """What the walk makes of `service.py`, whose `top` a view calls, and what it reports."""
    sources = {"app.py": _APP, "service.py": dedent(body).encode()}
    rule = Flip()
    seen: dict[Finding, None] = {}
    for _ in range(20):
        program = Program.load(sources)
        for finding in rule.findings(program, Options(), frozenset()):
            if all((finding.function, finding.code) != (f.function, f.code) for f in seen):
                seen[finding] = None
        step = rule.propose(program, Options(), frozenset())
        if step is None:
            return sources["service.py"].decode(), tuple(seen)
        for path, data in step.changes.items():
            assert data is not None
            compile(data, path, "exec")
            sources[path] = data
    raise AssertionError("the walk does not end")


class Outcome:
    """What a run gave: `result`, or `error` (type and text)."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: tuple[type[BaseException], str] | None = None
        try:
            self.result = run()
        except Exception as error:
            self.error = type(error), str(error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and (self.result, self.error) == (
            other.result,
            other.error,
        )

    def __repr__(self) -> str:
        return f"{self.result!r}, {self.error!r}"

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Callable[..., tuple[Outcome, Outcome, str]]]:
    """Runs `top()` of a program, and `await top_async()` of what the flip makes of it, each in a
    directory of its own that `{here}` in the source stands for; also gives the new source."""
    made: list[str] = []

    def load(text: str, name: str) -> tuple[ModuleType, Path]:
        here = tmp_path / name
        here.mkdir()
        module = ModuleType(f"service_{name}")
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        code = compile(text.replace("{here}", str(here)), f"{name}.py", "exec")
        exec(code, module.__dict__)
        return module, here

    def run(
        body: str, prepare: Callable[[Path], object] = lambda _here: None
    ) -> tuple[Outcome, Outcome, str]:
        after, findings = flipped(body)
        assert "async def top_async(" in after, (after, findings)
        before_module, before_here = load(dedent(body), "before")
        prepare(before_here)
        before = Outcome(before_module.top)
        after_module, after_here = load(after, "after")
        prepare(after_here)

        async def top() -> object:
            return await asyncio.wait_for(after_module.top_async(), 20)

        return before, Outcome(lambda: asyncio.run(top())), after

    yield run
    for name in made:
        del sys.modules[name]
