"""`python -m benchmarks.plan`: what planning costs beyond the program model, by program.

    python -m benchmarks.plan [--synthetic 10,50,100] [--exact SECONDS] [--json FILE] [PATH...]

PATH are checked-out programs; where none is given, programs of the sizes of `--synthetic` (in
thousands of lines) are made, with an application that registers their views. Every program is
planned in a process of its own. Times are CPU times of that process, in seconds:

model      reading the program and resolving its calls
overview   how far each kind of waiting reaches, what is in the way
forecast   all steps from that one reading
findings   what the rules leave alone
exact      the first steps taken in memory, for as long as `--exact` allows: seconds a step

The exit code is 1 where overview, forecast and findings together take more than a tenth of a second
for a thousand lines.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.scan.child import peak
from benchmarks.scan.synthetic import synthetic

from bridgekit_codemods.migration.preview import preview
from bridgekit_codemods.program import read_sources
from bridgekit_codemods.walk.planner import build_planner

ROOT = Path(__file__).resolve().parents[1]
TARGET = 0.1
"""Seconds of CPU time for a thousand lines, beyond the model."""
_T = TypeVar("_T")


def application(sources: Mapping[str, bytes]) -> bytes:
    """A module that makes the application of a synthetic program."""
    parts = sorted(path.split("/")[1] for path in sources if path.endswith("/views.py"))
    lines = ["from flask import Flask", ""]
    lines += [f"from app.{part}.views import blueprint as {part}" for part in parts]
    lines += ["", "app = Flask(__name__)"]
    lines += [f"app.register_blueprint({part})" for part in parts]
    return ("\n".join(lines) + "\n").encode()


def timed(work: Callable[[], _T]) -> tuple[float, _T]:
    """The CPU time of some work, and what it gave."""
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def measure(root: Path, exact: float) -> dict[str, Any]:
    """The figures of one program."""
    sources = read_sources(root)
    planner = build_planner()
    nothing = frozenset[str]()
    model, _ = timed(lambda: planner.program(sources))
    overview, found = timed(lambda: planner.overview(sources))
    forecast, steps = timed(lambda: len(list(planner.forecast(sources, nothing))))
    findings, left = timed(lambda: len(planner.findings(sources, nothing)))
    memory = peak()
    taken, before = 0, time.process_time()
    for _ in preview(planner, sources) if exact else ():
        taken += 1
        if time.process_time() - before >= exact:
            break
    spent = time.process_time() - before
    lines = sum(data.count(b"\n") for path, data in sources.items() if path.endswith(".py"))
    return {
        "kloc": lines / 1000,
        "model": model,
        "overview": overview,
        "forecast": forecast,
        "findings": findings,
        "async": found.becoming_async,
        "steps": steps,
        "left": left,
        "exact": spent / taken if taken else None,
        "peak_mib": memory,
    }


def measured(name: str, root: Path, exact: float) -> dict[str, Any]:
    """The figures of one program, taken in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plan", "--child", str(root), str(exact)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    row: dict[str, Any] = {"name": name, **json.loads(done.stdout)}
    print(f"{name}: {row['kloc']:.0f} kLOC, {beyond(row) * 1000:.0f} ms/kLOC", file=sys.stderr)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a table in Markdown."""
    head = ("program", "kLOC", "model", "overview", "forecast", "findings", "steps", "async",
            "s/step exact", "peak MiB")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for row in rows:
        exact = "" if row["exact"] is None else f"{row['exact']:.1f}"
        seconds = (f"{row[key]:.1f}" for key in ("model", "overview", "forecast", "findings"))
        cells = (row["name"], f"{row['kloc']:.0f}", *seconds, str(row["steps"]),
                 str(row["async"]), exact, f"{row['peak_mib']:.0f}")  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def beyond(row: Mapping[str, Any]) -> float:
    """Seconds for a thousand lines that planning takes beyond the model."""
    found: float = (row["overview"] + row["forecast"] + row["findings"]) / max(row["kloc"], 1)
    return found


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(Path(sys.argv[2]), float(sys.argv[3]))))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--synthetic", default="10,50,100")
    parser.add_argument("--exact", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = [measured(path.name, path.resolve(), given.exact) for path in given.paths]
    for size in [] if given.paths else map(int, given.synthetic.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            sources = synthetic(size)
            for name, data in {**sources, "app/main.py": application(sources)}.items():
                target = Path(directory, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            rows.append(measured(f"synthetic, {size}", Path(directory), given.exact))
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return int(any(beyond(row) > TARGET for row in rows))


if __name__ == "__main__":
    sys.exit(main())
