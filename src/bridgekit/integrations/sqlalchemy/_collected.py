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

from sqlalchemy.pool import Pool, base
from sqlalchemy.util import greenlet_spawn

#: Where a pool's record keeps a weak reference to the loop that opened its connection.
LOOP = "bridgekit_loop"

_finalize: Any = base._finalize_fairy
#: SQLAlchemy 2.0 learns of the end by the callback of a weak reference that its record keeps, and
#: keeps the record here meanwhile; 2.1 has a finalizer.
_records: dict[Any, Any] | None = getattr(base, "_strong_ref_connection_records", None)


class Returns:
    """The connections of one pool that are on their way back from the garbage collector."""

    def __init__(self) -> None:
        self._pending: set[Future[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pool_is_disposed = False

    def watch(self, fairy: Any, pool: Pool) -> None:
        """Take over what happens when ``fairy``, a connection just checked out, is collected."""
        if _records is not None:
            self._watch_by_reference(_records, fairy, pool)
            return
        fairy._finalizer.detach()
        fairy._finalizer = weakref.finalize(
            fairy, self._collected, fairy._connection_record, pool, fairy._echo
        )
        # A connection in use at exit is left alone.
        fairy._finalizer.atexit = False

    def _watch_by_reference(self, records: dict[Any, Any], fairy: Any, pool: Pool) -> None:
        record, echo = fairy._connection_record, fairy._echo

        def ended(reference: Any) -> None:
            records.pop(reference, None)
            # Otherwise it was checked in, or under a StaticPool somebody else has the record now.
            if record.fairy_ref is reference:
                self._collected(record, pool, echo)

        # Two references to one object are equal, and a dictionary would keep the older one.
        records.pop(record.fairy_ref, None)
        record.fairy_ref = weakref.ref(fairy, ended)
        records[record.fairy_ref] = record

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
        if _records is None:
            _finalize(None, record, pool, echo, is_gc_cleanup=True)
        else:
            _finalize(None, record, pool, record.fairy_ref, echo)

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
    if record.fairy_ref is None or record.fairy_ref() is not None:
        return
    if _records is None:
        _finalize(record.dbapi_connection, record, pool, echo)
    else:
        _finalize(record.dbapi_connection, record, pool, None, echo)
