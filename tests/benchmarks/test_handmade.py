"""`benchmarks.handmade`: what is predicted, held against what people did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.handmade.compare import compare

from bridgekit_codemods.planning.scope import build_scope
from bridgekit_codemods.program import Program

ROOT = Path(__file__).resolve().parents[2]
BEFORE = """
import time
import requests
from fastapi import FastAPI

app = FastAPI()

class Client:
    def __init__(self):
        self.session = requests.Session()
        self.load()

    def load(self):
        return self.session.get("http://localhost/").json()

    def each(self, names):
        for name in names:
            yield self.load()

    def wait(self):
        time.sleep(1)

def report(client: Client):
    def one():
        return client.load()
    return one()

def total(values):
    return sum(values)

@app.get("/health")
def health():
    return "ok"

def left(client: Client):
    return client.load()

def gone(client: Client):
    return client.load()
"""
AFTER = """
class Client:
    def __init__(self): ...
    async def load(self): ...
    async def each(self, names): ...
    def wait(self): ...

async def report(client):
    async def one(): ...

async def total(values): ...

async def health(): ...

def left(client): ...
"""


def program(text: str) -> Program:
    return Program.load({"shop/client.py": text.encode(), "tests/test_it.py": b"def load(): ...\n"})


def test_what_people_made_async_is_held_against_the_colours() -> None:
    result = compare(program(BEFORE), program(AFTER), build_scope(["http"], ["*"]), ("shop/",))
    names = {name for _, name in result.should.functions}
    assert names == {
        "Client.load", "Client.each", "report", "report.<locals>.one", "health", "left",
    }  # fmt: skip
    assert (result.sync, result.gone) == (9, 1)
    assert [judged.key[1] for judged in result.missed] == ["total"]
    assert [judged.key[1] for judged in result.wrong] == ["left"]
    assert result.should.precision == pytest.approx(5 / 6)
    assert result.should.recall == pytest.approx(5 / 6)
    # a constructor is never predicted, nor what waits for something else alone
    assert result.wrong[0].waits_for == ("http",)
    assert result.walked.functions < result.should.functions


def test_revisions_of_a_repository_are_compared(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, timeout=60)

    git("init", "-q")
    for tag, text in (("before", BEFORE), ("after", AFTER)):
        (tmp_path / "client.py").write_text(text, encoding="utf-8")
        git("add", "client.py")
        git("commit", "-q", "-m", tag)
        git("tag", tag)
    command = [
        sys.executable, "-m", "benchmarks.handmade", "--repository", str(tmp_path),
        "--only", "http", "--differences",
    ]  # fmt: skip
    done = subprocess.run(
        [*command, "before", "after"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    assert "| colour | 6 | 6 | 5 | 83.3 % | 83.3 % |" in done.stdout
    assert "client.py:35 left, waits for http" in done.stdout
    wrong = subprocess.run(
        [*command, "before", "never"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "never" in wrong.stderr
