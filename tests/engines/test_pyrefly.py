"""Reading pyrefly's report, from reports in its form that are written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.engines import Answer, pyrefly
from bridgekit_codemods.tracing.record import Definition, Place

SOURCE = b"""\
class Shop:
    def buy(self): ...
    def __init__(self): ...

def total(): ...

"\xc3\xa9"; shop.buy()
"""
CALL = "7:7-7:17"
"""`shop.buy()`, whose columns count bytes from 1."""
HERE = Place("shop.py", 7, 6, 7, 16)
BUY = Definition("shop.py", 2, "buy")
INIT = Definition("shop.py", 3, "__init__")
TOTAL = Definition("shop.py", 5, "total")


def target(function: int, **more: Any) -> dict[str, Any]:
    """Function number 0, 1 or 2 of the program, or 9 of a library."""
    module = 2 if function == 9 else 1
    found = {"module_id": module, "module_name": "?", "function_id": f"F:{function}"}
    return {"target": {"Function": found}, **more}


SHOP = {"receiver_class": {"module_id": 1, "class_id": 0}, "implicit_receiver": "True"}


def report(
    out: Path,
    root: Path,
    call: dict[str, Any],
    *,
    version: int = 1,
    exhaustive: bool | None = True,
    span: str = CALL,
) -> None:
    """A report about one module of the program and one of a library, with one call."""
    modules = {
        "1": {"module_id": 1, "source_path": {"FileSystem": str(root / "shop.py")},
              "info_filename": "shop:1.json"},
        "2": {"module_id": 2, "source_path": {"BundledTypeshed": "os.pyi"},
              "info_filename": "os:2.json"},
    }  # fmt: skip
    places = {"F:0": "2:9-2:12", "F:1": "3:9-3:17", "F:2": "5:5-5:10"}
    names = {"F:0": "buy", "F:1": "__init__", "F:2": "total"}
    parts: dict[str, dict[str, Any]] = {
        "definitions": {
            "function_definitions": {
                key: {"name": names[key], "name_location": place} for key, place in places.items()
            }
            | {"F:5": {"name": "made_up"}},
        },
        "call_graphs": {"call_graphs": {"MTL": {span: {"Call": call}}}},
        "type_of_expressions": {
            "functions": {
                "MTL": {
                    "type_table": [{"class_names": {"is_exhaustive": exhaustive}}],
                    "locations": {"7:7-7:11": 0},
                }
            }
        },
    }
    out.mkdir()
    (out / pyrefly.INDEX).write_text(json.dumps({"format_version": version, "modules": modules}))
    for kind, part in parts.items():
        (out / kind).mkdir()
        (out / kind / "shop:1.json").write_text(json.dumps({"format_version": 1, **part}))


def read(tmp_path: Path, call: dict[str, Any], **more: Any) -> dict[Place, Answer]:
    root = tmp_path / "root"
    report(tmp_path / "out", root, call, **more)
    return pyrefly.read(tmp_path / "out", root, {"shop.py": SOURCE}).calls


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ({"call_targets": [target(0, **SHOP)]}, Answer(frozenset({BUY}))),
        ({"call_targets": [target(2)]}, Answer(frozenset({TOTAL}))),
        (
            {"init_targets": [target(1, **SHOP)],
             "new_targets": [target(9, is_static_method=True)]},
            Answer(frozenset({INIT}), elsewhere=True),
        ),
        ({"call_targets": [target(9, **SHOP)]}, Answer(frozenset(), elsewhere=True)),
    ],
    ids=["a method", "a function", "a class", "a library"],
)  # fmt: skip
def test_what_a_call_reaches(tmp_path: Path, call: dict[str, Any], answer: Answer) -> None:
    assert read(tmp_path, call) == {HERE: answer}


@pytest.mark.parametrize(
    "call",
    [
        {"unresolved": {"True": "UnexpectedPyreflyTarget"}},
        {"call_targets": [target(0, **SHOP)], "unresolved": {"True": "any reason"}},
        {"call_targets": [target(5)]},
        {"call_targets": [target(7)]},
        {},
    ],
    ids=["unknown", "partly unknown", "made up", "not defined", "empty"],
)
def test_what_is_not_known_or_not_known_to_be_all_is_no_answer(
    tmp_path: Path, call: dict[str, Any]
) -> None:
    assert read(tmp_path, call) == {}


@pytest.mark.parametrize(("exhaustive", "known"), [(True, 1), (False, 0), (None, 0)])
def test_of_several_receivers_all_must_be_known(
    tmp_path: Path, exhaustive: bool | None, known: int
) -> None:
    """Of `Shop | Any`, the report names the method of `Shop`, without a class of the receiver."""
    call = {"call_targets": [target(0, implicit_receiver="True")]}
    assert len(read(tmp_path, call, exhaustive=exhaustive)) == known


def test_what_is_no_call_expression_is_left_out(tmp_path: Path) -> None:
    call = {"call_targets": [target(2)]}
    assert read(tmp_path, call, span=f"{CALL}|artificial-call|with-enter") == {}


def test_another_version_of_the_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pyrefly.FormatError, match="format_version is 2"):
        read(tmp_path, {}, version=2)


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pyrefly.FormatError, match="KeyError"):
        read(tmp_path, {"call_targets": [{"target": {"Function": {}}}]})
    (tmp_path / "out" / "definitions" / "shop:1.json").unlink()
    with pytest.raises(pyrefly.FormatError, match="FileNotFoundError"):
        pyrefly.read(tmp_path / "out", tmp_path / "root", {"shop.py": SOURCE})
