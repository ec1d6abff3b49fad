"""What `scan --trace` adds to the CPU time of a test run.

    python benchmarks/trace.py                                  # the example and a made program
    python benchmarks/trace.py PROGRAM --run "python -m pytest -q tests/unit"
    python benchmarks/trace.py --python .venv-3.12/bin/python --rounds 9
    python benchmarks/trace.py PROGRAM --run ... --calls         # what each kind of collector sees

Every command runs with and without the collector in turn, the order swapped from round to round.
Only CPU time counts (user and system, of the command and of what it starts), because other work on
the machine must not. Printed are the medians, the ratio of the medians, and the smallest and
largest ratio of two neighbouring runs, which tell how far to trust it.

The made program does nothing but call its own small functions, which is the worst that a collector
can meet; nothing else runs in it that the calls could hide behind.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "codemods"))
from bridgekit_codemods.tracing.record import Trace  # noqa: E402 (the line above)
from bridgekit_codemods.tracing.run import traced_environment  # noqa: E402 (the line above)

EXAMPLE = ROOT / "examples/legacy_app"
PYTEST = "-m pytest -q -p no:cacheprovider"
MADE = """
class Account:
    def __init__(self, number):
        self.number = number
        self.balance = 0

    def add(self, amount):
        self.balance = checked(self.balance + amount)

def checked(value):
    return value if value < 1_000_000 else wrapped(value)

def wrapped(value):
    return value % 1_000_000

def worth(accounts):
    return sum(map(balance, accounts))

def balance(account):
    return account.balance

def work(rounds):
    accounts = [Account(number) for number in range(50)]
    for amount in range(rounds):
        for account in accounts:
            account.add(amount)
    return worth(accounts)
"""
MADE_TESTS = """
import pytest
import made

@pytest.mark.parametrize("number", range(40))
def test_work(number):
    assert made.work(10_000 + number) > 0
"""


@dataclass(frozen=True)
class Measured:
    """CPU seconds of one command, without and with the collector, round by round."""

    name: str
    plain: Sequence[float]
    traced: Sequence[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.traced) / statistics.median(self.plain)

    @property
    def pairs(self) -> list[float]:
        return sorted(t / p for p, t in zip(self.plain, self.traced, strict=True))


def cpu(command: Sequence[str], directory: Path, env: dict[str, str]) -> float:
    """CPU seconds of a command that must succeed, and of its children that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=directory, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, command: Sequence[str], directory: Path, rounds: int) -> Measured:
    plain: list[float] = []
    traced: list[float] = []
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as out:
            forms = [
                (plain, dict(os.environ)),
                (traced, traced_environment(os.environ, directory, out)),
            ]
            for times, env in forms if number % 2 else reversed(forms):
                spent = cpu(command, directory, env)
                if number:  # the first round only fills caches
                    times.append(spent)
            if not any(Path(out).iterdir()):
                raise SystemExit(f"nothing was recorded of {name}")
    return Measured(name, plain, traced)


def seen(command: Sequence[str], directory: Path, hook: str) -> set[tuple[object, object]]:
    """The calls that one kind of collector sees in one run."""
    with tempfile.TemporaryDirectory() as out:
        env = traced_environment(os.environ, directory, out) | {"BRIDGEKIT_TRACE_HOOK": hook}
        cpu(command, directory, env)
        trace = Trace()
        for part in sorted(Path(out).glob("*.json")):
            trace.add(json.loads(part.read_bytes()))
    return {(place, function) for place, found in trace.calls.items() for function in found}


def compare(name: str, command: Sequence[str], directory: Path) -> str:
    """How many calls the profile hook sees, which misses few, and how many of them monitoring."""
    hooked, watched = (seen(command, directory, hook) for hook in ("profile", ""))
    both = len(hooked & watched)
    return (
        f"{name}: {len(hooked)} calls seen by the profile hook, {both} of them by sys.monitoring "
        f"({both / len(hooked):.1%}), and {len(watched - hooked)} by that alone"
    )


def programs(options: argparse.Namespace, folder: Path) -> list[tuple[str, Sequence[str], Path]]:
    if options.program is not None:
        directory = options.program.resolve()
        return [(directory.name, shlex.split(options.run), directory)]
    made = folder / "made"
    made.mkdir()
    (made / "made.py").write_text(MADE)
    (made / "test_made.py").write_text(MADE_TESTS)
    (made / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    example = folder / "legacy_app"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    command = [str(Path(options.python).absolute()), *PYTEST.split()]
    return [("calls only", command, made), ("examples/legacy_app", command, example)]


def table(rows: Sequence[Measured], version: str) -> str:
    lines = [
        f"| {version}, CPU seconds | without | with | added | lowest and highest pair |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row.pairs[0] - 1, row.pairs[-1] - 1
        lines.append(
            f"| {row.name} | {statistics.median(row.plain):.2f} | "
            f"{statistics.median(row.traced):.2f} | {row.ratio - 1:+.1%} | "
            f"{low:+.1%}, {high:+.1%} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, nargs="?", help="another program, with --run")
    parser.add_argument("--run", help="its test command")
    parser.add_argument("--python", default=sys.executable, help="interpreter of built-in programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", action="store_true", help="compare what is seen instead")
    parser.add_argument("--limit", type=float, help="fail above this many per cent added")
    options = parser.parse_args()
    if (options.program is None) != (options.run is None):
        parser.error("PROGRAM and --run go together")
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, command, directory in programs(options, Path(folder).resolve()):
            if options.calls:
                print(compare(name, command, directory))
                continue
            rows.append(measure(name, command, directory, options.rounds))
            print(f"{name}: {rows[-1].ratio - 1:+.1%}", file=sys.stderr)
        if options.calls:
            return 0
        first = shlex.split(options.run)[0] if options.run else options.python
        says = subprocess.run([first, "--version"], capture_output=True, text=True, check=False)
        print(table(rows, says.stdout.strip()))
    if options.limit is not None:
        return int(any((row.ratio - 1) * 100 > options.limit for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
