"""Which thread a synchronous call runs on.

* ``chain``: the thread that is parked at the root of the current chain of calls; when it is busy,
  that thread or the pool, whichever is free first; without one, the pool.
* ``context``: one and the same thread for all calls of a context. The context is the
  ``ThreadSensitiveContext`` that is open; without one, the thread of the user's that began the
  chain in async-to-sync; without that, one thread of the process.
* ``main``: the main thread, which must be parked in async-to-sync.
"""

from __future__ import annotations

import threading
from asyncio import _get_running_loop
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from threading import get_ident
from typing import Literal

from bridgekit.engine import process
from bridgekit.engine.foreign import parked_in_asgiref
from bridgekit.engine.hosts import runs_trio
from bridgekit.engine.lane import (
    CURRENT_LANE,
    Lane,
    main_thread_lane,
    nearest_lane,
    root_thread_lane,
)
from bridgekit.engine.limiter import CapacityLimiter
from bridgekit.engine.owned_thread import OwnedThread
from bridgekit.engine.work import Work
from bridgekit.engine.workers import shared_pool
from bridgekit.errors import DeadlockError

__all__ = [
    "CURRENT_BINDING",
    "Affinity",
    "ThreadBinding",
    "dispatch",
    "process_binding",
    "token_of_chain",
]

Affinity = Literal["chain", "context", "main"]

MAX_CONTEXT_THREADS = 512
MAX_IDLE_CONTEXT_THREADS = 40

CURRENT_BINDING: ContextVar[ThreadBinding | None] = ContextVar("bridgekit_binding", default=None)


class _OwnedThreads:
    """Threads for bindings, reused. At most ``MAX_CONTEXT_THREADS`` are alive at one time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[OwnedThread] = []
        self._alive = 0
        self._started = 0
        self._waiting: deque[ThreadBinding] = deque()
        self.idle_limit = MAX_IDLE_CONTEXT_THREADS

    def take(self, binding: ThreadBinding) -> OwnedThread | None:
        """A thread for a binding, or None: it is given one as soon as another gives one back."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._alive >= MAX_CONTEXT_THREADS:
                self._waiting.append(binding)
                return None
            thread = OwnedThread(f"bridgekit-context-{self._started + 1}")
            self._started += 1
            self._alive += 1
            return thread

    def give_back(self, thread: OwnedThread) -> None:
        with self._lock:
            heir = self._waiting.popleft() if self._waiting else None
            if heir is None:
                if len(self._idle) < self.idle_limit:
                    self._idle.append(thread)
                else:
                    self._alive -= 1
                    thread.stop()
                return
        heir.adopt(thread)

    def close(self) -> None:
        """End the idle threads and, from now on, every thread that is given back."""
        with self._lock:
            self.idle_limit = 0
            idle, self._idle = self._idle, []
            self._alive -= len(idle)
        for thread in idle:
            thread.stop()


class ThreadBinding:
    """One thread for everything that is submitted here, taken on first use.

    The thread is given back when the last holder has let go and the last call has ended; calls
    submitted after that are refused, and the submitter looks for another place.

    :param lane: bind to the thread of this lane instead of to an owned one.
    """

    def __init__(self, *, lane: Lane | None = None) -> None:
        self.parent = CURRENT_BINDING.get()
        self._lane_thread = lane.thread_id if lane is not None else None
        self._lock = threading.Lock()
        self._generation = process.generation()
        self._thread: OwnedThread | None = None
        self._asked = False
        self._early: list[Work] = []
        self._holders = 1
        self._running = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are still accepted."""
        return self._holders > 0 and self._generation == process.generation()

    def hold(self) -> None:
        """Keep the thread bound until a further :meth:`let_go`."""
        with self._lock:
            self._holders += 1

    def let_go(self) -> None:
        """Give up one hold. Never blocks."""
        with self._lock:
            self._holders -= 1
            thread = self._take_free_thread()
        if thread is not None:
            _threads.give_back(thread)

    def ended(self) -> None:
        """A call that was submitted here has ended (or has been withdrawn)."""
        with self._lock:
            self._running -= 1
            thread = self._take_free_thread()
        if thread is not None:
            _threads.give_back(thread)

    def _take_free_thread(self) -> OwnedThread | None:
        if self._holders > 0 or self._running > 0 or self._generation != process.generation():
            return None
        thread, self._thread = self._thread, None
        return thread

    def submit(self, work: Work) -> bool:
        """Run work on the bound thread: in its lane if the chain has parked it, else in turn."""
        lane = CURRENT_LANE.get()
        with self._lock:
            if not self.is_open:
                return False
            if self._lane_thread is not None:
                if _runs_this_loop(self._lane_thread):
                    _refuse_own_thread(work)
                    return True
                target = nearest_lane(lane, self._lane_thread)
                work.redirect = _to_process_thread
                return target is not None and target.offer(work)[0]
            self._running += 1
        work.add_end_callback(self.ended)
        with self._lock:
            thread = self._thread
            if thread is None:
                self._early.append(work)
        if thread is None:
            self._ask_for_thread()
        elif _runs_this_loop(thread.ident):
            _refuse_own_thread(work)
        else:
            self._run_on(thread, work, lane)
        return True

    def _ask_for_thread(self) -> None:
        asked = True
        try:
            with self._lock:
                asked, self._asked = self._asked, True
            taken = None if asked else _threads.take(self)
            if taken is not None:
                self.adopt(taken)
        except BaseException:
            if not asked and self._thread is None:
                self._asked = False  # no more threads, or struck by a signal handler: ask again
            raise

    def _run_on(self, thread: OwnedThread, work: Work, lane: Lane | None) -> None:
        _offer_to_asgiref(work, thread.ident)
        parked = nearest_lane(lane, thread.ident)
        if parked is not None:
            # If the lane closes first, its thread is free again and takes the work in turn.
            work.redirect = thread.submit
            if parked.offer(work)[0]:
                return
        thread.submit(work)

    def adopt(self, thread: OwnedThread) -> None:
        """Take over a thread and give it what has been waiting for one."""
        surplus: OwnedThread | None = thread
        with self._lock:
            if self._thread is None:
                self._thread = thread
                surplus = self._take_free_thread()
            thread = self._thread or thread
            early, self._early = self._early, []
        for work in early:
            thread.submit(work)
        if surplus is not None:
            _threads.give_back(surplus)


_threads = _OwnedThreads()
_process_binding: ThreadBinding | None = None
_process_lock = threading.Lock()


def process_binding() -> ThreadBinding:
    """The one thread that context-affine calls share when no context is open."""
    global _process_binding
    with _process_lock:
        if _process_binding is None:
            _process_binding = ThreadBinding()
        return _process_binding


def close_owned_threads() -> None:
    """Interpreter exit: let idle threads end."""
    _threads.close()


def _forget_threads() -> None:
    global _threads, _process_binding, _process_lock
    _threads = _OwnedThreads()
    _process_binding = None
    _process_lock = threading.Lock()


process.after_fork(_forget_threads)


def _to_chain(work: Work) -> None:
    lane = CURRENT_LANE.get()
    if lane is not None:
        lane = nearest_lane(lane)
        if lane is not None:
            work.redirect = _to_chain_or_pool
            accepted, at_once = lane.offer(work)
            if accepted and at_once:
                return
    shared_pool().submit(work)


def _to_chain_or_pool(work: Work) -> None:
    # The lane had closed before it came to the work; its thread has gone on with its own call.
    shared_pool().submit(work)


def _to_context(work: Work) -> None:
    binding = CURRENT_BINDING.get()
    while binding is not None:
        if binding.submit(work):
            return
        binding = binding.parent
    lane = root_thread_lane(CURRENT_LANE.get())
    if lane is not None:
        if _runs_this_loop(lane.thread_id):
            _refuse_own_thread(work)
            return
        _offer_to_asgiref(work, lane.thread_id)
        work.redirect = _to_process_thread
        if lane.offer(work)[0]:
            return
    _to_process_thread(work)


def _offer_to_asgiref(work: Work, thread_id: int) -> None:
    """Let a thread do the work where it waits in ``async_to_sync`` of asgiref's.

    The thread may also be in a lane, around that wait or inside it. Which is the inner one cannot
    be told, so both get the work, and the one that the thread serves runs it.
    """
    executor = parked_in_asgiref(thread_id)
    if executor is not None:
        with suppress(RuntimeError):  # the wait has ended meanwhile
            executor.submit(work.run)


def _runs_this_loop(thread_id: int | None) -> bool:
    """Whether a thread runs the loop whose task makes this call (and is not just this one)."""
    return thread_id == get_ident() and (_get_running_loop() is not None or runs_trio())


def _refuse_own_thread(work: Work) -> None:
    work.fail(
        DeadlockError(
            "the thread that this call needs runs the event loop that makes the call (was the "
            "loop started there with asyncio.run?), so the call could never start. Run the "
            'coroutine with async_to_sync there, or choose the affinity "chain" for this call.'
        )
    )


def _to_process_thread(work: Work) -> None:
    process_binding().submit(work)


def _to_main(work: Work) -> None:
    # The lane that the main thread opened last may close before it comes to the work; the main
    # thread is then in the one before it.
    work.redirect = _to_main
    while (lane := main_thread_lane()) is not None and not _runs_this_loop(lane.thread_id):
        if lane.offer(work)[0]:
            return
    _refuse_main(work)


def _refuse_main(work: Work) -> None:
    work.fail(
        DeadlockError(
            'affinity="main": the main thread is not waiting in async_to_sync (or it runs the '
            "event loop itself), so the call could never start. Call the function there directly, "
            'or use affinity="context" if it only needs one and the same thread.'
        )
    )


_routes = {"chain": _to_chain, "context": _to_context, "main": _to_main}


def dispatch(work: Work, affinity: Affinity) -> None:
    """Send work to a thread. Called in the host task.

    :raises ValueError: no such affinity.
    """
    try:
        route = _routes[affinity]
    except KeyError:
        raise ValueError(
            f'affinity must be "chain", "context" or "main", not {affinity!r}'
        ) from None
    route(work)


def token_of_chain(limiter: CapacityLimiter) -> CapacityLimiter:
    """What a call has to take a token of: ``limiter``, unless a caller further up holds one.

    That caller's thread is parked, so its token is idle, and asking for a second one could wait
    for ever. Calls below it run under that token, one at a time.
    """
    lane = CURRENT_LANE.get()
    while lane is not None:
        work = lane.work
        if work is not None and lane.is_open and work.limiter is limiter:
            if work.lent is not None:
                return work.lent
            # Atomic, because tasks of several loops may be below that caller.
            lent: CapacityLimiter = work.__dict__.setdefault("lent", CapacityLimiter(1))
            return lent
        lane = lane.parent
    return limiter
