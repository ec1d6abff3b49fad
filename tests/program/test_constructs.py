"""Values that reach a name by ways of their own: patterns, lambdas, decorators of libraries."""

from __future__ import annotations

from typing import Any

import pytest

CLASSES = """
import collections
import importlib
class A:
    def io(self): pass
class B:
    def io(self): pass
def several() -> list[A]: ...
"""


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    match x:\n        case A(): x.io()\n",
        "def f(): sorted(several(), key=lambda x: x.io())\n",
        "def f(): several().sort(key=lambda x: x.io())\n",
        "def f(): list(map(lambda x: x.io(), several()))\n",
        "def f(): list(filter(lambda x: x.io(), several()))\n",
        "def f():\n    d = collections.defaultdict(A)\n    x = d['k']\n    x.io()\n",
    ],
)
def test_what_a_name_holds(build: Any, code: str) -> None:
    loaded = build(CLASSES + code)
    assert loaded.targets("x.io()") == {"m.A.io": "method"}


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    match x:\n        case int(): x.io()\n",
        "def f(): unknown(several(), key=lambda x: x.io())\n",
        "def f(): sorted(several(), reverse=lambda x: x.io())\n",
        "def f(): list(map(lambda y, x: x.io(), several()))\n",
    ],
)
def test_what_a_name_does_not_hold(build: Any, code: str) -> None:
    assert build(CLASSES + code).targets("x.io()") == {}


def test_a_module_imported_by_its_name(build: Any) -> None:
    loaded = build({"pkg/__init__.py": "", "pkg/leaf.py": "def run(): pass\n",
                    "m.py": "import importlib\n"
                            "def f(): importlib.import_module('pkg.leaf').run()\n"
                            "def g(name): importlib.import_module(name).run()\n"})  # fmt: skip
    assert loaded.targets("importlib.import_module('pkg.leaf').run()") == {"pkg.leaf.run": "exact"}
    assert loaded.targets("importlib.import_module(name).run()") == {}


def test_functions_that_a_librarys_decorator_keeps(build: Any) -> None:
    loaded = build(
        "import click\nfrom celery import Celery\napp = Celery()\n"
        "@click.command()\ndef command(): pass\n"
        "@app.task\ndef task(): pass\n"
        "def plain(): pass\n"
        "def f():\n    command.callback()\n    task.run()\n    task.callback()\n    plain.run()\n"
    )
    assert loaded.targets("command.callback()") == {"m.command": "exact"}
    assert loaded.targets("task.run()") == {"m.task": "exact"}
    assert loaded.targets("task.callback()") == {}
    assert loaded.targets("plain.run()") == {}


def test_rows_of_several_entities(build: Any) -> None:
    loaded = build(
        "from sqlalchemy.orm import Session, DeclarativeBase\n"
        "class Base(DeclarativeBase): pass\n"
        "class A(Base):\n    def one(self): pass\n"
        "class B(Base):\n    def two(self): pass\n"
        "def f(s: Session):\n    a, b = s.query(A, B).first()\n    a.one()\n    b.two()\n"
        "    for c, d in s.query(A, B).filter(1):\n        d.two()\n"
    )
    assert loaded.targets("a.one()") == {"m.A.one": "method"}
    assert loaded.targets("b.two()") == {"m.B.two": "method"}
    assert loaded.targets("d.two()") == {"m.B.two": "method"}


def test_values_of_parametrized_tests(build: Any) -> None:
    loaded = build(
        {
            "m.py": "class A:\n    def io(self): pass\n",
            "tests/test_m.py": "import pytest\nfrom m import A\n"
            "@pytest.mark.parametrize('x', [A()])\ndef test_a(x): x.io()\n"
            "@pytest.mark.parametrize('n, y', [(1, A())])\ndef test_b(n, y): y.io()\n"
            "@pytest.mark.parametrize('z', [1])\ndef test_c(z): z.io()\n",
        }
    )
    assert loaded.targets("x.io()") == {"m.A.io": "method"}
    assert loaded.targets("y.io()") == {"m.A.io": "method"}
    assert loaded.targets("z.io()") == {}
