"""`benchmarks.programs`: what became of calls that blocked, and the page that tells it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from benchmarks.programs.entries import ENTRIES, chosen
from benchmarks.programs.fates import fates
from benchmarks.programs.setting_up import ROOT
from benchmarks.programs.tables import BEGIN, END, written_into

from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program import Program

BEFORE = """
import time
import requests

class Client:
    def __init__(self):
        self.session = requests.Session()

    def fetch(self):
        return self.session.get("http://localhost/")

    def resolved(self):
        time.sleep(1)
        return self.session.resolve_redirects(1, 2)

    def __del__(self):
        self.session.get("http://localhost/bye")

def left():
    time.sleep(1)

def seldom():
    time.sleep(2)
"""
AFTER = """
import anyio
import time
from bridgekit import async_to_sync, to_thread
from bridgekit.integrations import requests

class Client:
    def __init__(self):
        self.session = requests.Session()

    def fetch(self):
        return async_to_sync(self.fetch_async)()

    async def fetch_async(self):
        return await self.session.aio.get("http://localhost/")

    async def resolved(self):
        await anyio.sleep(1)
        return await to_thread.run_sync(lambda: time.sleep(1))

    def __del__(self):
        self.session.get("http://localhost/bye")

def left():
    time.sleep(1)

def seldom():
    time.sleep(2)

async def user():
    await to_thread.run_sync(left)
"""


def program(text: str) -> Program:
    return Program.load({"app.py": textwrap.dedent(text).encode()})


def test_every_call_that_blocked_has_one_fate_and_the_kept_a_reason() -> None:
    del_ = Finding(
        "app.py", 1, "BK303", "__del__ is called by the language", "", "app.Client.__del__"
    )
    found = fates(program(BEFORE), program(AFTER), [del_])
    assert (found.native, found.bridged, found.kept) == (2, 2, 2)
    assert found.total == 6
    assert dict(found.reasons) == {
        ("bridged", "the library has no async form of the call"): 1,
        ("bridged", "the function around it stays sync"): 1,
        ("kept", "BK303 __del__ is called by the language"): 1,
        ("kept", "async code does not reach it"): 1,
    }


def test_a_call_that_is_gone_from_a_sync_function_is_not_called_native() -> None:
    before = program("import time\ndef wait():\n    time.sleep(1)\n")
    found = fates(before, program("def wait():\n    pass\n"), [])
    assert (found.native, found.bridged, found.kept) == (0, 0, 1)


def test_programs_are_named_once_and_unknown_names_are_refused() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(names) == len(set(names))
    assert chosen(names[:1]) == ENTRIES[:1]
    with pytest.raises(ValueError, match="there is no program 'nothing'"):
        chosen(["nothing"])


def test_the_page_has_a_place_for_the_tables_and_tells_of_every_program() -> None:
    text = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    made = text[text.index(BEGIN) : text.index(END)]
    assert [f"### {entry.name}" for entry in ENTRIES if f"### {entry.name}\n" not in made] == []


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n", encoding="utf-8")
    written_into(page, "new")
    assert page.read_text(encoding="utf-8") == f"above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="does not have"):
        written_into(page, "new")
