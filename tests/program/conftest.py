"""Small programs given as sources, and questions to them."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

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


def _place(node: ast.AST | None) -> tuple[object, ...]:
    located = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    return (type(node).__name__, *(getattr(node, name, None) for name in located))


def _name(symbol: object) -> object:
    return getattr(symbol, "qualname", symbol)


def _described(program: Program) -> list[Any]:
    """All that a program says, without reference to its objects: equal programs, equal lists."""
    return [
        [
            (f.qualname, f.path, _place(f.node), _name(f.cls), _name(f.parent),
             [(p.name, p.kind) for p in f.params],
             [(_place(d.node), d.dotted, _name(d.project)) for d in f.decorators],
             f.is_async, f.is_generator, f.is_property, f.is_static, f.is_classmethod,
             f.is_test_function, f.is_fixture,
             sorted(o.qualname for o in program.family(f)), program.overrides_external(f),
             [w.qualname for w in program.wrappers_of(f)],
             [o.qualname for o in program.fixtures_of(f)])
            for f in program.functions.values()
        ],
        [
            (c.qualname, c.path, _place(c.node), c.bases, [_name(b) for b in c.mro],
             {n: m.qualname for n, m in c.methods.items()},
             {n: sorted(t) for n, t in c.attrs.items()})
            for c in program.classes.values()
        ],
        [
            (s.path, s.span, _place(s.node), s.kind, _name(s.caller),
             [(t.function.qualname, t.grade) for t in s.targets], s.externals, s.name,
             sorted(s.receiver), s.in_lambda, s.in_comprehension, s.in_genexp, s.awaited)
            for s in program.calls
        ],
        [
            (r.path, r.span, _place(r.node), r.function.qualname, _name(r.user), r.kind,
             r.consumer, r.keyword, r.position)
            for r in program.references
        ],
        [(p.path, p.span, p.dotted, _name(p.resolved), p.style, _name(p.user))
         for p in program.patches],
        [(key, r.target, r.uselist, r.lazy, _place(r.node), r.path)
         for key, r in program.relationships.items()],
        [(u.path, u.span, _name(u.user), sorted(u.receiver), u.attr)
         for u in program.attribute_uses],
        {path: sorted(names) for path, names in program.template_attributes.items()},
        [str(p) for p in program.problems],
        [
            (path, _place(node), sorted(program.type_of(path, node)),
             _name(program.enclosing(path, node)))
            for path, file in program.files.items()
            for node in file.nodes
            if isinstance(node, ast.expr)
        ],
    ]  # fmt: skip


@pytest.fixture
def described() -> Callable[[Program], list[Any]]:
    """Turns a program into plain values, to compare it with another one."""
    return _described
