"""A capacity limiter that may be shared by tasks of several event loops."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from weakref import WeakSet

from bridgekit.engine import process
from bridgekit.engine.hosts import current_host, runs_trio
from bridgekit.engine.waits.tasks import Task, has_deadline, reader_of
from bridgekit.engine.waits.watch import watch
from bridgekit.errors import DeadlockError

__all__ = ["CapacityLimiter", "CapacityLimiterStatistics"]


def _current_task() -> Any:
    loop = asyncio._get_running_loop()
    if loop is not None:
        return asyncio.current_task(loop)
    return sys.modules["trio"].lowlevel.current_task() if runs_trio() else None


@dataclass(frozen=True)
class CapacityLimiterStatistics:
    """What a limiter looks like at one instant."""

    borrowed_tokens: int
    total_tokens: float
    tasks_waiting: int


class CapacityLimiter:
    """At most ``total_tokens`` holders at one time; waiters are served in order.

    Safe to use from tasks of different event loops; :meth:`release` may be called on any thread.
    A token goes straight from the one that releases it to the first waiter, so nobody overtakes.
    """

    def __init__(self, total_tokens: float) -> None:
        self._lock = threading.Lock()
        self._borrowed = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._task_holders: dict[Task, int] = {}
        self._known_holders = True
        self._total: float = 1
        self._strangers = 0
        self.total_tokens = total_tokens
        _limiters.add(self)

    def _forget_parent(self) -> None:
        # Who holds the tokens, or waits for one, does not exist in a forked child; but for the
        # thread that forked, which may yet give its tokens back.
        self._lock = threading.Lock()
        self._strangers += self._borrowed
        self._borrowed = 0
        self._waiters.clear()
        self._task_holders.clear()

    @property
    def total_tokens(self) -> float:
        """The number of tokens (an integer or ``math.inf``); may be changed at any time."""
        return self._total

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        if not (value == float("inf") or (isinstance(value, int) and value >= 1)):
            raise ValueError("total_tokens must be an integer of at least 1, or math.inf")
        with self._lock:
            self._total = value
            granted = []
            while self._waiters and self._borrowed < self._total:
                self._borrowed += 1
                granted.append(self._waiters.popleft())
        for waiter in granted:
            self._grant(waiter)

    @property
    def borrowed_tokens(self) -> int:
        """How many tokens are out now."""
        return self._borrowed

    @property
    def available_tokens(self) -> float:
        """How many tokens could be had at once now."""
        return max(0, self._total - self._borrowed)

    def statistics(self) -> CapacityLimiterStatistics:
        """A consistent snapshot."""
        with self._lock:
            return CapacityLimiterStatistics(self._borrowed, self._total, len(self._waiters))

    async def acquire(self) -> None:
        """Take a token, waiting for one if necessary. Cancelled while waiting: no token is kept.

        :raises DeadlockError: this task holds all the tokens itself, in ``async with``, and no
            timeout is going to end its wait; or the wait turns out to be part of a deadlock.
        """
        with self._lock:
            if self._borrowed < self._total and not self._waiters:
                self._borrowed += 1
                return
            waiter: asyncio.Future[None] = current_host().turn()
            self._refuse_own_token()
            self._waiters.append(waiter)
        watch(self)
        try:
            await waiter
        except BaseException:
            with self._lock:
                try:
                    self._waiters.remove(waiter)
                    granted = False
                except ValueError:
                    granted = True
            if granted:
                # The token was already on its way to this task: pass it on.
                self.release()
            raise

    def acquire_nowait(self) -> bool:
        """Take a token if one is free; returns whether it did."""
        with self._lock:
            if self._borrowed < self._total and not self._waiters:
                self._borrowed += 1
                return True
            return False

    def release(self) -> None:
        """Give a token back. Any thread may call this.

        :raises RuntimeError: no token is out.
        """
        with self._lock:
            if self._borrowed == 0:
                if self._strangers > 0:
                    self._strangers -= 1
                    return
                raise RuntimeError("release() without a token")
            if not self._waiters or self._borrowed > self._total:
                self._borrowed -= 1
                return
            waiter = self._waiters.popleft()  # it inherits the token
        self._grant(waiter)

    def _grant(self, waiter: asyncio.Future[None]) -> None:
        try:
            waiter.get_loop().call_soon_threadsafe(_set_granted, waiter)
        except RuntimeError:
            # The waiter's loop is closed: nobody will use the token.
            self.release()

    def task_holders(self) -> dict[Task, int]:
        """How many tokens each task holds in ``async with``. Any thread may call this.

        Empty when it cannot be told, as after a block that one task entered and another left.
        """
        return self._task_holders.copy() if self._known_holders else {}

    def _refuse_own_token(self) -> None:
        """Where the current task can only wait for itself: raise at once."""
        task = _current_task() if self._known_holders else None
        if task is None or self._task_holders.get(task) != self._borrowed:
            return
        if not has_deadline(task):
            raise DeadlockError(
                f"task {reader_of(task).name(task)!r} asks for a token of a limiter, all of whose "
                f"{self._borrowed} tokens it holds itself in `async with`: it would wait for ever"
            )

    async def __aenter__(self) -> None:
        if not self.acquire_nowait():
            await self.acquire()
        task = _current_task()
        if task is not None:
            self._task_holders[task] = self._task_holders.get(task, 0) + 1

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        task = _current_task()
        if task is not None:
            left = self._task_holders.pop(task, 0) - 1
            if left > 0:
                self._task_holders[task] = left
            elif left < 0:
                self._known_holders = False
        self.release()


_limiters: WeakSet[CapacityLimiter] = WeakSet()


def _forget_parents() -> None:
    for limiter in list(_limiters):
        limiter._forget_parent()


process.after_fork(_forget_parents)


def _set_granted(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
