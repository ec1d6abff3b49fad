"""Other tools on the same tree: what a linter and two type checkers need for it, from cold."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

_COMMANDS = {
    "ruff": ["check", "--isolated", "--no-cache", "--quiet", "--exit-zero", "."],
    "mypy": [
        "--ignore-missing-imports", "--check-untyped-defs", "--explicit-package-bases",
        "--no-incremental", "--cache-dir", os.devnull, "--config-file", os.devnull, ".",
    ],
    "pyright": ["."],
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of a tool. `note` says why the figures mean little, if they do."""

    tool: str
    version: str
    cpu: float
    wall: float
    peak_mib: float
    note: str


def installed(tool: str) -> str | None:
    """The tool beside this interpreter, or on the path."""
    here = Path(sys.executable).with_name(tool)
    return str(here) if here.exists() else shutil.which(tool)


def run(tool: str, root: Path, timeout: float) -> Run | None:
    """One run of the tool over `root`, from cold; None where it is not installed."""
    program = installed(tool)
    if program is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            [program, *_COMMANDS[tool]],
            cwd=root,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # with what it has started: pyright is a Python script that runs another program
        timer = threading.Timer(timeout, os.killpg, (child.pid, signal.SIGKILL))
        timer.start()
        before = os.times().elapsed
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            timer.cancel()
        wall = os.times().elapsed - before
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        last = out.read().decode(errors="replace").strip().rpartition("\n")[2]
    note = ""
    if child.returncode < 0:
        note = f"stopped after {timeout:.0f} s"
    elif child.returncode > 1:
        note = f"gave up: {last[:60]}"
    lines = version.stdout.strip().splitlines()
    return Run(
        tool,
        lines[-1].split("(")[0].strip() if lines else "?",
        usage.ru_utime + usage.ru_stime,
        wall,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / (1 << 20),
        note,
    )
