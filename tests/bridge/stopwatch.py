"""Measure how long something takes, whatever else the machine has to do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Stopwatch", "waited_for_processor", "within"]


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
    """Runs from the beginning. It stands still while this process has to wait for a processor.

    It measures real time where nothing has to wait, and never more than that.
    """

    def __init__(self) -> None:
        self._waited = waited_for_processor()
        self._begun = time.monotonic()

    def seconds(self) -> float:
        """What it shows."""
        real = time.monotonic() - self._begun
        return max(0.0, real - max(0.0, waited_for_processor() - self._waited))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block must not take longer than that on a machine of its own."""
    watch = Stopwatch()
    yield
    assert watch.seconds() < seconds
