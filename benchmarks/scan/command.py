"""What the command itself costs: `bridgekit scan --json` as a process, from cold and once more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bridgekit_codemods.program import read_sources


def commands(root: Path, rounds: int) -> dict[str, float]:
    """The least CPU time of a process without the cache, and with it where nothing has changed.

    The program is copied, so that nothing is written into it.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "program"
        for path, data in read_sources(root).items():
            file = copy / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        _run(copy)
        cold = min(_run(copy, "--no-cache") for _ in range(rounds))
        again = min(_run(copy) for _ in range(rounds))
        shutil.rmtree(copy)
    return {"scan_cold": cold, "scan_again": again}


def _run(root: Path, *options: str) -> float:
    command = [sys.executable, "-m", "bridgekit.cli", "scan", "--json", *options, str(root)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1, 3):
        raise subprocess.CalledProcessError(child.returncode, command)
    return usage.ru_utime + usage.ru_stime
