"""What own decorators do around a function belongs to the colour of its name."""

from __future__ import annotations

import textwrap

import pytest

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program import Program, call_sites

RETRY = """
import functools
import time
def retry(f):
    @functools.wraps(f)
    def inner(*args):
        time.sleep(1)
        return f(*args)
    return inner
"""
RETRY_WITH_ARGUMENTS = """
import functools
import time
def pause(): time.sleep(1)
def retry(times):
    def around(f):
        @functools.wraps(f)
        def inner(*args):
            for _ in range(times):
                pause()
            return f(*args)
        return inner
    return around
"""
RETRY_CLASS = """
import time
class retry:
    def __init__(self, f): self.f = f
    def __call__(self, *args):
        time.sleep(1)
        return self.f(*args)
"""
TRANSPARENT = """
import functools
import time
def retry(f):
    @functools.wraps(f)
    def inner(*args):
        return f(*args)
    return inner
@retry
def waits(): time.sleep(1)
"""
USER = """
@retry
def pure(): return 1
def user(): return pure()
"""


def _colours(*parts: str) -> Colours:
    text = "".join(map(textwrap.dedent, parts))
    return Program.load({"m.py": text.encode()}).derived(Colours)


@pytest.mark.parametrize(
    ("decorator", "use"),
    [
        (RETRY, USER),
        (RETRY_WITH_ARGUMENTS, USER.replace("@retry", "@retry(3)")),
        (RETRY_CLASS, USER),
    ],
)
def test_a_wrapper_that_waits_colours_the_callers(decorator: str, use: str) -> None:
    colours = _colours(decorator, use)
    functions = colours.program.functions
    assert colours.blocks(functions["m.user"]) == {"sleep"}
    assert colours.blocks(functions["m.pure"]) == {"sleep"}


def test_a_wrapper_that_only_calls_on_colours_nobody() -> None:
    colours = _colours(TRANSPARENT, USER)
    functions = colours.program.functions
    assert colours.blocks(functions["m.waits"]) == {"sleep"}
    assert colours.blocks(functions["m.user"]) == frozenset()
    assert colours.blocks(functions["m.pure"]) == frozenset()


def test_the_call_is_said_to_enter_the_wrapper() -> None:
    program = _colours(RETRY, USER).program
    (site,) = [s for s in call_sites(program) if s["name"] == "pure"]
    assert [(t["function"], t["confidence"]) for t in site["targets"]] == [
        ("m.pure", "exact"),
        ("m.retry.<locals>.inner", "exact"),
    ]
