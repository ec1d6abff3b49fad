"""The static check: what a green test run may hide must have a message."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.planning.verify import blocked_loops, lost_coroutines, verify_program
from bridgekit_codemods.program.program import Program

LIB = """\
    import time


    async def fetch():
        return 1


    def wait():
        time.sleep(1)


    def pieces():
        time.sleep(1)
        yield 1
"""


def load(body: str) -> Program:
    return Program.load({"lib.py": dedent(LIB).encode(), "use.py": dedent(body).encode()})


@pytest.mark.parametrize(
    "body",
    [
        "from lib import fetch\n\n\ndef f():\n    return str(fetch())\n",
        "from lib import fetch\n\n\nasync def f():\n    if fetch():\n        return 1\n",
        "from lib import fetch\n\n\nasync def f():\n    x = fetch()\n    return x.real\n",
        "from lib import fetch\n\n\nasync def f():\n    return fetch()\n",
        "from lib import fetch\n\n\ndef f():\n    return [fetch() for _ in 'ab']\n",
    ],
)
def test_a_coroutine_that_nobody_awaits_is_reported(body: str) -> None:
    (message,) = lost_coroutines(load(body))
    assert message.startswith("use.py:")
    assert "fetch(...) is never awaited" in message


@pytest.mark.parametrize(
    "body",
    [
        "from lib import fetch\n\n\nasync def f():\n    return await fetch()\n",
        "from bridgekit import async_to_sync\nfrom lib import fetch\n\n\n"
        "def f():\n    return async_to_sync(fetch)()\n",
        "import asyncio\nfrom lib import fetch\n\n\n"
        "async def f():\n    return await asyncio.gather(fetch(), fetch())\n",
        "from lib import fetch\n\n\ndef f():\n    return fetch()\n",
    ],
)
def test_a_coroutine_that_is_taken_care_of_is_not(body: str) -> None:
    assert list(lost_coroutines(load(body))) == []


@pytest.mark.parametrize(
    ("body", "blocked"),
    [
        ("import time\n\n\nasync def f():\n    time.sleep(1)\n", "time.sleep"),
        ("import os\n\n\nasync def f():\n    os.remove('x')\n", "os.remove"),
        ("from lib import wait\n\n\nasync def f():\n    wait()\n", "wait"),
        ("from lib import pieces\n\n\nasync def f():\n    for x in pieces():\n        print(x)\n",
         "pieces"),
        ("import lib\n\n\nasync def f():\n    return sorted('ab', key=lambda _: lib.wait())\n",
         "wait"),
    ],
)  # fmt: skip
def test_a_blocking_call_on_the_loop_is_reported(body: str, blocked: str) -> None:
    messages = list(blocked_loops(load(body)))
    assert len(messages) == 1
    assert "use.f blocks the loop" in messages[0]


@pytest.mark.parametrize(
    "body",
    [
        "from bridgekit import to_thread\nfrom lib import wait\n\n\n"
        "async def f():\n    await to_thread.run_sync(wait)\n",
        "from bridgekit import to_thread\nimport lib\n\n\n"
        "async def f():\n    await to_thread.run_sync(lambda: lib.wait())\n",
        "import anyio\n\n\nasync def f():\n    await anyio.sleep(1)\n",
        "from lib import pieces\n\n\nasync def f():\n    return pieces()\n",
        "from lib import wait\n\n\ndef f():\n    wait()\n",
    ],
)
def test_a_bridged_call_is_not(body: str) -> None:
    assert list(blocked_loops(load(body))) == []


def test_blocking_calls_count_only_in_what_the_step_changed() -> None:
    program = load(
        "import time\n\n\nasync def f():\n    time.sleep(1)\n\n\nasync def g():\n    pass\n"
    )
    assert verify_program(program, frozenset({"use.g"})) == ()
    assert len(verify_program(program, frozenset({"use.f"}))) == 1


def test_a_file_that_does_not_parse_is_reported() -> None:
    (message,) = verify_program(Program.load({"a.py": b"def f(:\n"}), frozenset())
    assert message.startswith("a.py:1: ")
