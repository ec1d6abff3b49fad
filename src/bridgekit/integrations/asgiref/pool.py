"""Where calls with ``thread_sensitive=False`` run: the worker pool, never a parked thread of the
user's or one that thread-sensitive calls share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, cast

from bridgekit.engine.lane import CURRENT_LANE, Lane
from bridgekit.engine.work import Work
from bridgekit.engine.workers import shared_pool

__all__ = ["POOL"]


class _Job:
    """What pools and lanes ask of a piece of work, for a call that may be run more than once.

    The engine's work runs at the first of these calls and ignores the others.
    """

    __slots__ = ("run",)

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run = run

    def abort(self, error: BaseException) -> bool:
        """Struck from outside around the call, which reports itself."""
        owner = getattr(self.run, "__self__", None)
        return not isinstance(owner, Work) or owner.abort(error)

    def hand_on(self) -> None:
        """The lane has closed; the pool still has the call."""


class _PoolExecutor(Executor):
    """Gives calls to the pool; where all its threads are taken, also to one that waits for us.

    That keeps nested calls alive when every thread of the pool is parked for a caller of such a
    call: one of them is an ancestor of this call and can run it.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Called by the engine in the awaiting task. Returns nothing: the work reports itself."""
        assert not args
        assert not kwargs
        job = cast(Work, _Job(fn))
        pool = shared_pool()
        pool.submit(job)
        if pool.queued:
            lane = _worker_lane()
            if lane is not None:
                lane.offer(job)


def _worker_lane() -> Lane | None:
    """The innermost parked worker thread of this chain of calls."""
    lane = CURRENT_LANE.get()
    while lane is not None:
        if lane.is_open and lane.work is not None:
            return lane
        lane = lane.parent
    return None


POOL = _PoolExecutor()
