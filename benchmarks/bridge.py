"""The bridge beside its peers: what a call costs, as a ratio of what the peer's call costs.

Run: python benchmarks/bridge.py [--quick] [--only TEXT] [--json FILE] [--markdown]

Everything runs in one process that is pinned to one processor, because a thread that happens to be
woken on another one costs ten times as much, for every library, and would decide the comparison.
Rows are taken in random order, a row and its peer in turns, in many short rounds. Three ratios are
reported: the median of the rounds' ratios; the quiet one, of the tenth percentiles of both sides,
which are the rounds that load from elsewhere has least disturbed; and that of the process's CPU
time. A row holds if its quiet ratio is at most its target, because load only adds to both sides.

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
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from operator import truediv
from pathlib import Path
from typing import Any

ROOMS = (
    "bridge_rows_threads",
    "bridge_rows_portal",
    "bridge_rows_iterators",
    "bridge_rows_processes",
    "bridge_rows_suspending",
)
Sample = tuple[float, float]  # by the clock, by the processor

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
        """What one operation takes, by the measure's own account."""
        if not inspect.iscoroutinefunction(measure):
            return float(measure())
        return float(self._runner(getattr(row, "loop", "asyncio")).run(measure()))

    def sample(self, row: Any, measure: Callable[[], Any]) -> Sample:
        """The same, with the CPU time for it."""
        wall, cpu = time.perf_counter(), time.process_time()
        value = self.seconds(row, measure)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return value, value * cpu / wall

    def _runner(self, kind: str) -> asyncio.Runner:
        if kind not in self._runners:
            factory = importlib.import_module("uvloop").new_event_loop if kind == "uvloop" else None
            self._runners[kind] = self._stack.enter_context(asyncio.Runner(loop_factory=factory))
        return self._runners[kind]


def measure(rows: list[Any], rounds: int) -> list[dict[str, Any]]:
    """Every row's ratios over the rounds, summarized."""
    ours: dict[str, list[Sample]] = {row.name: [] for row in rows}
    peers: dict[str, list[Sample]] = {row.name: [] for row in rows}
    with ExitStack() as stack:
        stage = Stage(stack)
        for number in range(rounds + 1):
            for row in random.sample(rows, len(rows)):
                if getattr(row, "slow", False) and number > SLOW_ROUNDS:
                    continue
                sides = [(row.ours, ours), (row.peer, peers)]
                for side, times in random.sample(sides, 2):
                    sample = stage.sample(row, side)
                    if number:  # the first round starts threads and loops
                        times[row.name].append(sample)
    return [summary(row, ours[row.name], peers[row.name]) for row in rows]


def summary(row: Any, ours: list[Sample], peers: list[Sample]) -> dict[str, Any]:
    """One line of the result."""
    (our_values, our_cpu), (peer_values, peer_cpu) = (
        zip(*ours, strict=True),
        zip(*peers, strict=True),
    )
    quiet = tenth(our_values) / tenth(peer_values)
    return {
        "name": row.name,
        "unit": getattr(row, "unit", "us"),
        "ours": tenth(our_values),
        "peer": tenth(peer_values),
        "ratio": statistics.median(map(truediv, our_values, peer_values)),
        "quiet": quiet,
        "cpu": None
        if getattr(row, "slow", False)
        else statistics.median(map(truediv, our_cpu, peer_cpu)),
        "target": row.target,
        "met": row.target is None or quiet <= row.target,
    }


def tenth(values: Sequence[float]) -> float:
    """The tenth percentile."""
    return sorted(values)[len(values) // 10]


SCALES = {"us": (1e6, "us"), "ms": (1e3, "ms"), "MiB": (1 / 2**20, "MiB")}


def amount(value: float, unit: str) -> str:
    """A measured value for people."""
    factor, name = SCALES[unit]
    return f"{value * factor:.3g} {name}"


def cells(line: dict[str, Any]) -> list[str]:
    """The columns of one line, but for its name."""
    return [
        f"{line['quiet']:.3f}",
        "" if line["target"] is None else f"{line['target']:g}",
        f"{line['ratio']:.3f}",
        "" if line["cpu"] is None else f"{line['cpu']:.3f}",
        amount(line["ours"], line["unit"]),
        amount(line["peer"], line["unit"]),
    ]


COLUMNS = ["quiet", "at most", "median", "CPU", "ours", "peer"]


def table(results: list[dict[str, Any]]) -> str:
    """The results in aligned columns."""
    lines = [f"{'measure':76}" + "".join(f"{name:>10}" for name in COLUMNS)]
    for line in results:
        columns = "".join(f"{cell:>10}" for cell in cells(line))
        lines.append(f"{line['name']:76}{columns}{'' if line['met'] else '  MISSED'}")
    return "\n".join(lines)


def markdown(results: list[dict[str, Any]]) -> str:
    """The results as a table for the documentation."""
    lines = [["measure", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    lines += [[line["name"], *cells(line)] for line in results]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
