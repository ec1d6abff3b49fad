"""A file that means something else by a name which a rewrite would import keeps its functions."""

from __future__ import annotations

import pytest
from tests.codemods.stdlib.conftest import flipped


@pytest.mark.parametrize(
    ("taken", "body"),
    [
        ("def other(anyio):\n    return anyio", "time.sleep(0)"),
        ("from asyncio import to_thread", "time.sleep(0)\n    input()"),
        ("from anyio import to_thread", "time.sleep(0)\n    input()"),
        ("def async_to_sync(f):\n    return f", "time.sleep(0)"),
        ("import anyio.from_thread as anyio", "time.sleep(0)"),
        ("for to_thread in ():\n    pass", "time.sleep(0)\n    input()"),
    ],
)
def test_it_is_refused(taken: str, body: str) -> None:
    source = f"import time\n{taken}\n\n\ndef top():\n    {body}\n"
    text, findings = flipped(source)
    assert text == source
    assert [f.code for f in findings if f.function == "service.top"] == ["BK330"]


@pytest.mark.parametrize(
    "own",
    [
        "import anyio",
        "import anyio.to_thread",
        "from bridgekit import async_to_sync, to_thread",
        "from asyncio import to_thread as in_thread",
    ],
)
def test_the_same_name_for_the_same_thing_is_used(own: str) -> None:
    text, _ = flipped(f"import time\n{own}\n\n\ndef top():\n    time.sleep(0)\n    input()\n")
    assert "await anyio.sleep(0)\n    await to_thread.run_sync(input)" in text
