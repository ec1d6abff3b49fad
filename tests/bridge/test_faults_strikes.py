"""An exception from outside that strikes the awaiting task at any line of a call to a thread.

What signal handlers and debuggers do, made repeatable: a trace function raises at the n-th line of
the package's code that the loop's thread runs. Whatever n is, the thread is set free, gets its
answers, and nothing is left waiting; the limiter gets its tokens back.
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import bridgekit
from bridgekit import CapacityLimiter, from_thread, sync_to_async, to_thread
from bridgekit.engine import work as work_module
from bridgekit.engine.workers import shared_pool

pytestmark = [
    pytest.mark.timeout(60),
    # Struck between the making of a coroutine and its await.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PACKAGE = Path(bridgekit.__file__).parent
# Not the delivery of letters, which is the loop's own business.
CALLERS = {
    str(PACKAGE / "adapters" / "to_thread.py"),
    str(PACKAGE / "adapters" / "calls.py"),
    str(PACKAGE / "engine" / "crossing.py"),
    str(PACKAGE / "engine" / "affinity.py"),
    str(PACKAGE / "engine" / "workers.py"),
    str(PACKAGE / "engine" / "wish.py"),
    work_module.__file__,
}

# Lines that a trace function can strike and a signal handler cannot: it is called only where
# bytecode calls, jumps back or begins.
SAFE = ("with ", "async with ", "try:", "else:", "work.on_end = [")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what is left be destroyed, and complained about, within the test."""
    yield
    gc.collect()


class Struck(BaseException):
    """From outside."""


class Strike:
    """Raise at the ``number``-th line of the callers' code in this thread."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.where = ""

    def __enter__(self) -> Strike:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._line if frame.f_code.co_filename in CALLERS else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith(SAFE):
            self.left -= 1
            if self.left == 0:
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                sys.settrace(None)
                raise Struck(self.where)
        return self._line


def options_of(kind: str, limiter: CapacityLimiter) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "abandon": {"abandon_on_cancel": True},
        "grace": {"cancel_grace": 0.01},
        "context": {"affinity": "context"},
        "limited": {"limiter": limiter},
    }
    return options[kind]


async def one_call(number: int, call: Callable[[Callable[[], Any]], Awaitable[Any]]) -> str:
    """Returns where it was struck; empty if the call was over before."""
    begun, ended = threading.Event(), threading.Event()

    async def coroutine() -> None:
        await asyncio.sleep(0)

    def work() -> str:
        begun.set()
        try:
            for _ in range(2):
                from_thread.run(coroutine)
        finally:
            ended.set()
        return "done"

    strike = Strike(number)

    async def struck() -> str:
        with strike:
            return await call(work)  # type: ignore[no-any-return]

    task = asyncio.ensure_future(_caught(struck()))
    outcome = await asyncio.wait_for(task, 20)
    assert outcome in ("done", "struck"), (strike.where, outcome)
    if outcome == "done":
        assert strike.left > 0 or strike.where
    loop = asyncio.get_running_loop()
    if begun.is_set():
        # No waiting on the loop's thread: the thread may need it for its next coroutine.
        free = await loop.run_in_executor(None, ended.wait, 10)
        assert free, f"struck at {strike.where}, the thread waits for ever"
    return strike.where


async def _caught(coroutine: Awaitable[str]) -> str:
    try:
        return await coroutine
    except Struck:
        return "struck"


@pytest.mark.parametrize("kind", ["plain", "abandon", "grace", "context", "limited"])
@pytest.mark.parametrize("form", ["run_sync", "sync_to_async"])
def test_a_strike_at_any_line_leaves_no_thread_waiting(form: str, kind: str) -> None:
    limiter = CapacityLimiter(1)
    options = options_of(kind, limiter)

    async def main() -> int:
        async def call(work: Callable[[], Any]) -> Any:
            if form == "run_sync":
                return await to_thread.run_sync(work, **options)
            return await wrapped(work)

        wrapped = sync_to_async(lambda work: work(), **options)
        number = 1
        while await one_call(number, call):
            number += 1
            assert number < 2000
            assert await asyncio.wait_for(to_thread.run_sync(int), 10) == 0
        return number

    struck = asyncio.run(main())
    assert struck > 20
    assert shared_pool().queued == 0
    deadline = time.monotonic() + 10
    while (pool := to_thread.statistics()).idle < pool.threads:
        assert time.monotonic() < deadline, "a worker is neither idle nor busy"
        time.sleep(0.001)
    if kind == "limited":
        # A token that was just being handed over when the strike came cannot be told from one that
        # was not: those lines apart, none is lost.
        assert limiter.borrowed_tokens == 0
