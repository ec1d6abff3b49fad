"""Runs one command in a process group of its own, bounded in time, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TERMINATION_GRACE = 5.0
_MARK = "BRIDGEKIT_GUARD_RUN"
_LOOK = 0.2
_LOOKS = 20
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Ended:
    """How a command ended. `returncode` is None when it was stopped for its time."""

    returncode: int | None
    leftovers: tuple[str, ...] = ()
    """Names of the processes that it left running; they were ended."""


def run(
    command: Sequence[str],
    root: Path,
    environment: Mapping[str, str],
    output: BinaryIO,
    timeout: float,
    watch: Callable[[], None],
    mark_file: Path,
) -> Ended:
    """Run `command` without a shell in `root`; `watch` is called while it runs, and at its end.

    Every process that it started is dead when this returns or raises: those of its group, and on
    Linux also those that left it (daemons), which are known by a variable in their environment.
    `mark_file` holds its value meanwhile, for :func:`end_forsaken`.

    Raises:
        OSError: it cannot be started.
    """
    mark = uuid.uuid4().hex
    mark_file.write_text(mark, encoding="ascii")
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**environment, _MARK: mark},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=os.name != "nt",
    )
    leftovers: dict[int, str] = {}
    returncode = None
    try:
        returncode = _wait(process, timeout, watch)
        if returncode is not None:
            leftovers = _marked(mark)
    finally:
        _end(process)
        _end_marked(mark)
        mark_file.unlink(missing_ok=True)
    watch()
    return Ended(returncode, tuple(sorted(leftovers.values())))


def end_forsaken(mark_file: Path) -> tuple[str, ...]:
    """End what is still running of a command whose runner was killed; the names of the processes.

    Only on Linux is it found.
    """
    try:
        mark = mark_file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, ValueError):
        return ()
    found = _marked(mark) if mark else {}
    if found:
        _end_marked(mark)
    mark_file.unlink(missing_ok=True)
    return tuple(sorted(found.values()))


def _wait(
    process: subprocess.Popen[bytes], timeout: float, watch: Callable[[], None]
) -> int | None:
    end = time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return None
        try:
            return process.wait(min(_LOOK, left))
        except subprocess.TimeoutExpired:
            watch()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group, politely first."""
    if os.name == "nt":
        if process.poll() is None:
            process.kill()
            process.wait()
        return
    if process.poll() is None and _signal_group(process.pid, signal.SIGTERM):
        # One that ignores the request is not asked again: the kill below ends it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATION_GRACE)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_marked(mark: str) -> None:
    """End the processes that left the group. One that is made meanwhile is found by another look,
    because each look ends all whose parents could make more."""
    for _ in range(_LOOKS):
        found = _marked(mark)
        if not found:
            return
        for number in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)


def _marked(mark: str) -> dict[int, str]:
    """The processes of a run by number, with their names; none where there is no /proc."""
    wanted = f"{_MARK}={mark}".encode()
    found: dict[int, str] = {}
    if not _PROCESSES.is_dir():
        return found
    for entry in _PROCESSES.iterdir():
        if not entry.name.isdigit():
            continue
        # It may end while it is looked at, or belong to someone else.
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "comm").read_text(errors="replace").strip()
    return found
