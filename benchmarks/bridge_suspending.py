"""What suspending a call stack on the loop's thread costs, beside SQLAlchemy's and greenback's way.

Everything happens in one thread, so its CPU time is measured: what else the machine does is left
out. The ways take turns; the ratio of each round is kept. greenback has a row if it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sqlalchemy.util import await_only, greenlet_spawn

from bridgekit import async_to_sync
from bridgekit.adapters import suspending

CALLS = 500

Spawn = Callable[..., Awaitable[Any]]
Wait = Callable[[], Any]
Way = tuple[Spawn, Wait, Wait]


async def at_once() -> None:
    """A coroutine that need not wait."""


async def one_turn() -> None:
    """A coroutine that waits for the loop to turn once."""
    await asyncio.sleep(0)


def nothing() -> None:
    pass


def waits(wait: Wait, times: int) -> None:
    for _ in range(times):
        wait()


async def enter(way: Way) -> None:
    spawn = way[0]
    for _ in range(CALLS):
        await spawn(nothing)


async def coroutine_at_once(way: Way) -> None:
    spawn, at_once_wait, _ = way
    await spawn(waits, at_once_wait, CALLS)


async def coroutine_that_waits(way: Way) -> None:
    spawn, _, turn_wait = way
    await spawn(waits, turn_wait, CALLS)


async def enter_and_wait_once(way: Way) -> None:
    spawn, _, turn_wait = way
    for _ in range(CALLS):
        await spawn(waits, turn_wait, 1)


ROWS: dict[str, Callable[[Way], Coroutine[Any, Any, None]]] = {
    "enter a stack that never waits": enter,
    "await, in a stack, what need not wait": coroutine_at_once,
    "await, in a stack, what waits once": coroutine_that_waits,
    "enter a stack that waits once": enter_and_wait_once,
}


def ways() -> dict[str, Way]:
    """The ways by name, this package's first."""
    found: dict[str, Way] = {
        "bridgekit": (suspending.run_sync, async_to_sync(at_once), async_to_sync(one_turn)),
        "SQLAlchemy": (
            greenlet_spawn,
            lambda: await_only(at_once()),
            lambda: await_only(one_turn()),
        ),
    }
    try:
        greenback: Any = importlib.import_module("greenback")
    except ModuleNotFoundError:
        return found
    found["greenback"] = (
        greenback.with_portal_run_sync,
        lambda: greenback.await_(at_once()),
        lambda: greenback.await_(one_turn()),
    )
    return found


async def seconds_for(row: Callable[[Way], Awaitable[None]], way: Way) -> float:
    start = time.thread_time()
    await row(way)
    return (time.thread_time() - start) / CALLS


async def measure(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """By row and way: microseconds, and the ratio of ours to it (medians over the rounds)."""
    them = ways()
    times: dict[str, dict[str, list[float]]] = {row: {way: [] for way in them} for row in ROWS}
    for number in range(rounds + 1):
        for row in random.sample(list(ROWS), len(ROWS)):
            for name in random.sample(list(them), len(them)):
                elapsed = await seconds_for(ROWS[row], them[name])
                if number:
                    times[row][name].append(elapsed)
    return {
        row: {
            name: {
                "microseconds": statistics.median(taken) * 1e6,
                "ratio": statistics.median(
                    ours / theirs for ours, theirs in zip(by_way["bridgekit"], taken, strict=True)
                ),
            }
            for name, taken in by_way.items()
        }
        for row, by_way in times.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="write the figures as JSON")
    options = parser.parse_args()
    result = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    for row, by_way in result.items():
        print(row)
        for name, figures in by_way.items():
            print(f"  {name:12} {figures['microseconds']:7.2f} us   ratio {figures['ratio']:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
