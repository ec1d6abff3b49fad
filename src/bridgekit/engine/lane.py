"""A lane: the queue of a thread that is parked in async-to-sync.

While a thread waits for a coroutine, the coroutine may need synchronous work done. That work
belongs to the same chain of calls, so the parked thread can do it: nesting to any depth then
needs no further thread. The chain is found through a context variable, which every task started
from the coroutine inherits.

Invariants:

* only the thread that opened a lane runs its jobs, and only while it is parked in it;
* a job that a lane accepted is run by it or handed on when the lane closes, never lost;
* a parked thread serves the lane it opened last. Work of an outer lane waits until the inner one
  has closed: running it on top of the inner frames could make them wait for each other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from queue import SimpleQueue
from typing import TYPE_CHECKING

from bridgekit.engine import process

if TYPE_CHECKING:
    from bridgekit.engine.work import Work

__all__ = ["CURRENT_LANE", "Lane", "main_thread_lane", "nearest_lane", "root_thread_lane"]

CURRENT_LANE: ContextVar[Lane | None] = ContextVar("bridgekit_lane", default=None)

_main_lanes: list[Lane] = []
process.after_fork(_main_lanes.clear)


class Lane:
    """Opened by the current thread, which must then call :meth:`park` once.

    :param work: the work that this thread is running, or None on a thread of the user's.
    """

    __slots__ = (
        "_answered",
        "_doorbell",
        "_generation",
        "_jobs",
        "_load",
        "_lock",
        "_open",
        "parent",
        "thread_id",
        "work",
    )

    def __init__(self, work: Work | None) -> None:
        self.parent = nearest_lane(CURRENT_LANE.get())
        self.thread_id = threading.get_ident()
        self.work = work
        self._generation = process.generation()
        self._jobs: deque[Work] = deque()
        self._doorbell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._load = 0
        self._open = True
        self._answered = False
        if self.thread_id == threading.main_thread().ident:
            _main_lanes.append(self)

    @property
    def is_open(self) -> bool:
        """Whether the lane's thread is still in its call (and this is still its process)."""
        return self._open and self._generation == process.generation()

    def offer(self, work: Work) -> tuple[bool, bool]:
        """Queue work; returns (accepted, will be run at once). Any thread may call this."""
        with self._lock:
            if not self.is_open:
                return False, False
            idle = self._load == 0
            self._load += 1
            self._jobs.append(work)
        self._doorbell.put(None)
        return True, idle

    def answer(self) -> None:
        """Tell the parked thread that what it waits for is there. Any thread may call this."""
        self._answered = True
        self._doorbell.put(None)

    def park(self, interrupt: Callable[[], None]) -> None:
        """Serve jobs until :meth:`answer`, then close the lane.

        :param interrupt: called when an exception is raised in this thread from outside (Ctrl-C,
            or another signal handler). It must ask for the awaited coroutine's cancellation; the
            exception is raised once the coroutine has ended. A second one is raised at once.
        """
        raised: BaseException | None = None
        job: Work | None = None
        try:
            while True:
                try:
                    while not self._answered:
                        if self._jobs:
                            job = self._jobs.popleft()
                            job.run()
                            job = None
                            with self._lock:
                                self._load -= 1
                        else:
                            self._doorbell.get()
                        if self._generation != process.generation():
                            raise RuntimeError("a forked child cannot finish its parent's call")
                    break
                except BaseException as error:
                    if job is not None:
                        # Interrupted around the job: running it again is a no-op if it began.
                        self._jobs.appendleft(job)
                        job = None
                    if raised is not None or not self.is_open:
                        raise
                    raised = error
                    interrupt()
            if raised is not None:
                raise raised
        finally:
            raised = None
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._open = False
            left = list(self._jobs)
            self._jobs.clear()
        if self in _main_lanes:
            _main_lanes.remove(self)
        for work in left:
            work.hand_on()


def nearest_lane(lane: Lane | None, thread_id: int | None = None) -> Lane | None:
    """The innermost open lane of a chain, on any thread or on the one given."""
    while lane is not None:
        if lane.is_open and thread_id in (None, lane.thread_id):
            return lane
        lane = lane.parent
    return None


def root_thread_lane(lane: Lane | None) -> Lane | None:
    """The innermost open lane on the thread of the user's that began the chain, if one did."""
    root: Lane | None = None
    current = lane
    while current is not None:
        if current.is_open:
            root = current
        current = current.parent
    if root is None or root.work is not None:
        return None
    return nearest_lane(lane, root.thread_id)


def main_thread_lane() -> Lane | None:
    """The lane in which the main thread is parked now."""
    lanes = [lane for lane in _main_lanes if lane.is_open]
    return lanes[-1] if lanes else None
