"""The bridge beside its peers: what a call costs, as a ratio of what the peer's call costs.

Run: python benchmarks/bridge.py [--quick] [--only TEXT] [--json FILE] [--markdown]

Everything runs in one process that is pinned to one processor, because a thread that happens to be
woken on another one costs ten times as much, for every library, and would decide the comparison.
Rows are taken in random order, a row and its peer in turns, in many short rounds, and the ratio of
each round is kept: load from elsewhere strikes both. A row holds if the median of its ratios is at
most its target.

The rows are in the ``bridge_rows_*`` modules beside this file: each has ``ROWS``.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import os
import platform
import random
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOMS = (
    "bridge_rows_threads",
    "bridge_rows_portal",
    "bridge_rows_iterators",
    "bridge_rows_processes",
)
ROUNDS = 25
QUICK_ROUNDS = 7
SLOW_ROUNDS = 5  # of rows that start processes


def load_rows(only: str = "") -> list[Any]:
    """The rows of all rooms whose name contains a text."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        rooms = [importlib.import_module(name) for name in ROOMS]
    finally:
        sys.path.pop(0)
    return [row for room in rooms for row in room.ROWS if only in row.name]


def pin() -> bool:
    """Keep the process on one processor, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return True


class Stage:
    """Where measures run: in a task of a stock loop or of uvloop, or in no loop at all."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._runners: dict[str, asyncio.Runner] = {}

    def seconds(self, row: Any, measure: Callable[[], Any]) -> float:
        """The seconds that one operation takes, by the measure's own account."""
        if not inspect.iscoroutinefunction(measure):
            return float(measure())
        return float(self._runner(getattr(row, "loop", "asyncio")).run(measure()))

    def _runner(self, kind: str) -> asyncio.Runner:
        if kind not in self._runners:
            factory = importlib.import_module("uvloop").new_event_loop if kind == "uvloop" else None
            self._runners[kind] = self._stack.enter_context(asyncio.Runner(loop_factory=factory))
        return self._runners[kind]


def measure(rows: list[Any], rounds: int) -> list[dict[str, Any]]:
    """Every row's ratios over the rounds, summarized."""
    ours: dict[str, list[float]] = {row.name: [] for row in rows}
    peers: dict[str, list[float]] = {row.name: [] for row in rows}
    with ExitStack() as stack:
        stage = Stage(stack)
        for number in range(rounds + 1):
            for row in random.sample(rows, len(rows)):
                if getattr(row, "slow", False) and number > SLOW_ROUNDS:
                    continue
                sides = [(row.ours, ours), (row.peer, peers)]
                for side, times in random.sample(sides, 2):
                    seconds = stage.seconds(row, side)
                    if number:  # the first round starts threads and loops
                        times[row.name].append(seconds)
    return [summary(row, ours[row.name], peers[row.name]) for row in rows]


def summary(row: Any, ours: list[float], peers: list[float]) -> dict[str, Any]:
    """One line of the result."""
    ratios = sorted(a / b for a, b in zip(ours, peers, strict=True))
    median = statistics.median(ratios)
    return {
        "name": row.name,
        "unit": getattr(row, "unit", "us"),
        "ours": statistics.median(ours),
        "peer": statistics.median(peers),
        "ratio": median,
        "p10": ratios[len(ratios) // 10],
        "target": row.target,
        "met": row.target is None or median <= row.target,
    }


SCALES = {"us": (1e6, "us"), "ms": (1e3, "ms"), "MiB": (1 / 2**20, "MiB")}


def amount(value: float, unit: str) -> str:
    """A measured value for people."""
    factor, name = SCALES[unit]
    return f"{value * factor:.3g} {name}"


def table(results: list[dict[str, Any]]) -> str:
    """The results in aligned columns."""
    lines = [f"{'measure':72} {'ratio':>7} {'p10':>7} {'target':>7}  {'ours':>10} {'peer':>10}"]
    for line in results:
        target = "" if line["target"] is None else f"{line['target']:g}"
        lines.append(
            f"{line['name']:72} {line['ratio']:7.3f} {line['p10']:7.3f} {target:>7}  "
            f"{amount(line['ours'], line['unit']):>10} {amount(line['peer'], line['unit']):>10}"
            + ("" if line["met"] else "  MISSED")
        )
    return "\n".join(lines)


def markdown(results: list[dict[str, Any]]) -> str:
    """The results as a table for the documentation."""
    lines = ["| measure | ratio | p10 | at most | ours | peer |", "|---|---|---|---|---|---|"]
    for line in results:
        target = "" if line["target"] is None else f"{line['target']:g}"
        lines.append(
            f"| {line['name']} | {line['ratio']:.3f} | {line['p10']:.3f} | {target} | "
            f"{amount(line['ours'], line['unit'])} | {amount(line['peer'], line['unit'])} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="the bridge beside its peers")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    rows = load_rows(options.only)
    pinned = pin()
    results = measure(rows, rounds)
    print(markdown(results) if options.markdown else table(results))
    if options.json:
        record = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "pinned": pinned,
            "rounds": rounds,
            "results": results,
        }
        Path(options.json).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if all(line["met"] for line in results) else 1


if __name__ == "__main__":
    sys.exit(main())
