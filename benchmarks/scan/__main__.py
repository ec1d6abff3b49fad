"""`python -m benchmarks.scan`: what building the program model costs, by the size of the program.

    python -m benchmarks.scan [--synthetic 10,50,100] [--cut 10,50,100,500] [--peers] [PATH...]

PATH are checked-out programs. With `--cut` each is measured at these sizes (in thousands of lines),
with the files that come first; without, as it is. `--synthetic` makes programs of these sizes;
that is the default where no PATH is given. `--peers` runs ruff, mypy and pyright on the same trees,
where they are installed. `--json FILE` writes the figures, `--markdown` prints tables for the docs.

Every program is measured in a process of its own. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.scan.command import commands
from benchmarks.scan.peers import Run, run
from benchmarks.scan.synthetic import synthetic
from benchmarks.scan.tables import judge, tables

from bridgekit_codemods.program import read_sources

ROOT = Path(__file__).resolve().parents[2]


def sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def cut(root: Path, kloc: int, into: Path) -> None:
    """The first files of a program, up to so many thousand lines."""
    lines = 0
    for path, data in read_sources(root).items():
        if path.endswith(".py") and lines < kloc * 1000:
            lines += data.count(b"\n")
            write(into, path, data)


def write(into: Path, path: str, data: bytes) -> None:
    target = into / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def measured(name: str, root: Path, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scan.child", str(root), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    row = {"name": name, **json.loads(done.stdout)}
    return row | (commands(root, rounds) if rounds else {"scan_cold": None, "scan_again": None})


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--synthetic", type=sizes, default=[])
    parser.add_argument("--cut", type=sizes, default=[])
    parser.add_argument("--rounds", type=int, default=3, help="0: from cold only, once")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--peers-up-to", type=int, default=100, metavar="KLOC")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one peer's run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    if not given.paths and not given.synthetic:
        given.synthetic = [10, 50, 100]
    return given


def main() -> int:
    given = options()
    rows: list[dict[str, Any]] = []
    peers: list[tuple[str, Run]] = []

    def one(name: str, root: Path) -> None:
        row = measured(name, root, given.rounds)
        rows.append(row)
        print(f"{name}: {row['kloc']:.0f} kLOC, {row['load']:.1f} s", file=sys.stderr)
        if given.peers and row["kloc"] <= given.peers_up_to * 1.2:
            for tool in ("ruff", "mypy", "pyright"):
                found = run(tool, root, given.timeout)
                if found is not None:
                    peers.append((name, found))

    for path in given.paths:
        for size in given.cut:
            with tempfile.TemporaryDirectory() as directory:
                cut(path, size, Path(directory))
                one(f"{path.name}, {size}", Path(directory))
        if not given.cut:
            one(path.name, path)
    for size in given.synthetic:
        with tempfile.TemporaryDirectory() as directory:
            for name, data in synthetic(size).items():
                write(Path(directory), name, data)
            one(f"synthetic, {size}", Path(directory))
    verdicts = judge(rows)
    if given.json:
        document = {
            "rows": rows,
            "peers": [{"name": name, **asdict(found)} for name, found in peers],
            "verdicts": [asdict(v) for v in verdicts],
        }
        given.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    print(tables(rows, peers, verdicts, markdown=given.markdown))
    return int(not all(v.holds for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
