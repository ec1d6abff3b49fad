"""Connections whose user was garbage-collected without giving them back.

SQLAlchemy returns such a connection of a synchronous driver to its pool quietly. With an asyncio
driver it cannot, since the collector may run anywhere and must not wait: it terminates the
connection and warns. Here the loop that opened the connection rolls it back and returns it, soon
after. Only where that loop no longer runs, SQLAlchemy's way is left.
"""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import Future
from typing import Any

from sqlalchemy.pool import Pool
from sqlalchemy.pool.base import _finalize_fairy
from sqlalchemy.util import greenlet_spawn

#: Where a pool's record keeps a weak reference to the loop that opened its connection.
LOOP = "bridgekit_loop"


class Returns:
    """The connections of one pool that are on their way back from the garbage collector."""

    def __init__(self) -> None:
        self._pending: set[Future[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pool_is_disposed = False

    def watch(self, fairy: Any, pool: Pool) -> None:
        """Take over what happens when ``fairy``, a connection just checked out, is collected."""
        fairy._finalizer.detach()
        fairy._finalizer = weakref.finalize(
            fairy, self._collected, fairy._connection_record, pool, fairy._echo
        )
        # A connection in use at exit is left alone.
        fairy._finalizer.atexit = False

    def pending(self) -> list[Future[None]]:
        """What has been collected and is not back yet; the futures never have an exception."""
        return list(self._pending)

    def _collected(self, record: Any, pool: Pool, echo: Any) -> None:
        """Called by the collector, on any thread, inside any code: takes no lock, never waits."""
        opened_on = record.info.get(LOOP)
        loop = opened_on() if opened_on is not None else None
        if loop is not None and loop.is_running():
            done: Future[None] = Future()
            # From here on nobody can cancel it.
            done.set_running_or_notify_cancel()
            self._pending.add(done)
            try:
                loop.call_soon_threadsafe(self._begin, record, pool, echo, done)
            except RuntimeError:
                # It was closed in this moment.
                self._settle(done)
            else:
                return
        _finalize_fairy(None, record, pool, echo, is_gc_cleanup=True)

    def _begin(self, record: Any, pool: Pool, echo: Any, done: Future[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._give_back(record, pool, echo))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._settle(done))

    async def _give_back(self, record: Any, pool: Pool, echo: Any) -> None:
        await greenlet_spawn(_check_in, record, pool, echo)
        if self.pool_is_disposed:
            await greenlet_spawn(pool.dispose)

    def _settle(self, done: Future[None]) -> None:
        self._pending.discard(done)
        done.set_result(None)


def _check_in(record: Any, pool: Pool, echo: Any) -> None:
    # Under a StaticPool somebody else may have taken the same record meanwhile.
    if record.needs_gc:
        _finalize_fairy(record.dbapi_connection, record, pool, echo)
