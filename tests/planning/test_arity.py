"""A call that cannot be one of a method is told from its arguments; what may be one, stays one."""

from __future__ import annotations

import ast

import pytest

from bridgekit_codemods.planning.arity import accepts
from bridgekit_codemods.program.program import Program

SOURCE = b"""\
class A:
    def get(self, key):
        ...

    def find(self, key, /, default=None, *, strict):
        ...

    def any(self, *args, **kwargs):
        ...
"""


@pytest.mark.parametrize(
    ("name", "call", "fits"),
    [
        ("get", "x.get(1)", True),
        ("get", "x.get(key=1)", True),
        ("get", "x.get()", False),
        ("get", "x.get('a', '')", False),
        ("get", "x.get('a', key=1)", False),
        ("get", "x.get('a', timeout=1)", False),
        ("get", "x.get(*args)", True),
        ("get", "x.get(**kwargs)", True),
        ("find", "x.find(1, strict=True)", True),
        ("find", "x.find(1, 2, strict=True)", True),
        ("find", "x.find(1)", False),
        ("find", "x.find(key=1, strict=True)", False),
        ("any", "x.any(1, 2, a=3)", True),
    ],
)
def test_accepts(name: str, call: str, fits: bool) -> None:
    function = Program.load({"m.py": SOURCE}).functions[f"m.A.{name}"]
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert accepts(function, node) is fits
