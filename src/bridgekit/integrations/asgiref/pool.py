"""Where calls with ``thread_sensitive=False`` run: the worker pool, never a parked thread of the
user's or one that thread-sensitive calls share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from bridgekit.engine.lane import CURRENT_LANE, Lane
from bridgekit.engine.work import Work
from bridgekit.engine.workers import shared_pool

__all__ = ["POOL"]


class _PoolExecutor(Executor):
    """Gives calls to the pool; where all its threads are taken, also to one that waits for us.

    That keeps nested calls alive when every thread of the pool is parked for a caller of such a
    call: one of them is an ancestor of this call and can run it.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Called by the engine, in the awaiting task, with the ``run`` of a piece of work.

        Returns nothing: the work reports its end itself. It runs once, where it is taken first.

        :raises TypeError: called with anything else.
        """
        work = getattr(fn, "__self__", None)
        if not isinstance(work, Work) or args or kwargs:
            raise TypeError("this executor runs the engine's calls only")
        pool = shared_pool()
        pool.submit(work)
        if pool.queued:
            lane = _worker_lane()
            if lane is not None:
                lane.offer(work)


def _worker_lane() -> Lane | None:
    """The innermost parked worker thread of this chain of calls."""
    lane = CURRENT_LANE.get()
    while lane is not None:
        if lane.is_open and lane.work is not None:
            return lane
        lane = lane.parent
    return None


POOL = _PoolExecutor()
