"""How busy the worker threads are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import dropwhile

from bridgekit.engine.call import left_behind
from bridgekit.engine.waits.copying import copy_of
from bridgekit.engine.workers import WorkerPool

__all__ = ["ThreadStatistics", "pool_statistics"]


@dataclass(frozen=True, slots=True)
class ThreadStatistics:
    """What the worker pool looks like at one instant.

    Read without stopping anything: under load, the numbers may be those of neighbouring instants.
    """

    max_workers: int
    """The bound on threads."""
    threads: int
    """Threads alive, those that are idle included."""
    idle: int
    """Threads that wait for something to do."""
    running: int
    """Threads that run a call, those that wait for a coroutine included."""
    queued: int
    """Calls that wait for a thread."""
    longest_wait: float
    """Seconds that the oldest of them has waited; 0.0 if none waits."""
    abandoned: int
    """Calls that still run although their task has left them behind, on whichever thread."""


def pool_statistics(pool: WorkerPool) -> ThreadStatistics:
    """The state of a pool now. Any thread may call this."""
    threads = pool.threads
    idle = min(pool.idle, threads)
    queue = list(dropwhile(lambda work: not work.waits_for_thread, copy_of(pool._queue)))
    # Only the last call of those that were queued together has the time of it, also when that one
    # has been withdrawn meanwhile.
    since = next((work.queued_since for work in queue if work.queued_since), None)
    return ThreadStatistics(
        max_workers=pool.max_workers,
        threads=threads,
        idle=idle,
        running=threads - idle,
        queued=sum(work.waits_for_thread for work in queue),
        longest_wait=0.0 if since is None else max(0.0, time.monotonic() - since),
        abandoned=len(left_behind),
    )
