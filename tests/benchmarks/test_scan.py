"""The program model's cost grows with the program and no faster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1.5


def measure(directory: Path, *options: str) -> dict[str, Any]:
    file = directory / "results.json"
    # The exit code tells of targets missed without tolerance.
    subprocess.run(
        [sys.executable, "-m", "benchmarks.scan", "--json", file, *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return results


def test_a_small_program_can_be_measured(tmp_path: Path) -> None:
    results = measure(tmp_path, "--synthetic", "1", "--rounds", "1")
    (row,) = results["rows"]
    assert row["kloc"] >= 1
    assert row["calls"] > 250
    assert 0 < row["parse"] < row["load"]
    assert row["base_mib"] < row["peak_mib"]
    assert "CPU, times ast.parse" in {verdict["name"] for verdict in results["verdicts"]}


def misses(results: dict[str, Any]) -> list[str]:
    """What is missed by more than the tolerance, of the figures that hold on any machine."""
    rows = results["rows"]
    times = [row["load"] / row["parse"] for row in rows]
    growth = [(row["peak_mib"] - row["base_mib"]) / row["kloc"] for row in rows]
    found = []
    if min(times) > TOLERANCE * 5:
        found.append(f"{min(times):.1f} times ast.parse")
    if times[-1] > TOLERANCE * times[0]:
        found.append(f"time grows faster than the program: {times}")
    if growth[-1] > 1.15 * growth[0]:
        found.append(f"memory grows faster than the program: {growth}")
    if growth[-1] > TOLERANCE * 2.5:
        found.append(f"{growth[-1]:.2f} MiB per kLOC")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_time_and_memory_grow_with_the_program(tmp_path: Path) -> None:
    results = measure(tmp_path, "--synthetic", "10,40")
    if misses(results):
        # once more: somebody else may have had the processor
        results = measure(tmp_path, "--synthetic", "10,40")
    assert misses(results) == []
