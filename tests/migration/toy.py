"""A toy program with a scripted planner and a quick guard; also run as a program by crash tests.

    python toy.py ROOT [CRASH_POINT [OCCURRENCE]]

migrates ROOT and ends the process on the spot when CRASH_POINT is reached.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridgekit_codemods.migration.guard import ALL, Guard, GuardResult, Selection
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.runner import DEFAULT_POLICY, Outcome, Runner
from bridgekit_codemods.migration.session import open_session
from bridgekit_codemods.migration.undo import undo
from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.steps import Bridges, Finding, Step
from bridgekit_codemods.program.source import read_sources

PROGRAM: dict[str, bytes] = {
    "app/__init__.py": b"",
    "app/low.py": b"def low():\n    return 1\n",
    "app/mid.py": b"from app.low import low\n\n\ndef mid():\n    return low() + 1\n",
    "app/old.py": b"UNUSED = True\n",
    "conftest.py": b"",
    "tests/test_app.py": b"from app.mid import mid\n\n\ndef test_mid():\n    assert mid() == 2\n",
}
LOW = b'def low():\n    """Now new."""\n    return 1\n'
MID = b'from app.low import low\n\n\ndef mid():\n    """Now new."""\n    return low() + 1\n'
BROKEN = b"from app.low import low\n\n\ndef mid():\n    return low() + 2\n"
SUB = b"DEEP = True\n"

STEPS = (
    Step("flip:low", "flip", "Make low new", ("app.low.low",), {"app/low.py": LOW},
         bridges_added=("app.mid.mid -> app.low.low",)),
    Step("flip:broken", "flip", "Break mid", ("app.mid.mid",),
         {"app/mid.py": BROKEN, "app/extra/gone.py": SUB}),
    Step("flip:mid", "flip", "Make mid new", ("app.mid.mid",),
         {"app/mid.py": MID, "app/deep/__init__.py": b"", "app/deep/sub.py": SUB,
          "app/old.py": None},
         bridges_removed=("app.mid.mid -> app.low.low",)),
)  # fmt: skip
FINAL: dict[str, bytes] = {
    **{path: data for path, data in PROGRAM.items() if path != "app/old.py"},
    "app/low.py": LOW,
    "app/mid.py": MID,
    "app/deep/__init__.py": b"",
    "app/deep/sub.py": SUB,
}


@dataclass
class ScriptedPlanner:
    """Proposes the first scripted step whose changes are not in the program and not kept back."""

    steps: tuple[Step, ...] = STEPS
    objections: Mapping[str, str] = field(default_factory=dict)

    def next_step(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Step | None:
        if sources.get("app/mid.py") == MID:
            kept |= {"flip:broken"}
        for step in self.steps:
            if step.key not in kept and any(sources.get(p) != d for p, d in step.changes.items()):
                return step
        return None

    def findings(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> tuple[Finding, ...]:
        return tuple(Finding("app/mid.py", 4, "BK900", f"{key} was kept", "none") for key in kept)

    def verify(self, step: Step, sources_after: Mapping[str, bytes]) -> tuple[str, ...]:
        return (self.objections[step.key],) if step.key in self.objections else ()

    def bridges(self, sources: Mapping[str, bytes]) -> Bridges:
        return Bridges(to_thread=int(sources.get("app/mid.py") == MID))

    def overview(self, sources: Mapping[str, bytes]) -> Overview:
        return Overview()


class QuickGuard:
    """Red exactly when the toy's test would be, found without starting pytest."""

    description = "quick"
    notice = None
    selects = False

    def __init__(self, root: Path, during: Callable[[], None] = lambda: None) -> None:
        self.root = root
        self.during = during
        self.runs: list[str] = []

    def run(
        self,
        name: str,
        selection: Selection = ALL,
        tell: Callable[[str], None] = lambda _: None,
        record: Path | None = None,
    ) -> GuardResult:
        self.runs.append(name)
        self.during()
        ok = b"low() + 1" in (self.root / "app/mid.py").read_bytes()
        return GuardResult(ok, "1 passed" if ok else "1 failed", 0.0, returncode=int(not ok))


class TestGuard:
    """Like pytest with the plugin: its runs come out as scripted, without what a selection leaves
    out; the last outcome stays. `reached` is what the collector would record."""

    __test__ = False
    description = "scripted tests"
    notice = None
    selects = True

    def __init__(
        self,
        root: Path,
        outcomes: list[Mapping[str, str]] | Callable[[Path], Mapping[str, str]],
        reached: Mapping[str, list[Sequence[object]]] | None = None,
    ) -> None:
        self.root = root
        self.outcomes = outcomes
        self.reached = reached or {}
        self.seen: list[tuple[str, Selection, bool]] = []

    def run(
        self,
        name: str,
        selection: Selection = ALL,
        tell: Callable[[str], None] = lambda _: None,
        record: Path | None = None,
    ) -> GuardResult:
        self.seen.append((name, selection, record is not None))
        if callable(self.outcomes):
            outcomes = self.outcomes(self.root)
        else:
            outcomes = self.outcomes[min(len(self.seen), len(self.outcomes)) - 1]
        chosen = {test: word for test, word in outcomes.items() if selection.includes(test)}
        if record is not None:
            functions = sorted({tuple(f) for fs in self.reached.values() for f in fs})
            tests = {t: [functions.index(tuple(f)) for f in fs] for t, fs in self.reached.items()}
            shared = tests.pop("", [])
            (record / "1.json").write_text(
                json.dumps({"python": "3", "functions": functions, "calls": [], "outside": {},
                            "tests": tests, "shared": shared})
            )  # fmt: skip
        ok = "failed" not in chosen.values()
        summary = f"{len(chosen)} ran"
        return GuardResult(ok, summary, 0.0, returncode=int(not ok), outcomes=chosen)


@dataclass
class Recorder:
    """An observer that remembers."""

    events: list[tuple[str, ...]] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.events.append(("note", message))

    def started(self, number: int, title: str, key: str) -> None:
        self.events.append(("started", str(number), key))

    def state(self, state: str) -> None:
        self.events.append(("state", state))

    def finished(self, outcome: str, detail: str, seconds: float) -> None:
        self.events.append(("finished", outcome, detail))


def write_tree(root: Path, files: Mapping[str, bytes] = PROGRAM) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit_all(root: Path) -> Path:
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Start")
    return root


def migrate(
    root: Path,
    planner: ScriptedPlanner | None = None,
    guard: Guard | None = None,
    until: str | None = None,
    retry: bool = False,
    crash_point: Callable[[str], None] = lambda _: None,
    observer: Recorder | None = None,
    policy: GuardPolicy = DEFAULT_POLICY,
) -> Outcome:
    with open_session(root, crash_point) as session:
        return Runner(
            session,
            planner or ScriptedPlanner(),
            guard or QuickGuard(root),
            read_sources,
            observer or Recorder(),
            policy,
        ).run(until, retry)


def take_back(root: Path, wanted: str | None = None, keep: bool = False) -> list[str]:
    with open_session(root) as session:
        return [entry.step.key for entry in undo(session, wanted, keep).steps]


def tree(root: Path) -> dict[str, bytes]:
    """Every file of the program, also those no source reader would look at."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".git", ".bridgekit"} & set(path.relative_to(root).parts)
    }


class CrashAt:
    """Ends the process at the n-th time a crash point is reached; counts names otherwise."""

    def __init__(self, name: str | None = None, occurrence: int = 1) -> None:
        self.wanted = (name, occurrence)
        self.seen: list[str] = []

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if self.wanted == (name, self.seen.count(name)):
            os._exit(9)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    crash = CrashAt(*sys.argv[2:3], *map(int, sys.argv[3:4]))
    if os.environ.get("TOY_UNDO"):
        with open_session(place, crash) as opened:
            undo(opened, "1")
    else:
        migrate(place, crash_point=crash)
    print("\n".join(crash.seen))
