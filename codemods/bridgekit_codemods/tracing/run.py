"""Runs the user's tests once with the collector in every interpreter that they start.

The run is for looking only: a profile hook slows the tests and can turn those red that measure
time, so that its outcome is told but never taken for the guard's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridgekit_codemods.tracing.record import TRACE_FILE, Trace

_INJECTED = Path(__file__).parent / "injected"
_PLUGIN = "bridgekit_trace_pytest"


class TraceError(Exception):
    """The command could not be started, or nothing of the program was seen to run."""


@dataclass(frozen=True)
class TraceRun:
    """A finished run. `returncode` is the command's; a red run is recorded all the same."""

    trace: Trace
    returncode: int
    seconds: float
    file: Path


def run(
    command: Sequence[str],
    root: Path,
    sources: Mapping[str, bytes],
    environment: Mapping[str, str] | None = None,
) -> TraceRun:
    """Run `command` without a shell in `root` and write `.bridgekit/trace.json` there.

    `sources` are the program's files as they are now. The command's output goes where ours goes,
    but to standard error. Raises `TraceError`.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bridgekit-trace-") as directory:
        given = traced_environment(
            os.environ if environment is None else environment, root, directory
        )
        try:
            done = subprocess.run(
                list(command), cwd=root, env=given, stdin=subprocess.DEVNULL, stdout=2, check=False
            )
        except OSError as error:
            raise TraceError(f"cannot run {command[0]}: {error.strerror or error}") from error
        trace = collected(Path(directory), command)
    if not trace.executed:
        raise TraceError(
            "no function of the program was seen to run; is the command's interpreter Python?"
        )
    file = root / TRACE_FILE
    file.parent.mkdir(exist_ok=True)
    ignore = file.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    file.write_text(trace.dump(sources), encoding="utf-8")
    return TraceRun(trace, done.returncode, time.monotonic() - started, file)


def collected(directory: Path, command: Sequence[str]) -> Trace:
    """What the interpreters of a run wrote into `directory`."""
    trace = Trace(command=" ".join(command))
    for part in sorted(directory.glob("*.json")):
        trace.add(json.loads(part.read_bytes()))
    return trace


def traced_environment(given: Mapping[str, str], root: Path, out: str) -> dict[str, str]:
    """The variables under which every interpreter records itself into the directory `out`."""
    path = [str(_INJECTED), *filter(None, [given.get("PYTHONPATH")])]
    plugins = [*filter(None, [given.get("PYTEST_PLUGINS")]), _PLUGIN]
    return {
        **given,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTEST_PLUGINS": ",".join(plugins),
        "BRIDGEKIT_TRACE_ROOT": str(root),
        "BRIDGEKIT_TRACE_OUT": out,
    }
