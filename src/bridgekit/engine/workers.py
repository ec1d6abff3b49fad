"""Worker threads: the shared bounded pool.

The pool is the engine's own, not the loop's default executor, so that name resolution and other
library work never queue behind user calls. Threads start on demand, the one used last is used
next, and idle ones end after a while.

A call is handed to one idle thread directly: taking the thread off the idle list (which is
atomic) gives the right to set its ``next``. Calls that find no idle thread wait in a queue. A
thread says that it is idle first and looks at the queue afterwards; a caller queues first and
looks for idle threads afterwards.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from bridgekit.engine import process
from bridgekit.engine.waits.watch import watch
from bridgekit.engine.wakers import thread_waker

if TYPE_CHECKING:
    from bridgekit.engine.wakers import Waker
    from bridgekit.engine.work import Work

__all__ = ["DEFAULT_MAX_WORKERS", "WorkerPool", "shared_pool"]

DEFAULT_MAX_WORKERS = 40
IDLE_SECONDS = 30.0


class _PoolWorker:
    """One thread of a pool."""

    def __init__(self, pool: WorkerPool, number: int, first: Work) -> None:
        self._pool = pool
        self.next: Work | None = first
        self.waker: Waker | None = None
        self.leaving = False
        self.lost = False
        self.idle_since = 0
        self.thread = threading.Thread(
            target=self._serve, name=f"bridgekit-worker-{number}", daemon=True
        )

    def take(self, work: Work) -> None:
        """Give this worker something to do. Only for who took it off the idle list."""
        given = None
        try:
            self.next = given = work
            self.waker.ring()  # type: ignore[union-attr]
        except BaseException:
            self.struck(given)
            raise

    def struck(self, given: Work | None) -> None:
        """A signal handler raised in who took it off the idle list, perhaps before it was rung."""
        if given is not None:
            self.waker.ring()  # type: ignore[union-attr]
        else:
            self._pool.put_back(self)

    def dismiss(self) -> None:
        """Have this worker end. Only for who took it off the idle list."""
        self.leaving = True
        assert self.waker is not None
        self.waker.ring()

    def _serve(self) -> None:
        generation = process.generation()
        try:
            self._serve_pool(generation)
        finally:
            # Normally this has been said already; not when an exception was raised in the engine's
            # code from outside (``PyThreadState_SetAsyncExc``).
            if generation == process.generation():
                self._pool.lost(self)

    def _serve_pool(self, generation: int) -> None:
        pool = self._pool
        waker = self.waker = thread_waker()
        work: Work | None
        while True:
            work, self.next = self.next, None
            while work is not None:
                try:
                    work.run()
                except BaseException as error:
                    if not work.abort(error):
                        pool.submit_later(work)
                del work  # an idle worker must not keep arguments alive
                if generation != process.generation():
                    return
                work = pool.next_for(self)
            while self.next is None and not self.leaving:
                waker.wait()
                if generation != process.generation():
                    return
            if self.next is None:
                return


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
        self._lock = threading.Lock()  # for starting and ending threads
        self._idle: list[_PoolWorker] = []
        self._workers: set[_PoolWorker] = set()
        self._queue: deque[Work] = deque()
        self._started = 0
        self._epoch = 0
        self._reaper: threading.Thread | None = None
        self._closed = False
        self._close_called = threading.Event()

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
                self._dismiss_one()
            while self._queue and len(self._workers) < value:
                try:
                    work = self._queue.popleft()
                except IndexError:
                    break
                self._start(work)

    @property
    def threads(self) -> int:
        """How many threads are alive now."""
        return len(self._workers)

    @property
    def queued(self) -> int:
        """How many calls wait for a thread now."""
        return len(self._queue)

    @property
    def idle(self) -> int:
        """How many threads have nothing to do now."""
        return len(self._idle)

    def submit(self, work: Work) -> None:
        """Run work on a thread of the pool as soon as one is free. Any thread may call this.

        An idle thread is woken by dropping the interpreter lock, so a short call has often ended
        when this returns.
        """
        given = None
        try:
            worker = self._idle.pop()
        except IndexError:
            self._submit_without_idle(work)
        else:
            try:  # as in `take`, without a call
                worker.next = given = work
                worker.waker.ring()  # type: ignore[union-attr]
            except BaseException:
                worker.struck(given)
                raise
            if worker.lost:
                self.submit(work)

    def _submit_without_idle(self, work: Work) -> None:
        # Interpreter exit: late callers get a thread, but it is not kept.
        if self._closed or len(self._workers) < self._max_workers:
            with self._lock:
                if self._closed or len(self._workers) < self._max_workers:
                    try:
                        self._start(work)
                    except RuntimeError:  # the system has no more threads
                        if not self._may_queue():
                            raise
                    else:
                        return
        self.submit_later(work)
        self.wake_for_queue()

    def _may_queue(self) -> bool:
        # No thread could be started. Those that there are will have time; but perhaps never for an
        # exit handler, and nothing would end its wait.
        current = process.current
        handler = current.exiting and threading.get_ident() == current.main_thread_id
        return bool(self._workers) and not handler

    def submit_later(self, work: Work) -> None:
        """Queue work; somebody must call :meth:`wake_for_queue` soon. Any thread may call this."""
        self._queue.append(work)

    def wake_for_queue(self) -> None:
        """Give queued calls to idle threads and to new ones. Any thread may call this."""
        queue = self._queue
        while queue:
            if not self._idle and len(self._workers) >= self._max_workers and not self._closed:
                # All are busy; each looks at the queue before it falls idle.
                if not self._idle:
                    self._note_wait()
                    return
                continue
            try:
                work = queue.popleft()
            except IndexError:
                return
            try:
                worker = self._idle.pop()
            except IndexError:
                with self._lock:
                    if self._closed or len(self._workers) < self._max_workers:
                        try:
                            self._start(work)
                        except RuntimeError as error:
                            if not self._may_queue():
                                work.fail(RuntimeError(str(error)))
                                continue
                        else:
                            continue
                queue.appendleft(work)
                if not self._idle:
                    self._note_wait()
                    return
            else:
                worker.take(work)
                if worker.lost:
                    queue.appendleft(work)

    def put_back(self, worker: _PoolWorker) -> None:
        """A worker has been taken off the idle list, and given nothing."""
        self._idle.append(worker)
        self.wake_for_queue()

    def _note_wait(self) -> None:
        # The last one has been queued just now, with all that have no time before it.
        try:
            last = self._queue[-1]
        except IndexError:
            return
        if not last.queued_since:
            last.queued_since = time.monotonic()
        watch(self)

    def _start(self, work: Work) -> None:
        self._started += 1
        worker = _PoolWorker(self, self._started, work)
        self._workers.add(worker)
        try:
            worker.thread.start()
        except BaseException:
            self._workers.discard(worker)
            raise
        if self._reaper is None and not self._closed:
            self._start_reaper()

    def lost(self, worker: _PoolWorker) -> None:
        """A worker's thread is about to end, for whatever reason; others do what it was given.

        Work may then be submitted twice, here and by who gave it; only one can claim it.
        """
        worker.lost = True
        with self._lock:
            self._workers.discard(worker)
            if worker in self._idle:
                self._idle.remove(worker)
        if worker.next is not None:
            self.submit(worker.next)
        elif self._queue:
            self.wake_for_queue()

    def next_for(self, worker: _PoolWorker) -> Work | None:
        """The next call for a worker that has just ended one; None: it is idle, or is to end."""
        queue = self._queue
        if self._closed or len(self._workers) > self._max_workers:
            with self._lock:
                surplus = len(self._workers) > self._max_workers
                if surplus or (self._closed and not queue):
                    worker.leaving = True
                    self._workers.discard(worker)
                    return None
        try:
            return queue.popleft()
        except IndexError:
            pass
        worker.idle_since = self._epoch
        self._idle.append(worker)
        if queue or self._closed:
            self._look_again()
        return None

    def _look_again(self) -> None:
        # Work was queued, or the pool closed, in the moment before the worker was on the list.
        if self._closed:
            with self._lock:
                while self._idle:
                    self._dismiss_one()
        self.wake_for_queue()

    def _dismiss_one(self) -> bool:
        """Let the thread end that has been idle longest. Call with the lock held."""
        try:
            worker = self._idle.pop(0)
        except IndexError:
            return False
        self._workers.discard(worker)
        worker.dismiss()
        return True

    # -- the reaper: its thread lives while the pool has threads -------------------------------

    def _start_reaper(self) -> None:
        reaper = threading.Thread(target=self._reap, name="bridgekit-reaper", daemon=True)
        try:
            reaper.start()
        except RuntimeError:
            return  # no thread to be had: idle ones stay until there is
        self._reaper = reaper

    def _reap(self) -> None:
        generation = process.generation()
        while True:
            self._close_called.wait(self.idle_seconds / 2)
            if generation != process.generation():
                return
            with self._lock:
                self._epoch += 1
                while self._longest_idle() >= 3 and self._dismiss_one():
                    pass
                if not self._workers or self._closed:
                    self._reaper = None
                    return

    def _longest_idle(self) -> int:
        try:
            return self._epoch - self._idle[0].idle_since
        except IndexError:
            return -1

    def close(self, timeout: float) -> None:
        """End idle workers now and busy ones when they are done; wait up to ``timeout`` seconds."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
            while self._idle:
                self._dismiss_one()
        self._close_called.set()
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
