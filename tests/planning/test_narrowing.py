"""A step that turned red is tried again in smaller ones, down to the smallest that is red."""

from __future__ import annotations

import pytest

from bridgekit_codemods.migration.runner import overlay
from bridgekit_codemods.walk.planner import build_planner

NAMES = "abcdefgh"
PROGRAM = {
    "app.py": (
        "import time\nfrom flask import Flask\n\napp = Flask(__name__)\n\n"
        + "".join(f"\ndef {name}():\n    time.sleep(1)\n\n" for name in NAMES)
        + "\n@app.get('/')\ndef show():\n"
        + "".join(f"    {name}()\n" for name in NAMES)
        + "    return ''\n"
    ).encode()
}
FAMILY = {
    "app.py": b"""\
import time
from flask import Flask

app = Flask(__name__)


class Base:
    def get(self):
        time.sleep(1)


class Other(Base):
    def get(self):
        time.sleep(2)


def use(base: Base):
    time.sleep(3)
    return base.get()


@app.get("/")
def show():
    use(Base())
    return ""
"""
}


def walk(
    program: dict[str, bytes], culprits: set[str], together: bool = False
) -> tuple[list[set[str]], frozenset[str], set[str]]:
    """All that was tried, what was kept back, and which functions became async, with a guard that
    is red for any of the culprits (or only for all of them at once)."""
    planner = build_planner(target="flask")
    sources, kept = dict(program), frozenset[str]()
    tried: list[set[str]] = []
    done: set[str] = set()
    while (step := planner.next_step(sources, kept)) is not None:
        members = {member.removeprefix("app.") for member in step.members}
        after = done | members
        red = culprits <= after if together else bool(culprits & after)
        if culprits and step.key.startswith("flip:"):
            tried.append(members)
        if red and step.key.startswith("flip:"):
            kept |= {step.key}
        else:
            sources = overlay(sources, step.changes)
            done |= members
    return tried, kept, done


@pytest.mark.parametrize("culprit", ["a", "d", "h"])
def test_one_culprit_is_found_by_halves_and_the_rest_goes_on(culprit: str) -> None:
    tried, kept, done = walk(PROGRAM, {culprit})
    assert f"flip:app.{culprit}" in kept
    assert done >= set(NAMES) - {culprit} | {"show"}
    assert culprit not in done
    lower = [members for members in tried if members <= set(NAMES)]
    assert [len(members) for members in lower[:2]] == [8, 4]
    assert len(lower) <= 1 + 2 * 3, "as many runs as it takes to halve eight functions three times"


def test_functions_that_are_red_only_together_lose_one() -> None:
    _, kept, done = walk(PROGRAM, {"b", "g"}, together=True)
    assert "flip:app.g" in kept
    assert done >= set(NAMES) - {"g"}


def test_several_culprits() -> None:
    _, kept, done = walk(PROGRAM, {"b", "c", "h"})
    assert {"flip:app.b", "flip:app.c", "flip:app.h"} <= kept
    assert done >= set("adefg") | {"show"}


def test_a_red_family_stays_sync_and_its_callers_go_on() -> None:
    _, kept, done = walk(FAMILY, {"Base.get"})
    assert "flip:app.Base.get,app.Other.get" in kept
    assert {"use", "show"} <= done
