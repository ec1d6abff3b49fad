"""One portal for all the threads that want one at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from bridgekit.adapters.portal import Backend, BlockingPortal, start_blocking_portal

__all__ = ["BlockingPortalProvider"]


class BlockingPortalProvider:
    """Starts a portal for the first thread that enters it and ends it when the last has left.

    ``with provider as portal`` may be entered by any number of threads, and by one thread several
    times; all get the same portal while at least one is inside. Afterwards the next entry starts
    another. The loop of the process (:func:`default_portal`) needs no provider; this is for a loop
    that must not outlive its users.

    :param backend: the library of the loop of each portal.
    :param loop_factory: makes that loop, if it is one of asyncio.
    """

    def __init__(
        self,
        backend: Backend = "asyncio",
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._backend: Backend = backend
        self._loop_factory = loop_factory
        self._lock = threading.Lock()
        self._leases = 0
        self._starter: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> BlockingPortal:
        # The lock is held while the loop starts: threads that come meanwhile need it too.
        with self._lock:
            if self._portal is None:
                starter = start_blocking_portal(self._backend, loop_factory=self._loop_factory)
                self._portal = starter.__enter__()
                self._starter = starter
            self._leases += 1
            return self._portal

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        starter: AbstractContextManager[BlockingPortal] | None = None
        with self._lock:
            if self._leases == 0:
                raise RuntimeError("this provider has not been entered")
            self._leases -= 1
            if self._leases == 0:
                starter, self._starter, self._portal = self._starter, None, None
        if starter is not None:
            # Not under the lock: the tasks under way may take their time, a new portal need not.
            starter.__exit__(exc_type, exc, tb)
