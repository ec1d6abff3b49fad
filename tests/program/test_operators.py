"""Special methods that operators, tests and builtins call on the program's own objects."""

from __future__ import annotations

from typing import Any

import pytest

METHODS = """
class C:
    def __getitem__(self, k): pass
    def __setitem__(self, k, v): pass
    def __len__(self): return 1
    def __contains__(self, k): pass
    def __eq__(self, k): pass
    def __lt__(self, k): pass
    def __str__(self): return ""
    def __add__(self, o): pass
    def __radd__(self, o): pass
    def __bool__(self): return True
class Sub(C):
    def __len__(self): return 2
class Plain: pass
"""


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("c[1]", "c[1]", "__getitem__"),
        ("c[1] = 2", "c[1]", "__setitem__"),
        ("1 in c", "1 in c", "__contains__"),
        ("c == 1", "c == 1", "__eq__"),
        ("1 == c", "1 == c", "__eq__"),
        ("c != 1", "c != 1", "__eq__"),
        ("c < 1", "c < 1", "__lt__"),
        ("1 > c", "1 > c", "__lt__"),
        ("c + 1", "c + 1", "__add__"),
        ("1 + c", "1 + c", "__radd__"),
        ("if c: pass", "c", "__bool__"),
        ("while c: pass", "c", "__bool__"),
        ("1 if c else 2", "c", "__bool__"),
        ("c and 1", "c", "__bool__"),
    ],
)
def test_operators(build: Any, code: str, text: str, expected: str) -> None:
    loaded = build(f"{METHODS}def f(c: C):\n    {code}\n")
    assert loaded.targets(text, "operator") == {f"m.C.{expected}": "method"}


def test_text_of_an_object(build: Any) -> None:
    loaded = build(METHODS + 'def f(c: C):\n    f"{c}"\n')
    (site,) = [s for s in loaded.program.calls if s.kind == "operator"]
    assert [t.function.qualname for t in site.targets] == ["m.C.__str__"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("len(c)", {"m.C.__len__": "method", "m.Sub.__len__": "override"}),
        ("str(c)", {"m.C.__str__": "method"}),
        ("bool(c)", {"m.C.__bool__": "method"}),
        ("print(1, c)", {"m.C.__str__": "method"}),
    ],
)
def test_builtins(build: Any, call: str, expected: dict[str, str]) -> None:
    loaded = build(f"{METHODS}def f(c: C):\n    {call}\n")
    assert loaded.targets(call, "hidden") == expected


@pytest.mark.parametrize(
    "code", ["c[1]", "1 in c", "c == 1", "c + 1", "f'{c}'", "str(c)", "len(c)", "c is None"]
)
@pytest.mark.parametrize("annotation", ["int", "Plain", "list[int]", "'Unknown'"])
def test_other_objects_call_nothing_of_the_program(build: Any, code: str, annotation: str) -> None:
    loaded = build(f"{METHODS}def f(c: {annotation}):\n    {code}\n")
    assert [s for s in loaded.program.calls if s.kind in ("operator", "hidden")] == []


def test_an_operand_that_may_be_anything_is_a_guess(build: Any) -> None:
    loaded = build(f"{METHODS}def f(x, y):\n    c = C() if x else y\n    c + 1\n")
    assert loaded.targets("c + 1", "operator") == {"m.C.__add__": "guess"}
