"""Measure how long something takes, whatever else the machine has to do meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Stopwatch", "waited_for_processor", "within", "within_a_second"]


def waited_for_processor(pid: int | str = "self") -> float:
    """Seconds that the living threads of a process have been ready to run and have not been run.

    Zero where the system does not say it (all but Linux), and for a process that has ended.
    """
    nanoseconds = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                nanoseconds += int((task / "schedstat").read_text().split()[1])
            except (OSError, IndexError):
                continue  # this thread has ended meanwhile
    except OSError:
        return 0.0
    return nanoseconds / 1e9


class Stopwatch:
    """Runs from the beginning. It stands still while the process has to wait for a processor.

    It measures real time where nothing has to wait, and never more than that.

    :param pid: of the process that is measured.
    """

    def __init__(self, pid: int | str = "self") -> None:
        self._pid = pid
        self._waited = waited_for_processor(pid)
        self._begun = time.monotonic()
        self._excess = 0.0

    def seconds(self) -> float:
        """What it shows. For a process that has ended: no waits since the last look."""
        waited = waited_for_processor(self._pid) - self._waited
        self._excess = max(self._excess, waited)
        return max(0.0, time.monotonic() - self._begun - self._excess)

    def measure_exit(self, process: subprocess.Popen[Any], patience: float) -> float:
        """What it shows when the child process has ended, or after so many seconds."""
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            self.seconds()
            time.sleep(0.005)
        return self.seconds()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block must not take longer than that on a machine of its own."""
    watch = Stopwatch()
    yield
    assert watch.seconds() < seconds


@asynccontextmanager
async def within_a_second() -> AsyncIterator[None]:
    """`within` one second, for `async with`."""
    with within(1):
        yield
