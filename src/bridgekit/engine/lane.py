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

There are no locks. Whoever has news for the thread leaves it first and looks whether the thread
is parked afterwards; the thread says that it is parked first and looks for news afterwards. So
one of them sees the other, and a ring too many is only a look too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING

from bridgekit.engine import process
from bridgekit.engine.process import current
from bridgekit.engine.waits.watch import watch
from bridgekit.engine.wakers import own, thread_waker

if TYPE_CHECKING:
    from bridgekit.engine.call import Call

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
        "_generation",
        "_idle",
        "_jobs",
        "_open",
        "_parked",
        "_resting",
        "_waker",
        "parent",
        "thread_id",
        "work",
    )

    def __init__(self, work: Call | None) -> None:
        outer = CURRENT_LANE.get()
        self.parent = None if outer is None else nearest_lane(outer)
        self.thread_id = get_ident()
        self.work = work
        self._waker = own.waker or thread_waker()
        self._generation = current.generation
        self._jobs: deque[Call] = deque()
        self._idle = [None]  # who pops the item has found the lane without any job
        self._parked = False
        self._resting = False
        self._open = True
        self._answered = False

    @property
    def is_open(self) -> bool:
        """Whether the lane's thread is still in its call (and this is still its process)."""
        return self._open and self._generation == current.generation

    @property
    def answered(self) -> bool:
        """Whether what the thread waits for is there."""
        return self._answered

    def offer(self, work: Call) -> tuple[bool, bool]:
        """Queue work; returns (accepted, will be run at once). Any thread may call this."""
        if not self.is_open:
            return False, False
        try:
            self._idle.pop()
            at_once = True
        except IndexError:
            at_once = False
        self._jobs.append(work)
        self._ring()
        if not at_once:
            work.queued_in = self
            watch(self)
        if not self._open:
            try:
                self._jobs.remove(work)
            except (ValueError, IndexError):
                return True, at_once  # run, or handed on, by the thread
            return False, False
        return True, at_once

    def answer(self) -> None:
        """Tell the parked thread that what it waits for is there. Any thread may call this."""
        self._answered = True
        self._ring()

    def _ring(self) -> None:
        if self._parked:
            try:
                self._parked = False
                self._waker.ring()
            except BaseException:
                self._waker.ring()  # struck by a signal handler, perhaps before
                raise

    def is_deserted(self) -> bool:
        """Whether the loop that has to answer is closed."""
        return False

    def host_closed(self) -> None:
        """That loop is closed. Called on any thread, perhaps more than once."""

    def enter(self) -> None:
        """Before anybody may look for this lane. Whoever calls this must see to :meth:`park`."""
        if self.thread_id == current.main_thread_id:
            _main_lanes.append(self)

    def park(self, interrupt: Callable[[], None], *, again: bool = False) -> None:
        """Serve jobs until :meth:`answer`, then close the lane.

        :param interrupt: called when an exception is raised in this thread from outside (Ctrl-C,
            or another signal handler). It must ask for the awaited coroutine's cancellation; the
            exception is raised once the coroutine has ended. A second one is raised at once.
        :param again: one has been raised before this wait.
        """
        jobs = self._jobs
        if self._answered and not jobs:
            self._close()
            return
        raised: BaseException | None = None
        job: Call | None = None
        waker = self._waker
        outer, waker.lane = waker.lane, self
        try:
            while True:
                try:
                    while not self._answered:
                        if jobs:
                            job = jobs.popleft()
                            job.run()
                            job = None
                            if not jobs and not self._idle:
                                self._idle.append(None)
                        else:
                            self._resting = self._parked = True
                            if not (self._answered or jobs):
                                # The lane is known first, then the loop is looked at. One that is
                                # being closed says so first and looks for lanes afterwards.
                                if self.is_deserted():
                                    self.host_closed()
                                else:
                                    self._waker.wait()
                            self._resting = self._parked = False
                        if self._generation != process.generation():
                            raise RuntimeError("a forked child cannot finish its parent's call")
                    break
                except BaseException as error:
                    if job is not None and not job.abort(error):
                        jobs.appendleft(job)
                    job = None
                    if again or raised is not None or not self.is_open:
                        raise
                    raised = error
                    interrupt()
            if raised is not None:
                raise raised
        finally:
            raised = None
            waker.lane = outer
            self._close()

    def _close(self) -> None:
        self._open = False
        if _main_lanes and self.thread_id == current.main_thread_id and self in _main_lanes:
            _main_lanes.remove(self)
            for lane in _main_lanes:
                if lane._resting:
                    # This lane was opened by a signal handler in the middle of that one's wait,
                    # and may have taken its ring.
                    lane._waker.ring()
        jobs = self._jobs
        while jobs:
            jobs.popleft().hand_on()


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
