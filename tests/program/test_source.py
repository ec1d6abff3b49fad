from __future__ import annotations

import ast
import codecs
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.program import Program, Span, read_sources
from bridgekit_codemods.program.source import load_file


def test_columns_count_characters(build: Any) -> None:
    loaded = build('def f(x):\n    return x\n\nf("äöü€", f("𝄞"))\n')
    spans = [s.span for s in loaded.program.calls]
    assert spans == [Span(4, 0, 4, 17), Span(4, 10, 4, 16)]
    assert loaded.targets('f("𝄞")') == {"m.f": "exact"}


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + "def f(): pass\né = f()\n".encode(),
        "# -*- coding: latin-1 -*-\ndef f(): pass\né = f()\n".encode("latin-1"),
        "def f(): pass\r\né = f()\r\n".encode(),
        "def f(): pass\ré = f()\r".encode(),
    ],
    ids=["bom", "latin-1", "crlf", "cr"],
)
def test_encodings_and_line_ends(build: Any, data: bytes) -> None:
    loaded = build({"m.py": data})
    assert loaded.program.problems == []
    site = loaded.site("f()")
    assert (site.span.col, site.span.end_col) == (4, 7)
    assert loaded.program.files["m.py"].data == data


def test_broken_files_are_problems_and_the_rest_goes_on(build: Any) -> None:
    loaded = build(
        {
            "bad.py": "def f(:\n",
            "nul.py": b"x = 1\0",
            "coding.py": b"# coding: no-such-thing\n",
            "bytes.py": b"x = '\xff'\n",
            "good.py": "def f(): pass\nf()\n",
        }
    )
    assert [p.path for p in loaded.program.problems] == [
        "bad.py",
        "bytes.py",
        "coding.py",
        "nul.py",
    ]
    assert loaded.program.problems[0].line == 1
    assert loaded.targets("f()") == {"good.f": "exact"}
    assert loaded.program.files["bad.py"].tree is None


def test_deep_nesting_does_not_break_the_build(build: Any) -> None:
    text = "x = " + " + ".join(["f()"] * 900) + "\ndef f(): pass\n"
    loaded = build(text)
    assert len(loaded.sites("f()")) == 900


@pytest.mark.parametrize(
    ("path", "extra", "module", "is_test"),
    [
        ("app/views.py", ["app/__init__.py"], "app.views", False),
        ("src/app/views.py", ["src/app/__init__.py"], "app.views", False),
        ("app/__init__.py", [], "app", False),
        ("run.py", [], "run", False),
        ("tests/conftest.py", [], "conftest", True),
        ("tests/conftest.py", ["tests/__init__.py"], "tests.conftest", True),
        ("app/test_views.py", ["app/__init__.py"], "app.test_views", True),
        ("app/contest.py", ["app/__init__.py"], "app.contest", False),
    ],
)
def test_module_names(build: Any, path: str, extra: list[str], module: str, is_test: bool) -> None:
    loaded = build({path: "", **dict.fromkeys(extra, "")})
    file = loaded.program.files[path]
    assert (file.module, file.is_test) == (module, is_test)
    assert loaded.program.modules[module] == path


def test_reading_a_tree_skips_what_is_not_the_program(tmp_path: Path) -> None:
    for name in ("app/a.py", "venv/lib/x.py", ".git/h.py", "node_modules/n.py", "build/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "venv/pyvenv.cfg").write_text("")
    (tmp_path / "app/page.html").write_text("{{ a.b }}")
    (tmp_path / "app/data.bin").write_text("")
    assert list(read_sources(tmp_path)) == ["app/a.py", "app/page.html"]
    with pytest.raises(NotADirectoryError):
        read_sources(tmp_path / "nowhere")


def test_two_builds_are_equal(build: Any) -> None:
    source = {
        "a.py": "import b\nclass A:\n    def f(self): return b.g(self)\n",
        "b.py": "def g(x): return x.f()\ndef h(): return [x.f() for x in (g(1), g(2))]\n",
    }

    def told(program: Program) -> list[object]:
        return [
            (s.path, s.span, s.kind, [(t.function.qualname, t.grade) for t in s.targets],
             s.externals, sorted(map(str, s.receiver)))
            for s in program.calls
        ]  # fmt: skip

    assert told(build(source).program) == told(build(source).program)
    assert told(build(source).program) == told(build(dict(reversed(source.items()))).program)


def test_templates_tell_their_attributes(build: Any) -> None:
    loaded = build(
        {
            "t/a.html": "{% for l in order.lines %}{{ l.product.name|upper }}{{ 'x.y' }}"
            "{% endfor %}",
            "t/b.j2": "{{ order['customer'].name }} plain.text",
            "t/broken.html": "{% unknown order.total %}{{ x.y",
        }
    )
    found = loaded.program.template_attributes
    assert found["t/a.html"] == {"lines", "product", "name"}
    assert found["t/b.j2"] == {"customer", "name"}
    assert found["t/broken.html"] == {"total"}


def test_nodes_come_in_the_order_of_ast_walk() -> None:
    data = Path(__file__).read_bytes()
    file = Program.load({"m.py": data}).files["m.py"]
    assert file.tree is not None
    assert list(file.nodes) == list(ast.walk(file.tree))


def test_nodes_are_those_of_ast_walk_in_its_order() -> None:
    for path, data in read_sources(Path(__file__).parents[2] / "codemods").items():
        if path.endswith(".py"):
            file = load_file(path, data, "m")
            assert file.tree is not None
            walked = list(ast.walk(file.tree))
            assert len(file.nodes) == len(walked)
            assert all(one is other for one, other in zip(file.nodes, walked, strict=True))
    file = load_file("a.py", b"{**a, 1: b}\ndef f(a, *, b, c=1): global x\n", "a")
    assert file.tree is not None
    assert list(file.nodes) == list(ast.walk(file.tree))
