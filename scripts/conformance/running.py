"""One run of somebody's suite in a process group of its own, and what came out of each test."""

from __future__ import annotations

import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["START", "Outcome", "Run", "run", "run_pytest"]

HERE = Path(__file__).resolve().parent
START = HERE / "start"
LIBRARY = HERE.parents[1] / "src"


@dataclass(frozen=True)
class Run:
    """How a command ended. ``returncode`` is None if it had to be killed."""

    returncode: int | None
    output: str


@dataclass
class Outcome:
    """What a pytest run said about each test, and what the processes of the run replaced."""

    tests: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    output: str = ""
    hung: bool = False

    def count(self) -> Counter[str]:
        return Counter(self.tests.values())

    def named(self, *outcomes: str) -> list[str]:
        return sorted(name for name, outcome in self.tests.items() if outcome in outcomes)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    seconds: float,
    env: Mapping[str, str] | None = None,
    substitute: str | None = None,
    log: Path | None = None,
    path: Sequence[Path] = (),
) -> Run:
    """Run to the end or for ``seconds``; then the whole process group is killed.

    :param substitute: what ``start/sitecustomize.py`` replaces in every Python process of the run.
    :param log: where these processes say what they replaced.
    """
    full = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    full.pop("PYTHONPATH", None)
    full.update(env or {})
    search = [str(entry) for entry in path]
    if substitute:
        search = [str(START), *search, str(LIBRARY)]
        full["BRIDGEKIT_SUBSTITUTE"] = substitute
        full["BRIDGEKIT_SUBSTITUTE_LOG"] = str(log or "")
    if search:
        full["PYTHONPATH"] = os.pathsep.join(search)
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=full,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return Run(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Run(None, output)


def run_pytest(
    python: str | Path,
    tests: Sequence[str],
    *,
    cwd: Path,
    scratch: Path,
    seconds: float,
    substitute: str | None = None,
    path: Sequence[Path] = (),
    options: Sequence[str] = (),
) -> Outcome:
    """Run tests of somebody else's with pytest and read its report."""
    report, log = scratch / "report.xml", scratch / "replaced.log"
    for file in (report, log):
        file.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = run(
        [*command, *options, *tests],
        cwd=cwd,
        seconds=seconds,
        substitute=substitute,
        log=log,
        path=path,
    )
    outcome = Outcome(output=done.output, hung=done.returncode is None)
    if log.exists():
        outcome.replaced = log.read_text(encoding="utf-8").splitlines()
    if report.exists():
        _read(report, outcome)
    return outcome


def _read(report: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        kind, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                kind, text = "failed", child.get("message") or ""
            elif child.tag == "skipped":
                kind = "xfailed" if child.get("type") == "pytest.xfail" else "skipped"
                text = child.get("message") or ""
        outcome.tests[name] = kind
        outcome.details[name] = text
