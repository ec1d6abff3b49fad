"""The store keeps values under what they follow from, and is never a reason to fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.cache import keys, store
from bridgekit_codemods.cache.keys import options_key, program_key
from bridgekit_codemods.cache.store import PLACE, Store
from bridgekit_codemods.catalog.store import Extension

KEY = "a" * 64
VALUE = {"lines": [1, 2], "name": "caf\xe9 \udc80", "none": None}
SOURCES = {"a.py": b"x = 1\n", "b.py": b"y = 2\n", "t/page.html": b"{{ x }}"}


def same(value: Any) -> Any:
    return value


def files(root: Path) -> list[Path]:
    return sorted((root / PLACE).glob("*.json"))


def test_a_value_comes_back_for_the_same_kind_and_key_only(tmp_path: Path) -> None:
    Store(tmp_path, KEY).put("survey", VALUE)
    assert Store(tmp_path, KEY).get("survey", same) == VALUE
    assert Store(tmp_path, KEY).get("tree", same) is None
    assert Store(tmp_path, "b" * 64).get("survey", same) is None


def test_git_sees_nothing_of_it(tmp_path: Path) -> None:
    Store(tmp_path, KEY).put("survey", VALUE)
    assert (tmp_path / PLACE / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"[1,2]", b"[1,3]"),
        lambda data: data.replace(b"survey", b"report"),
        lambda data: data.replace(b"cache 1", b"cache 0"),
        lambda data: b"\x80\x04K\x01.",
        lambda data: data + b" ",
    ],
)
def test_what_is_damaged_is_told_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    kept = Store(tmp_path, KEY)
    kept.put("survey", VALUE)
    (file,) = files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    assert kept.get("survey", same) is None
    assert len(caplog.records) == 1
    assert str(file) in caplog.text
    kept.put("survey", VALUE)
    assert kept.get("survey", same) == VALUE


def test_what_belongs_to_another_program_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Store(tmp_path, KEY).put("survey", VALUE)
    (file,) = files(tmp_path)
    file.rename(file.with_name(file.name.replace("a" * 32, "b" * 32)))
    assert Store(tmp_path, "b" * 64).get("survey", same) is None
    assert len(caplog.records) == 1


def test_a_value_of_another_form_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Store(tmp_path, KEY)
    kept.put("survey", VALUE)
    assert kept.get("survey", lambda value: value["nothing"]) is None
    assert len(caplog.records) == 1


def test_the_place_may_be_taken_or_not_writable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".bridgekit").write_text("a file\n")
    kept = Store(tmp_path, KEY)
    kept.put("survey", VALUE)
    assert kept.get("survey", same) is None
    assert (tmp_path / ".bridgekit").read_text() == "a file\n"
    assert caplog.records == []


@pytest.mark.parametrize("link", [".bridgekit", PLACE])
def test_nothing_is_written_or_read_behind_a_link(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside, target_is_directory=True)
    kept = Store(root, KEY)
    kept.put("survey", VALUE)
    assert kept.get("survey", same) is None
    assert list(outside.rglob("*")) == []
    assert len(caplog.records) == 1


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    kept = Store(tmp_path, KEY)
    kept.put("survey", VALUE)
    monkeypatch.setattr(os, "replace", full)
    kept.put("tree", VALUE)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / PLACE).iterdir() if path.name[0] == "."] == [
        ".gitignore"
    ]
    assert kept.get("survey", same) == VALUE


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    (tmp_path / PLACE).mkdir(parents=True)
    own = tmp_path / PLACE / "notes.txt"
    own.write_text("the user's own")
    for number in range(store.MOST_FILES):
        Store(tmp_path, f"{number:064x}"[::-1]).put("survey", number)
        (newest,) = (f for f in files(tmp_path) if f.read_bytes().endswith(b"\n%d" % number))
        os.utime(newest, ns=(number, number))
    first = Store(tmp_path, f"{0:064x}"[::-1])
    assert first.get("survey", same) == 0  # which makes it the latest
    Store(tmp_path, KEY).put("survey", VALUE)
    assert len(files(tmp_path)) == store.MOST_FILES
    assert first.get("survey", same) == 0
    assert Store(tmp_path, f"{1:064x}"[::-1]).get("survey", same) is None
    assert own.exists()


def test_the_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 4000)
    monkeypatch.setattr(store, "_LARGEST", 1000)
    for number in range(20):
        Store(tmp_path, f"{number:064x}"[::-1]).put("survey", "x" * 900)
    assert 0 < sum(f.stat().st_size for f in files(tmp_path)) <= 4000
    before = files(tmp_path)
    Store(tmp_path, KEY).put("survey", "x" * 1001)
    assert files(tmp_path) == before


def test_the_key_changes_with_all_that_a_result_follows_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addition = Extension("acme", {"blocks": [{"name": "get"}]}, "pyproject.toml")
    others = [
        program_key({**SOURCES, "a.py": b"x = 2\n"}, ()),
        program_key({**SOURCES, "c.py": b""}, ()),
        program_key({k: v for k, v in SOURCES.items() if k != "b.py"}, ()),
        program_key({("z.py" if k == "b.py" else k): v for k, v in SOURCES.items()}, ()),
        program_key({"a.py": SOURCES["b.py"], "b.py": SOURCES["a.py"]}, ()),
        program_key({**SOURCES, "t/page.html": b"{{ y }}"}, ()),
        program_key(SOURCES, [addition]),
        program_key(SOURCES, [addition, addition]),
        program_key(SOURCES, [addition._replace(table={"blocks": [{"name": "put"}]})]),
    ]
    same_again = program_key(dict(reversed(SOURCES.items())), ())
    assert same_again == program_key(SOURCES, ())
    with monkeypatch.context() as patched:
        patched.setattr(keys.sys, "version", "3.99.0")
        others.append(program_key(SOURCES, ()))
    with monkeypatch.context() as patched:
        patched.setattr(keys, "tool_key", lambda: "another tool")
        others.append(program_key(SOURCES, ()))
    assert len({same_again, *others}) == len(others) + 1


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert program_key({"a.py": b"1:b"}, ()) != program_key({"a.py1": b":b"}, ())
    assert options_key("a", ["b"]) != options_key(["a"], "b")


def test_the_key_of_the_tool_holds_its_code_and_its_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "rule.py").write_text("x = 1\n")
    (tmp_path / "catalog" / "requests.toml").write_text("a = 1\n")
    monkeypatch.setattr(keys.resources, "files", lambda package: tmp_path)
    found = [keys.tool_key.__wrapped__()]
    for name in ("rule.py", "catalog/requests.toml"):
        (tmp_path / name).write_text("a = 2\n")
        found.append(keys.tool_key.__wrapped__())
    (tmp_path / "rule.pyc").write_bytes(b"compiled")
    assert len(set(found)) == 3
    assert keys.tool_key.__wrapped__() == found[-1]
