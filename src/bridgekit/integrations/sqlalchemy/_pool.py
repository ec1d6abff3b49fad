"""Connection pools that threads and tasks share.

SQLAlchemy's asyncio pools wait with ``asyncio`` primitives, its other pools by blocking the
thread. The ones here wait in the colour of the caller, and a connection given back by a thread
wakes a waiting task and the other way round.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import event
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import (
    AsyncAdaptedQueuePool,
    ConnectionPoolEntry,
    NullPool,
    Pool,
    PoolProxiedConnection,
    QueuePool,
    StaticPool,
)
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.queue import Empty, Full, QueueCommon

from bridgekit.engine.resources import on_loop_close

from ._bridging import drive, on_loop, refuse_on_loop
from ._collected import LOOP, Returns
from ._dbapi import two_coloured

T = TypeVar("T")
K = TypeVar("K")

#: How long a thread or task waits for a shared connection to come back from the collector.
_RETURN_SECONDS = 5.0


class _ThreadTaker(Future[T]):
    """A thread that waits for an item."""

    def hand(self, item: T) -> bool:
        """Give it the item; False where it no longer waits. Called under the queue's guard."""
        if not self.set_running_or_notify_cancel():
            return False
        self.set_result(item)
        return True


class _TaskTaker(Generic[T]):
    """A task that waits for an item, on its loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[None] = self._loop.create_future()
        #: The item, once there is one.
        self.given: list[T] = []

    def hand(self, item: T) -> bool:
        """Give it the item; False where its loop is closed. Called under the queue's guard."""
        if asyncio._get_running_loop() is self._loop:
            self.wake()
        else:
            try:
                self._loop.call_soon_threadsafe(self.wake)
            except RuntimeError:
                return False
        self.given.append(item)
        return True

    def wake(self) -> None:
        """On the loop: let the task look whether it was given something."""
        if not self.woken.done():
            self.woken.set_result(None)

    async def wait(self, timeout: float | None) -> None:
        """Return when woken, or after ``timeout`` seconds."""
        alarm = None if timeout is None else self._loop.call_later(timeout, self.wake)
        try:
            await self.woken
        finally:
            if alarm is not None:
                alarm.cancel()


class SharedQueue(QueueCommon[T], Generic[T]):
    """The queue of a pool: items wait for takers, or takers of either colour for items.

    Takers are served in the order of their arrival. An item handed to a taker that is cancelled
    in that moment goes to the next one: none is lost. All methods are safe from any thread;
    ``get`` must not block on a thread that runs a loop outside a greenlet.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._guard = threading.Lock()
        self._items: deque[T] = deque()
        self._takers: deque[_ThreadTaker[T] | _TaskTaker[T]] = deque()

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._items)

    def qsize(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        with self._guard:
            while self._takers:
                if self._takers.popleft().hand(item):
                    return
            if self.full():
                raise Full
            self._items.append(item)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item. Never waits: a pool puts back only what it has room for, or closes it."""
        self.put_nowait(item)

    def get_nowait(self) -> T:
        with self._guard:
            return self._take()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take an item, waiting up to ``timeout`` seconds for one.

        Raises:
            Empty: there was none in time.
        """
        if not block:
            return self.get_nowait()
        if on_loop():
            with self._guard:
                if self._items:
                    return self._take()
                task_taker = self._stand_in_line(_TaskTaker[T]())
            return await_only(self._wait(task_taker, timeout))
        with self._guard:
            if self._items:
                return self._take()
            taker = self._stand_in_line(_ThreadTaker[T]())
        try:
            return taker.result(timeout)
        except BaseException as error:
            self._withdraw(taker)
            if isinstance(error, FutureTimeout):
                raise Empty from None
            raise

    async def get_async(self, timeout: float | None = None) -> T:
        """``get`` for a coroutine, on any loop."""
        with self._guard:
            if self._items:
                return self._take()
            taker = self._stand_in_line(_TaskTaker[T]())
        return await self._wait(taker, timeout)

    async def _wait(self, taker: _TaskTaker[T], timeout: float | None) -> T:
        try:
            await taker.wait(timeout)
        except BaseException:
            given = self._leave_line(taker)
            if given:
                self.put_nowait(given[0])
            raise
        given = self._leave_line(taker)
        if not given:
            raise Empty
        return given[0]

    def _leave_line(self, taker: _TaskTaker[T]) -> list[T]:
        with self._guard:
            if not taker.given and taker in self._takers:
                self._takers.remove(taker)
            return taker.given

    def _stand_in_line(self, taker: K) -> K:
        self._takers.append(cast(Any, taker))
        return taker

    def _take(self) -> T:
        if not self._items:
            raise Empty
        return self._items.pop() if self.use_lifo else self._items.popleft()

    def _withdraw(self, taker: _ThreadTaker[T]) -> None:
        with self._guard:
            if taker in self._takers:
                self._takers.remove(taker)
            handed = taker.done() and not taker.cancelled()
            if not handed:
                taker.cancel()
        if handed:
            self.put_nowait(taker.result())


class SharedLock:
    """A mutual exclusion between threads and tasks of any loops; not reentrant.

    ``with`` is for threads and for greenlets of SQLAlchemy's, ``async with`` for coroutines.
    """

    def __init__(self) -> None:
        self._token: SharedQueue[None] = SharedQueue(1)
        self._token.put_nowait(None)

    def __enter__(self) -> bool:
        self._token.get()
        return True

    async def __aenter__(self) -> None:
        await self._token.get_async()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._token.put_nowait(None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._token.put_nowait(None)


class TwoColourPool(Pool):
    """What the two-coloured pools have in common; goes in front of a pool class.

    A connection may be asked for in a thread without a loop, or in a greenlet of SQLAlchemy's on
    a loop. Anywhere else ``connect`` raises ``SyncCallOnLoopError``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._returns = Returns()
        event.listen(self, "connect", _adopt, insert=True)
        # SQLAlchemy guards the first connection's set-up by an asyncio lock where the dialect
        # is an asyncio one, and a thread cannot take that.
        for name in ("connect", "first_connect"):
            listeners: Any = getattr(self.dispatch, name).for_modify(self.dispatch)
            listeners._exec_once_mutex = SharedLock()

    def connect(self) -> PoolProxiedConnection:
        if on_loop():
            refuse_on_loop("taking a connection from the pool")
            connection = super().connect()
        else:
            # In a greenlet, for the dialect's own connect hooks that call await_() themselves.
            connection = drive(super().connect)
        self._returns.watch(connection, self)
        return connection

    def dispose(self) -> None:
        self._returns.pool_is_disposed = True
        super().dispose()


class TwoColourQueuePool(TwoColourPool, AsyncAdaptedQueuePool):
    """``AsyncAdaptedQueuePool`` for both colours."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.AsyncAdaptedQueuePool"
    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = SharedQueue

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._closing_with: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def _create_connection(self) -> ConnectionPoolEntry:
        record = super()._create_connection()
        loop = record.info[LOOP]()
        if loop not in self._closing_with:
            await_only(self._close_with_loop())
            self._closing_with.add(loop)
        return record

    async def _close_with_loop(self) -> None:
        on_loop_close(functools.partial(_close_idle, weakref.ref(self)))

    def close_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the idle connections that were opened on ``loop``; the pool stays usable."""
        idle: list[ConnectionPoolEntry] = []
        try:
            while True:
                idle.append(self._pool.get_nowait())
        except Empty:
            pass
        for record in idle:
            opened_on = record.info.get(LOOP)
            try:
                if opened_on is not None and opened_on() is loop:
                    # The record opens another connection when it is next taken.
                    record.close()
            finally:
                self._pool.put(record, False)


class TwoColourNullPool(TwoColourPool, NullPool):
    """``NullPool`` for both colours."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.NullPool"


class TwoColourStaticPool(TwoColourPool, StaticPool):
    """``StaticPool`` for both colours: one connection, made once however many ask at first."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.StaticPool"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._creation = SharedLock()

    def _do_get(self) -> ConnectionPoolEntry:
        if "connection" in self.__dict__:
            # Everybody has the same connection: its last user's transaction has to be over.
            for returned in self._returns.pending():
                await_only(_wait_for(returned))
            return super()._do_get()
        with self._creation:
            return super()._do_get()


def two_colour_pool(base: type[Pool]) -> type[Pool]:
    """Return the two-coloured counterpart of a pool class.

    ``QueuePool`` becomes its asyncio form, as its waiting cannot serve a loop; a class that
    is two-coloured is returned as it is; any other asyncio-capable class is subclassed.
    """
    if issubclass(base, TwoColourPool):
        return base
    known = _COUNTERPARTS.get(base)
    if known is not None:
        return known
    return type(f"TwoColour{base.__name__}", (TwoColourPool, base), {})


_COUNTERPARTS: dict[type[Pool], type[Pool]] = {
    QueuePool: TwoColourQueuePool,
    AsyncAdaptedQueuePool: TwoColourQueuePool,
    NullPool: TwoColourNullPool,
    StaticPool: TwoColourStaticPool,
}


async def _close_idle(reference: weakref.ref[TwoColourQueuePool]) -> None:
    pool = reference()
    if pool is not None:
        await greenlet_spawn(pool.close_idle, asyncio.get_running_loop())


def _adopt(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    if not isinstance(dbapi_connection, AdaptedConnection):
        raise ArgumentError(
            f"the engine's creator made {dbapi_connection!r}, a connection of a synchronous "
            "driver; pass async_creator=, a coroutine function that opens one of the asyncio driver"
        )
    if hasattr(dbapi_connection, "_execute_mutex"):
        # The adapter's own is an asyncio lock, and binds to the first loop that waits for it; the
        # connection of a memory database serves every loop.
        cast(Any, dbapi_connection)._execute_mutex = SharedLock()
    two_coloured(dbapi_connection)
    record.info[LOOP] = await_only(_running_loop())


async def _wait_for(returned: Future[None]) -> None:
    await asyncio.wait([asyncio.wrap_future(returned)], timeout=_RETURN_SECONDS)


async def _running_loop() -> weakref.ref[asyncio.AbstractEventLoop]:
    return weakref.ref(asyncio.get_running_loop())
