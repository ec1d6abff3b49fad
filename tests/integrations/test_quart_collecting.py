"""The garbage collector while an application serves: rarer, and as before at the end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from bridgekit.integrations.quart import Quart
from bridgekit.integrations.quart_collecting import YOUNG, collecting_seldom

DEFAULT = (700, 10, 10)


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*DEFAULT)
    gc.unfreeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
        gc.set_threshold(*before)


async def thresholds_while_serving(app: Quart) -> tuple[int, int, int]:
    """Go through the lifespan of a server; the thresholds between its two ends."""
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    server = asyncio.create_task(app({"type": "lifespan"}, received.get, sent.put))  # type: ignore[arg-type]
    await received.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    found = gc.get_threshold()
    await received.put({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await server
    return found


@pytest.mark.asyncio
async def test_a_served_application_collects_seldom_and_leaves_things_as_they_were() -> None:
    assert await thresholds_while_serving(Quart("served")) == (YOUNG, *DEFAULT[1:])
    assert gc.get_threshold() == DEFAULT
    assert gc.get_freeze_count() == 0


@pytest.mark.asyncio
async def test_the_configuration_can_leave_the_collector_alone() -> None:
    app = Quart("served")
    app.config["BRIDGEKIT_COLLECT_SELDOM"] = False
    assert await thresholds_while_serving(app) == DEFAULT


def test_what_was_there_before_is_left_out_of_collections() -> None:
    with collecting_seldom():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(("first", "young"), [("pass", YOUNG), ("gc.freeze()", None)])
def test_a_fresh_interpreter(first: str, young: int | None) -> None:
    """CPython 3.12 begins with frozen objects, which are not the program's choice."""
    program = textwrap.dedent(
        f"""
        import gc
        {first}
        from bridgekit.integrations.quart_collecting import collecting_seldom
        before = gc.get_threshold()
        with collecting_seldom():
            assert gc.get_threshold()[0] == {young or "before[0]"}
        assert gc.get_threshold() == before
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_garbage_of_before_is_not_kept() -> None:
    class Node:
        gone = False
        link: Node

        def __del__(self) -> None:
            Node.gone = True

    node = Node()
    node.link = node
    del node
    with collecting_seldom():
        assert Node.gone


def test_thresholds_of_the_program_stay() -> None:
    gc.set_threshold(1234, 5, 6)
    with collecting_seldom():
        assert gc.get_threshold() == (1234, 5, 6)
        assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == (1234, 5, 6)


def test_thresholds_set_meanwhile_stay() -> None:
    with collecting_seldom():
        gc.set_threshold(1234, 5, 6)
    assert gc.get_threshold() == (1234, 5, 6)


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with collecting_seldom():
        assert not gc.isenabled()
        assert gc.get_threshold() == DEFAULT


def test_objects_that_the_program_froze_stay_frozen() -> None:
    gc.freeze()
    with collecting_seldom():
        assert gc.get_threshold() == DEFAULT
    assert gc.get_freeze_count() > 0


def test_the_last_of_several_blocks_ends_it() -> None:
    first, second = collecting_seldom(), collecting_seldom()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == YOUNG
    second.__exit__(None, None, None)
    assert gc.get_threshold() == DEFAULT
