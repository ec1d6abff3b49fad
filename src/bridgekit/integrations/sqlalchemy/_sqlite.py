"""SQLite connections whose statements take one trip to the connection's thread.

aiosqlite makes a trip for each call of the driver: open a cursor, execute, fetch, close, roll
back. SQLAlchemy's adapter makes all of them for every statement, and the trips cost more than
the statements. Here a statement with its rows is one trip, and the end of a transaction that was
never begun is none. The connection, its thread and its exceptions stay aiosqlite's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
)
from sqlalchemy.util import await_only

from ._bridging import SyncCallOnLoopError, blocks_loop, drive, on_loop

T = TypeVar("T")

#: On aiosqlite's connection: the trips that have begun and not ended, of cancelled calls too.
_UNDER_WAY = "_bridgekit_under_way"


def _take_trip(connection: Any, function: Callable[[], T]) -> T:
    """Run ``function`` on the thread of an aiosqlite connection and wait in this greenlet."""
    under_way: set[object] = connection.__dict__.setdefault(_UNDER_WAY, set())
    trip = object()

    def travel() -> T:
        try:
            return function()
        finally:
            # Here and not by the caller: a cancelled one leaves its statement running.
            under_way.discard(trip)

    async def submit() -> T:
        under_way.add(trip)
        result: T = await connection._execute(travel)
        return result

    return await_only(submit())


def nothing_to_end(adapter: AsyncAdapt_aiosqlite_connection) -> bool:
    """Say whether COMMIT or ROLLBACK would do nothing: no transaction, no statement under way.

    Reads a flag of SQLite's, which never waits.
    """
    connection: Any = adapter._connection
    driver = connection._connection
    if driver is None or connection.__dict__.get(_UNDER_WAY):
        return False
    return not driver.in_transaction


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor for both colours that executes and fetches in one trip.

    The driver's cursor lives on the connection's thread and for one statement only. Not for use
    by two callers at a time, as any cursor.
    """

    __slots__ = ("_arraysize", "_description", "_lastrowid", "_rowcount")
    _bridgekit_twin = True

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self._arraysize = 1
        self._description: Any = None
        self._rowcount = -1
        self._lastrowid: Any = None
        _refuse(adapt_connection, "cursor")
        if self._connection._connection is None:
            adapt_connection._handle_exception(ValueError("no active connection"))

    def _forget(self) -> None:
        self._rows.clear()
        self._description = None
        self._rowcount = -1
        self._lastrowid = None

    @property
    def description(self) -> Any:
        return self._description

    @property
    def rowcount(self) -> int:
        return self._rowcount

    @property
    def lastrowid(self) -> Any:
        return self._lastrowid

    @property
    def arraysize(self) -> int:
        return self._arraysize

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._arraysize = value

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        arguments = (operation,) if parameters is None else (operation, parameters)
        self._run("execute", arguments)
        return self

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._run("executemany", (operation, seq_of_parameters))
        return self

    def _run(self, method: str, arguments: tuple[Any, ...]) -> None:
        if on_loop():
            _refuse(self, method)
            self._trip(method, arguments)
        else:
            drive(self._trip, method, arguments)

    def _trip(self, method: str, arguments: tuple[Any, ...]) -> None:
        connection: Any = self._connection

        def run() -> tuple[Any, int, Any, list[Any]]:
            cursor = connection._conn.cursor()
            try:
                getattr(cursor, method)(*arguments)
                fetches = method == "execute" and cursor.description
                rows = cursor.fetchall() if fetches else []
                # rowcount of DML with RETURNING is known after the last row.
                return cursor.description, cursor.rowcount, cursor.lastrowid, rows
            finally:
                cursor.close()

        self._forget()
        try:
            found = _take_trip(connection, run)
        except Exception as error:
            self._adapt_connection._handle_exception(error)
        self._description, self._rowcount, self._lastrowid, rows = found
        self._rows.extend(rows)

    async def _async_soft_close(self) -> None:
        """Nothing is open: the rows are here."""

    def close(self) -> None:
        self._rows.clear()


def _refuse(owner: Any, method: str) -> None:
    if blocks_loop():
        raise SyncCallOnLoopError(f"{type(owner).__name__}.{method}()")
