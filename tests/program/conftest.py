"""Small programs given as sources, and questions to them."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping

import pytest

from bridgekit_codemods.program import CallSite, Program

Build = Callable[..., "Loaded"]


class Loaded:
    """A program with short ways to ask for what a test is about."""

    def __init__(self, sources: Mapping[str, str | bytes]) -> None:
        self.sources = {
            path: text if isinstance(text, bytes) else textwrap.dedent(text).encode()
            for path, text in sources.items()
        }
        self.program = Program.load(self.sources)

    def sites(self, text: str, kind: str = "call") -> list[CallSite]:
        """The sites whose source text is exactly `text`."""
        found = [s for s in self.program.calls if s.kind == kind and self.text(s) == text]
        assert found, f"no {kind} site reads {text!r}: {sorted(map(self.text, self.program.calls))}"
        return found

    def site(self, text: str, kind: str = "call") -> CallSite:
        found = self.sites(text, kind)
        assert len(found) == 1, found
        return found[0]

    def text(self, site: CallSite) -> str:
        lines = self.program.files[site.path].lines[site.span.line - 1 : site.span.end_line]
        lines[-1] = lines[-1][: site.span.end_col]
        lines[0] = lines[0][site.span.col :]
        return "\n".join(lines)

    def targets(self, text: str, kind: str = "call") -> dict[str, str]:
        """Qualified names of the targets of that site, with their grades."""
        return {t.function.qualname: t.grade for t in self.site(text, kind).targets}

    def externals(self, text: str, kind: str = "call") -> tuple[str, ...]:
        return self.site(text, kind).externals

    def node(self, path: str, text: str) -> ast.expr:
        """The first expression of a file that reads exactly `text`."""
        file = self.program.files[path]
        assert file.tree is not None
        for node in ast.walk(file.tree):
            if isinstance(node, ast.expr) and ast.unparse(node) == text:
                return node
        raise AssertionError(f"{text!r} is not in {path}")

    def types(self, path: str, text: str) -> set[str]:
        return {str(t) for t in self.program.type_of(path, self.node(path, text))}

    def resolve(self, path: str, text: str) -> str | None:
        return self.program.resolve(path, self.node(path, text))


@pytest.fixture
def build() -> Build:
    """Builds a program from `path=source` pairs; a single string is the file `m.py`."""

    def make(sources: Mapping[str, str | bytes] | str) -> Loaded:
        return Loaded({"m.py": sources} if isinstance(sources, str) else sources)

    return make
