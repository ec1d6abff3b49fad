"""The ratios to the peers hold, with a tolerance for load and for other machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "bridge.py"
# The targets are ratios on one quiet processor. Load from elsewhere and other machines move them; a
# regression that matters moves them further than this.
TOLERANCE = 1.5
MORE_CHANCES = 3


def measure(directory: Path, *options: str) -> list[dict[str, Any]]:
    file = directory / "results.json"
    # The exit code tells of targets missed without tolerance.
    subprocess.run(
        [sys.executable, SCRIPT, "--json", file, *options], check=False, capture_output=True
    )
    results: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return results


def missed(results: list[dict[str, Any]]) -> list[str]:
    return [
        f"{line['name']}: {line['quiet']:.3f}, at most {line['target']}"
        for line in results
        if line["target"] is not None
        and min(line["quiet"], line["ratio"]) > TOLERANCE * line["target"]
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_ratios_to_the_peers(tmp_path: Path) -> None:
    results = measure(tmp_path)
    assert len(results) > 20
    misses = missed(results)
    for _ in range(MORE_CHANCES):
        # Again, each alone: somebody else may have had the processor.
        misses = [again for line in misses for again in missed(measure_again(tmp_path, line))]
    assert misses == []


def measure_again(directory: Path, line: str) -> list[dict[str, Any]]:
    name, _, _ = line.rpartition(": ")
    return [found for found in measure(directory, "--only", name) if found["name"] == name]


@pytest.mark.parametrize(
    ("quiet", "median", "target", "misses"),
    [
        (0.30, 0.30, 0.33, False),
        (0.48, 0.60, 0.33, False),  # within the tolerance
        (0.60, 0.40, 0.33, False),  # one of the two ratios is enough
        (0.50, 0.60, 0.33, True),
        (9.00, 9.00, None, False),  # is only reported
    ],
)
def test_what_counts_as_a_miss(
    quiet: float, median: float, target: float | None, misses: bool
) -> None:
    line = {"name": "a: b / c", "quiet": quiet, "ratio": median, "target": target}
    assert bool(missed([line])) is misses


def test_a_single_row_can_be_measured(tmp_path: Path) -> None:
    (line,) = measure(
        tmp_path, "--rounds", "1", "--only", "to_thread, sequential / asyncio.to_thread"
    )
    assert line["ours"] > 0
    assert line["quiet"] == pytest.approx(line["ours"] / line["peer"])
    assert line["target"] == 0.22
