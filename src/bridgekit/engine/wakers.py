"""How one thread sleeps until another one rings.

The bell is a pipe. Writing to it drops the interpreter lock, so the sleeper runs at once, and has
often finished and gone back to sleep before the ringer comes back from the system call; with a
lock or a queue the sleeper would be woken while the ringer still holds the interpreter lock, and
go to sleep again on that. A pipe (unlike ``eventfd``) also tells the kernel to keep both threads
on one processor, and exists everywhere.

A ring is a hint: the sleeper looks at what it waits for and sleeps again if it is not there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias
from weakref import ref

from bridgekit.engine import process
from bridgekit.engine.waits.copying import copy_of

if TYPE_CHECKING:
    from bridgekit.engine.lane import Lane

__all__ = ["LockWaker", "PipeWaker", "Waker", "entered_lanes", "new_waker", "own", "thread_waker"]

_known: dict[int, ref[Waker]] = {}


class PipeWaker:
    """The bell of one thread. Its descriptors are closed with the last reference to it."""

    __slots__ = ("__weakref__", "_read_end", "_write_end", "lane")

    # Both are there to the end of the interpreter.
    _close_end = staticmethod(os.close)
    _forget = _known.pop

    def __init__(self) -> None:
        self.lane: Lane | None = None  # the one that the thread has entered last
        self._read_end, self._write_end = os.pipe()
        _known[id(self)] = ref(self)

    def wait(self) -> None:
        """Sleep until somebody rings; at once if somebody has rung since the last time."""
        os.read(self._read_end, 64)

    def ring(self) -> None:
        """Wake the sleeper. Any thread may call this."""
        os.write(self._write_end, b"\0")

    def close(self) -> None:
        """Free the descriptors; nobody may be waiting."""
        self._forget(id(self), None)
        ends = self._read_end, self._write_end
        self._read_end = self._write_end = -1
        for end in ends:
            if end >= 0:
                self._close_end(end)

    __del__ = close


class LockWaker:
    """The same without descriptors, for a process that has none left."""

    _forget = _known.pop

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self._semaphore = threading.Semaphore(0)
        _known[id(self)] = ref(self)

    def __del__(self) -> None:
        self._forget(id(self), None)

    def wait(self) -> None:
        """Sleep until somebody rings."""
        self._semaphore.acquire()

    def ring(self) -> None:
        """Wake the sleeper. Any thread may call this."""
        self._semaphore.release()


Waker: TypeAlias = PipeWaker | LockWaker


def entered_lanes() -> list[Lane]:
    """The lane that each thread has entered last, and not left yet. Any thread may call this."""
    lanes = []
    for reference in copy_of(_known.values()):
        waker = reference()
        lane = waker.lane if waker is not None else None  # once: its thread may leave it meanwhile
        if lane is not None:
            lanes.append(lane)
    return lanes


def new_waker() -> Waker:
    """A bell for a thread."""
    try:
        return PipeWaker()
    except OSError:
        return LockWaker()


give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Let another thread that is ready to run on this processor do so; drops the interpreter lock."""


class _OwnWaker(threading.local):
    waker: Waker | None = None


own = _OwnWaker()
"""What the current thread has; the fast way to look before :func:`thread_waker`."""


def thread_waker() -> Waker:
    """The bell of the current thread, made on first use and freed with the thread."""
    waker = own.waker
    if waker is None:
        waker = own.waker = new_waker()
    return waker


def _forget_pipes() -> None:
    # The child must not ring in its parent, whose pipes it has inherited.
    own.waker = None
    for reference in list(_known.values()):
        pipe = reference()
        if isinstance(pipe, PipeWaker):
            pipe.close()


process.after_fork(_forget_pipes)
