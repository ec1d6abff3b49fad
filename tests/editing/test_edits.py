"""The edit kernel: every registered edit happens once, everything else stays byte for byte."""

from __future__ import annotations

import ast

import pytest

from bridgekit_codemods.editing import FileEdits, nodes
from bridgekit_codemods.editing.edits import EditMissed
from bridgekit_codemods.program.source import Span, load_file


def _call(source: str, name: str) -> tuple[FileEdits, bytes, object]:
    data = source.encode()
    file = load_file("m.py", data, "m")
    assert file.tree is not None
    node = next(
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    )
    return FileEdits("m.py"), data, file.span(node)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f(1)  # why\n", "x = await f(1)  # why\n"),
        ("x = f(1).y\n", "x = (await f(1)).y\n"),
        ("x = f(1)[0]\n", "x = (await f(1))[0]\n"),
        ("x = f(1)(2)\n", "x = (await f(1))(2)\n"),
        ("x = (\n    f(1)  # kept\n)\n", "x = (\n    await f(1)  # kept\n)\n"),
        ("x = (f(1))\n", "x = (await f(1))\n"),
        ("x = -f(1) ** 2\n", "x = -await f(1) ** 2\n"),
        ("x = not f(1)\n", "x = not await f(1)\n"),
        ("s = 'ü' + f(1)\n", "s = 'ü' + await f(1)\n"),
        ("x = f(1)\r\ny = 2\r\n", "x = await f(1)\r\ny = 2\r\n"),
        ("x = [f(i) for i in y if f]\n", "x = [await f(i) for i in y if f]\n"),
    ],
)
def test_await_is_put_where_it_binds(before: str, after: str) -> None:
    edits, data, span = _call(before, "f")
    edits.at("Call", span, nodes.awaited)
    assert edits.apply(data) == after.encode()


def test_an_edit_without_its_node_is_an_error_not_a_silence() -> None:
    edits, data, span = _call("x = f(1)\n", "f")
    edits.at("Attribute", span, nodes.awaited)
    with pytest.raises(EditMissed, match=r"m\.py:1:4: no Attribute here"):
        edits.apply(data)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("g(1, k=2)\n", "await to_thread.run_sync(g, 1, k=2)\n"),
        ("g()\n", "await to_thread.run_sync(g)\n"),
        ("g(\n    1,\n    2,\n)\n", "await to_thread.run_sync(g, 1,\n    2,\n)\n"),
    ],
)
def test_a_call_goes_to_a_thread(before: str, after: str) -> None:
    edits, data, span = _call(before, "g")
    edits.at("Call", span, nodes.in_thread())
    assert edits.apply(data).decode() == after or ast.dump(
        ast.parse(edits.apply(data).decode())
    ) == ast.dump(ast.parse(after))


def test_inner_edits_come_before_outer_ones() -> None:
    source = "x = f(g(1))\n"
    edits, data, outer = _call(source, "f")
    _, _, inner = _call(source, "g")
    edits.at("Call", outer, nodes.awaited)
    edits.at("Call", inner, nodes.in_thread(['affinity="context"']))
    assert edits.apply(data) == (
        b'x = await f(await to_thread.run_sync(g, 1, affinity="context"))\n'
    )


def test_a_lone_generator_argument_is_found_and_becomes_a_list() -> None:
    source = "x = sum(f(i) for i in y)\n"
    edits, data, span = _call(source, "f")
    edits.at("Call", span, nodes.awaited)
    first = Span(1, source.index("for i") + 4, 1, source.index("for i") + 5)
    edits.at("GeneratorExp", first, nodes.list_comprehension)
    assert edits.apply(data) == b"x = sum([await f(i) for i in y])\n"


def test_a_generator_is_found_whatever_brackets_stand_in_it() -> None:
    source = "x = dict((k, v) for (k, *v), w in y)\n"
    edits = FileEdits("m.py")
    first = Span(1, source.index("(k, *v)") + 1, 1, source.index("(k, *v)") + 2)
    edits.at("GeneratorExp", first, nodes.list_comprehension)
    assert edits.apply(source.encode()) == b"x = dict([(k, v) for (k, *v), w in y])\n"


def test_decorated_and_nested_definitions_are_reached() -> None:
    source = "@deco(\n    f(1)\n)\ndef a():\n    def b():\n        return f(2)\n    return b\n"
    file = load_file("m.py", source.encode(), "m")
    assert file.tree is not None
    edits = FileEdits("m.py")
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "f":
            edits.at("Call", file.span(node), nodes.renamed_callee("g"))
    assert edits.apply(source.encode()).decode() == source.replace("f(", "g(")


def test_imports_are_added_once_and_dropped_only_when_unused() -> None:
    source = b"import time\n\n\ndef f():\n    time.time()\n"
    edits = FileEdits("m.py")
    edits.add_import("anyio")
    edits.add_import("anyio")
    edits.drop_import("time")
    after = edits.apply(source).decode()
    assert after.count("import anyio") == 1
    assert "import time\n" in after
