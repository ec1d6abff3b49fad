"""One program after the other: what two of them share, and that sharing changes nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.program import Program, read_sources
from bridgekit_codemods.program.loading import Programs

LEGACY = Path(__file__).resolve().parents[2] / "examples" / "legacy_app"
SOURCES = {
    "shop/__init__.py": b"",
    "shop/io.py": b"import requests\n\ndef fetch(url):\n    return requests.get(url)\n",
    "shop/app.py": b"from shop.io import fetch\n\ndef view():\n    return fetch('http://x')\n",
}
CHANGED = {**SOURCES, "shop/io.py": b"\n\ndef fetch(url):\n    return url\n"}


def edges(program: Program) -> list[tuple[str, int, list[str], tuple[str, ...]]]:
    return [
        (s.path, s.span.line, [t.function.qualname for t in s.targets], s.externals)
        for s in program.calls
    ]


def test_the_program_of_the_same_sources_is_the_same_object() -> None:
    programs = Programs()
    first = programs.load(SOURCES)
    assert programs.load(dict(SOURCES)) is first
    assert programs.load(CHANGED) is not first


def test_only_changed_files_are_parsed_again() -> None:
    programs = Programs()
    before, after = programs.load(SOURCES), programs.load(CHANGED)
    assert after.files["shop/app.py"] is before.files["shop/app.py"]
    assert after.files["shop/io.py"] is not before.files["shop/io.py"]


def test_a_file_whose_module_name_changed_is_loaded_again() -> None:
    programs = Programs()
    programs.load(SOURCES)
    moved = {path: data for path, data in SOURCES.items() if path != "shop/__init__.py"}
    assert programs.load(moved).files["shop/io.py"].module == "io"


def test_sharing_leaves_the_earlier_program_as_it_was_and_the_later_one_as_if_alone() -> None:
    programs = Programs()
    first = programs.load(SOURCES)
    known = edges(first)
    second = programs.load(CHANGED)
    assert edges(first) == known == edges(Program.load(SOURCES))
    assert edges(second) == edges(Program.load(CHANGED))
    assert first.functions["shop.app.view"] is not second.functions["shop.app.view"]
    call = next(s for s in first.calls if s.name == "fetch").node
    assert isinstance(call, ast.Call)
    assert first.resolve("shop/app.py", call.func) == "shop.io.fetch"
    assert second.resolve("shop/app.py", call.func) == "shop.io.fetch"


def test_what_is_derived_is_computed_once_for_each_program() -> None:
    made: list[Program] = []

    def derive(program: Program) -> int:
        made.append(program)
        return len(program.files)

    first, second = Program.load(SOURCES), Program.load(SOURCES)
    assert (first.derived(derive), first.derived(derive), second.derived(derive)) == (3, 3, 3)
    assert made == [first, second]


@pytest.mark.parametrize(
    ("fragment", "edit"),
    [
        pytest.param("", lambda text: text + b"\nEDITED = 1\n", id="a name more"),
        pytest.param("class ", lambda text: b"# moved down\n\n" + text, id="other positions"),
        pytest.param("return ", lambda text: text.replace(b"return ", b"return not "), id="values"),
        pytest.param("def ", lambda text: text.replace(b"def ", b"async def "), id="colours"),
        pytest.param("import ", lambda text: text.replace(b"import ", b"import gone."), id="names"),
        pytest.param("def ", lambda text: text + b"\ndef (\n", id="an error"),
    ],
)
def test_a_program_after_an_edit_is_what_it_would_be_alone(
    fragment: str, edit: Callable[[bytes], bytes], described: Callable[[Program], list[Any]]
) -> None:
    sources = read_sources(LEGACY)
    programs = Programs()
    programs.load(sources)
    paths = [p for p, data in sources.items() if p.endswith(".py") and fragment.encode() in data]
    path = paths[len(paths) // 2]
    changed = {**sources, path: edit(sources[path])}
    assert described(programs.load(changed)) == described(Program.load(changed)), path
