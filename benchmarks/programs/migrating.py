"""One program from its published form to the end of the walk, with its own suite as the guard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs.entries import Entry
from benchmarks.programs.fates import Fates, fates, reasons_of
from benchmarks.programs.setting_up import ROOT, SetupError, Workplace, run
from benchmarks.programs.twins import Twins, compare

from bridgekit_codemods.planning.bridges import count_bridges
from bridgekit_codemods.planning.steps import Bridges, Finding
from bridgekit_codemods.program import Program, read_sources

_STEPS_KEPT = 1


@dataclass(frozen=True)
class Result:
    """What came of one program.

    before, after  what its suite said, in pytest's words
    steps          steps that were done
    red            titles of the steps that were kept back, each with the cause
    again          steps that a second run would do: none when the walk is at its end
    bridges        those that stand in the migrated program: to a thread, and the sync facades
    twins          how it agrees with the maintainers' own async twin
    seconds        wall time of `migrate --write`, its suite's runs included
    """

    entry: Entry
    before: str
    after: str
    steps: int
    red: tuple[str, ...]
    again: int
    fates: Fates
    bridges: Bridges
    seconds: float
    twins: Twins | None = None


def migrate(entry: Entry, place: Workplace, twin: Path | None = None) -> Result:
    """Migrate unattended to the end and look at the result.

    `twin` is the directory of the entry's twin.

    Raises:
        SetupError: the suite is red before or after, or a command cannot run.
    """
    suite = [str(place.python), "-m", "pytest", "-q", *entry.suite]
    before = _summary(run(suite, place.program).stdout)
    original = Program.load(read_sources(place.program))
    guard = " ".join([*suite, "-x"])
    command = ["migrate", str(place.program), "--write", "--guard", guard, *entry.options]
    start = time.perf_counter()
    _bridgekit(command, (0, _STEPS_KEPT))
    seconds = time.perf_counter() - start
    history = json.loads(_bridgekit(["status", str(place.program), "--json"], (0, 1)))
    steps = len(history["applied"])
    _bridgekit(command, (0, _STEPS_KEPT))
    again = len(json.loads(_bridgekit(["status", str(place.program), "--json"], (0, 1)))["applied"])
    report = json.loads(_bridgekit(["report", str(place.program), "--json"], (0, 1)))
    findings = [Finding(**finding) for finding in report["findings"]]
    migrated = Program.load(read_sources(place.program))
    twins = None
    if entry.twin is not None and twin is not None:
        theirs = Program.load(read_sources(twin))
        reasons = reasons_of(findings)
        twins = compare(migrated, entry.twin.package, theirs, entry.twin.twin, reasons)
    return Result(
        entry=entry,
        before=before,
        after=_summary(run(suite, place.program).stdout),
        steps=steps,
        red=tuple(f"{kept['title']}: {kept['cause']}" for kept in history["kept"]),
        again=again - steps,
        fates=fates(original, migrated, findings),
        bridges=migrated.derived(count_bridges),
        twins=twins,
        seconds=seconds,
    )


def _bridgekit(words: list[str], codes: tuple[int, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bridgekit.cli", *words],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in codes:
        raise SetupError(f"bridgekit {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _summary(output: str) -> str:
    """What pytest said last, without the time it took."""
    (last,) = re.findall(r"^=*\s*(\d+ .*?) in [\d.]+s", output, re.MULTILINE)[-1:]
    return str(last)


def save(results: list[Result], path: Path) -> None:
    """Write what the tables are made of as JSON."""
    plain = [
        {
            "program": result.entry.name,
            "before": result.before,
            "after": result.after,
            "steps": result.steps,
            "red": list(result.red),
            "again": result.again,
            "native": result.fates.native,
            "bridged": result.fates.bridged,
            "kept": result.fates.kept,
            "reasons": [
                {"fate": fate, "reason": reason, "calls": number}
                for (fate, reason), number in sorted(result.fates.reasons.items())
            ],
            "bridges": {"to_thread": result.bridges.to_thread, "to_loop": result.bridges.to_loop},
            "seconds": round(result.seconds, 1),
        }
        for result in results
    ]
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
