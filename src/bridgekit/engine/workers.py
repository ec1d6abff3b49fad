"""Worker threads: the shared bounded pool, and threads that one owner has to itself.

The pool is the engine's own, not the loop's default executor, so that name resolution and other
library work never queue behind user calls. Threads start on demand, the one used last is used
next, and idle ones end after a while.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from bridgekit.engine import process

if TYPE_CHECKING:
    from bridgekit.engine.work import Work

__all__ = ["DEFAULT_MAX_WORKERS", "OwnedThread", "WorkerPool", "shared_pool"]

DEFAULT_MAX_WORKERS = 40
IDLE_SECONDS = 30.0


class OwnedThread:
    """A thread that runs the work it is given in order, until it is told to stop."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        assert self._thread.ident is not None
        self.ident: int = self._thread.ident

    def submit(self, work: Work) -> None:
        """Queue work. Any thread may call this."""
        self._queue.put(work)

    def stop(self) -> None:
        """End the thread after what is queued."""
        self._queue.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work.run()
            del work


class _PoolWorker:
    """One thread of a pool. Everything but its mailbox is guarded by the pool's lock."""

    def __init__(self, pool: WorkerPool, number: int, first: Work) -> None:
        self._pool = pool
        self.mailbox: SimpleQueue[Work | None] = SimpleQueue()
        self.mailbox.put(first)
        self.thread = threading.Thread(
            target=self._serve, name=f"bridgekit-worker-{number}", daemon=True
        )

    def _serve(self) -> None:
        work: Work | None
        while True:
            try:
                work = self.mailbox.get(timeout=self._pool.idle_seconds)
            except Empty:
                if self._pool.retire(self):
                    return
                continue  # work was given in the same moment
            if work is None:
                return
            while work is not None:
                work.run()
                del work  # an idle worker must not keep arguments alive
                work = self._pool.next_for(self)


class WorkerPool:
    """At most ``max_workers`` threads that take work in the order it came.

    Liveness: a pool may be full of threads that wait for coroutines, and those coroutines may
    need further work done. That work is offered to the waiting threads' lanes, so the pool never
    has to grow for it, whatever its size.
    """

    def __init__(
        self, max_workers: int = DEFAULT_MAX_WORKERS, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        if max_workers < 1:
            raise ValueError("a pool needs at least one worker")
        self.idle_seconds = idle_seconds
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._idle: list[_PoolWorker] = []
        self._workers: set[_PoolWorker] = set()
        self._queue: deque[Work] = deque()
        self._started = 0
        self._closed = False

    @property
    def max_workers(self) -> int:
        """The bound on threads. Lowering it lets surplus threads end when they fall idle."""
        return self._max_workers

    @max_workers.setter
    def max_workers(self, value: int) -> None:
        if value < 1:
            raise ValueError("a pool needs at least one worker")
        with self._lock:
            self._max_workers = value
            while self._idle and len(self._workers) > value:
                worker = self._idle.pop(0)
                self._workers.discard(worker)
                worker.mailbox.put(None)
            while self._queue and len(self._workers) < value:
                self._start(self._queue.popleft())

    @property
    def threads(self) -> int:
        """How many threads are alive now."""
        return len(self._workers)

    @property
    def queued(self) -> int:
        """How many calls wait for a thread now."""
        return len(self._queue)

    def submit(self, work: Work) -> None:
        """Run work on a thread of the pool as soon as one is free. Any thread may call this."""
        with self._lock:
            if self._closed:
                # Interpreter exit: late callers get a thread, but it is not kept.
                self._start(work)
            elif self._idle:
                self._idle.pop().mailbox.put(work)
            elif len(self._workers) < self._max_workers:
                self._start(work)
            else:
                self._queue.append(work)

    def _start(self, work: Work) -> None:
        self._started += 1
        worker = _PoolWorker(self, self._started, work)
        self._workers.add(worker)
        try:
            worker.thread.start()
        except BaseException:
            self._workers.discard(worker)
            raise

    def next_for(self, worker: _PoolWorker) -> Work | None:
        """The next call for a worker that has just ended one; None parks it as idle."""
        with self._lock:
            if len(self._workers) > self._max_workers:
                self._workers.discard(worker)
                worker.mailbox.put(None)
            elif self._queue:
                return self._queue.popleft()
            elif self._closed:
                worker.mailbox.put(None)
            else:
                self._idle.append(worker)
            return None

    def retire(self, worker: _PoolWorker) -> bool:
        """Let a worker end that has had nothing to do, unless it has just been given work."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._workers.discard(worker)
            return True

    def close(self, timeout: float) -> None:
        """End idle workers now and busy ones when they are done; wait up to ``timeout`` seconds."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            workers = list(self._workers)
        for worker in idle:
            worker.mailbox.put(None)
        deadline = time.monotonic() + timeout
        for worker in workers:
            worker.thread.join(max(0.0, deadline - time.monotonic()))


_pool: WorkerPool | None = None
_pool_lock = threading.Lock()


def shared_pool() -> WorkerPool:
    """The pool of this process, made on first use."""
    global _pool
    pool = _pool
    if pool is None:
        with _pool_lock:
            if _pool is None:
                _pool = WorkerPool()
            pool = _pool
    return pool


def _forget_pool() -> None:
    global _pool, _pool_lock
    size = DEFAULT_MAX_WORKERS if _pool is None else _pool.max_workers
    _pool = None if size == DEFAULT_MAX_WORKERS else WorkerPool(size)
    _pool_lock = threading.Lock()


process.after_fork(_forget_pool)
