"""A thread that one owner has to itself."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from bridgekit.engine import process
from bridgekit.engine.waits.watch import watch
from bridgekit.engine.wakers import thread_waker

if TYPE_CHECKING:
    from bridgekit.engine.wakers import Waker
    from bridgekit.engine.work import Work

__all__ = ["OwnedThread"]


class OwnedThread:
    """A thread that runs the work it is given in order, until it is told to stop."""

    def __init__(self, name: str) -> None:
        self._queue: deque[Work | None] = deque()
        self._parked = False
        self._generation = process.generation()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._waker: Waker | None = None
        self._thread.start()
        assert self._thread.ident is not None
        self.ident: int = self._thread.ident

    def submit(self, work: Work) -> None:
        """Queue work. Any thread may call this."""
        self._put(work)

    def _put(self, item: Work | None) -> None:
        self._queue.append(item)
        if self._parked:
            waker = self._waker
            assert waker is not None
            try:
                self._parked = False
                waker.ring()
            except BaseException:
                waker.ring()  # struck by a signal handler, perhaps before
                raise
        else:
            watch(self)

    def stop(self) -> None:
        """End the thread after what is queued."""
        self._put(None)

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _serve(self) -> None:
        while self._generation == process.generation():
            try:
                if self._serve_queue():
                    return
            except BaseException:
                continue  # struck from outside (``PyThreadState_SetAsyncExc``) between two calls

    def _serve_queue(self) -> bool:
        queue = self._queue
        work: Work | None = None
        waker = self._waker = thread_waker()
        while self._generation == process.generation():
            try:
                work = queue.popleft()
            except IndexError:
                self._parked = True
                if not queue:
                    waker.wait()
                self._parked = False
                continue
            if work is None:
                return True
            try:
                work.run()
            except BaseException as error:
                if not work.abort(error):
                    queue.appendleft(work)
            work = None
        return True
