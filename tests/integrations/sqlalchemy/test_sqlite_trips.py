"""How often a SQLite connection's thread is called, and that nothing is lost by calling it less."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import InvalidRequestError, OperationalError, ProgrammingError
from sqlalchemy.util.concurrency import greenlet_spawn

from bridgekit import to_thread
from bridgekit.integrations.sqlalchemy import (
    Engine,
    Session,
    SyncCallOnLoopError,
    sessionmaker,
)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    original = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(fn)
        return await original(self, fn, *args, **kwargs)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    return made


@pytest.mark.asyncio
async def test_a_read_and_the_end_of_its_session_are_one_trip(
    engine: Engine, trips: list[Any]
) -> None:
    make = sessionmaker(engine)
    async with make() as session:
        await session.aio.execute(text("select 1"))
    trips.clear()
    async with make() as session:
        assert (await session.aio.scalars(text("select 1 union select 2"))).all() == [1, 2]
        await session.aio.rollback()
    assert len(trips) == 1


def test_a_thread_makes_one_trip_too(engine: Engine, trips: list[Any]) -> None:
    make = sessionmaker(engine)
    with make() as session:
        session.execute(text("select 1"))
    trips.clear()
    with make() as session:
        assert session.scalars(text("select 1 union select 2")).all() == [1, 2]
    assert len(trips) == 1


@pytest.mark.asyncio
async def test_transactions_are_ended(engine: Engine) -> None:
    make = sessionmaker(engine)
    async with make() as session:
        await session.aio.execute(text("create table t (a)"))
        await session.aio.execute(text("insert into t values (1)"))
        await session.aio.commit()
        await session.aio.execute(text("insert into t values (2)"))
    async with make() as session:
        assert (await session.aio.scalars(text("select a from t"))).all() == [1]


@pytest.mark.asyncio
async def test_a_statement_of_a_cancelled_task_is_rolled_back(file_engine: Engine) -> None:
    """It has not begun its transaction yet when the rollback comes."""
    go_on = threading.Event()
    async with file_engine.aio.connect() as connection:
        await connection.execute(text("create table t (a)"))
        await connection.commit()
        adapter: Any = (await connection.get_raw_connection()).dbapi_connection
        adapter._connection._tx.put_nowait((None, lambda: go_on.wait(10)))
        insert = asyncio.ensure_future(
            greenlet_spawn(lambda: adapter.cursor().execute("insert into t values (1)"))
        )
        await asyncio.sleep(0)
        insert.cancel()
        with pytest.raises(asyncio.CancelledError):
            await insert
        rollback = asyncio.ensure_future(greenlet_spawn(adapter.rollback))
        await asyncio.sleep(0)
        go_on.set()
        await rollback
        assert (await connection.execute(text("select count(*) from t"))).scalar() == 0


@pytest.mark.asyncio
async def test_what_a_cursor_tells(engine: Engine) -> None:
    def use(connection: Any) -> None:
        cursor = connection.connection.cursor()
        assert (cursor.description, cursor.rowcount, cursor.lastrowid) == (None, -1, None)
        cursor.execute("create table t (a integer primary key)")
        assert cursor.description is None
        cursor.executemany("insert into t values (?)", [(1,), (2,), (5,)])
        assert cursor.rowcount == 3
        cursor.execute("insert into t values (?) returning a", (7,))
        assert cursor.description[0][0] == "a"
        assert (cursor.rowcount, cursor.lastrowid) == (1, 7)
        assert cursor.fetchall() == [(7,)]
        cursor.execute("select a from t order by a")
        assert cursor.fetchone() == (1,)
        assert cursor.fetchmany() == [(2,)]
        cursor.arraysize = 5
        assert cursor.fetchmany() == [(5,), (7,)]
        with pytest.raises(connection.dialect.dbapi.OperationalError):
            cursor.execute("no statement")
        assert cursor.fetchall() == []
        cursor.close()

    async with engine.aio.connect() as connection:
        await connection.run_sync(use)
    await to_thread.run_sync(_in_thread, engine, use)


def _in_thread(engine: Engine, use: Any) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("drop table if exists t")
        use(connection)


@pytest.mark.asyncio
async def test_the_loop_is_not_blocked(engine: Engine) -> None:
    async with engine.aio.connect() as connection:
        raw: Any = await connection.get_raw_connection()
        adapter = raw.dbapi_connection
        for call in (adapter.cursor, adapter.rollback, adapter.commit):
            with pytest.raises(SyncCallOnLoopError):
                call()


@pytest.mark.asyncio
async def test_a_closed_connection(file_engine: Engine) -> None:
    async with file_engine.aio.connect() as connection:
        raw: Any = await connection.get_raw_connection()
        await connection.run_sync(lambda _: raw.dbapi_connection.close())
        with pytest.raises((OperationalError, ProgrammingError), match="no active connection"):
            await connection.execute(text("select 1"))


@pytest.mark.asyncio
async def test_listeners_that_begin(file_engine: Engine) -> None:
    """SQLAlchemy's recipe for real savepoints: the driver's own transactions are off."""

    @event.listens_for(file_engine, "connect")
    def connect(adapter: Any, record: Any) -> None:
        adapter.isolation_level = None

    @event.listens_for(file_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("begin")

    file_engine.dispose()
    async with file_engine.aio.begin() as connection:
        await connection.execute(text("create table t (a)"))
    async with file_engine.aio.connect() as connection:
        await connection.execute(text("insert into t values (1)"))
    async with file_engine.aio.connect() as connection:
        assert (await connection.execute(text("select count(*) from t"))).scalar() == 0


@pytest.mark.asyncio
async def test_overrides_end_sessions_that_never_began(engine: Engine) -> None:
    ended: list[str] = []

    class Own(Session):
        def rollback(self) -> None:
            ended.append("rollback")
            super().rollback()

        def close(self) -> None:
            ended.append("close")
            super().close()

    session = sessionmaker(engine, class_=Own)()
    await session.aio.rollback()
    await session.aio.close()
    assert ended == ["rollback", "close"]


@pytest.mark.asyncio
async def test_a_session_is_closed_once_more(engine: Engine) -> None:
    session = sessionmaker(engine, close_resets_only=False)()
    await session.aio.close()
    with pytest.raises(InvalidRequestError, match="closed"):
        await session.aio.execute(text("select 1"))
