"""What is not closed in so many words: buffered results, sessions that are only dropped."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SAWarning

from bridgekit.integrations.sqlalchemy import Engine, Session, create_engine

ROWS = text("select 1 as a union select 2 union select 3 order by a")


@pytest.mark.asyncio
async def test_rows_of_a_statement_are_read_on_the_loop_in_silence(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with Session(engine) as session:
            assert (await session.aio.execute(ROWS)).scalar() == 1
            assert (await session.aio.execute(ROWS)).first() == (1,)
            assert (await session.aio.execute(ROWS)).scalars().all() == [1, 2, 3]
            (await session.aio.execute(ROWS)).close()
    assert caplog.messages == []


def begin(engine: Engine) -> Session:
    session = Session(engine)
    session.execute(text("create table if not exists kept (x)"))
    session.commit()
    session.execute(text("insert into kept values (1)"))
    return session


def count(engine: Engine) -> int | None:
    with Session(engine) as session:
        return session.execute(text("select count(*) from kept")).scalar()


def drop(held: list[Session]) -> None:
    held.clear()
    gc.collect()


def wait_until_returned(engine: Engine) -> None:
    for returned in engine.pool._returns.pending():  # type: ignore[attr-defined]
        returned.result(10)


@contextmanager
def in_silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither a warning nor a message of the log, not of the garbage collector either."""
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        yield
    assert [str(warning.message) for warning in caught] == []
    assert caplog.messages == []


def test_a_dropped_session_is_rolled_back(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with in_silence(caplog):
        session = begin(engine)
        assert session.execute(text("select count(*) from kept")).scalar() == 1
        del session
        gc.collect()
        assert count(engine) == 0
        wait_until_returned(engine)


def test_its_connection_is_returned_to_the_pool(
    file_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[object] = []
    event.listen(file_engine, "connect", lambda connection, record: opened.append(connection))
    with in_silence(caplog):
        for _ in range(5):
            # The pool has room for three: waiting for the fourth would end in an error.
            session = begin(file_engine)
            assert file_engine.pool.checkedout() >= 1  # type: ignore[attr-defined]
            del session
            gc.collect()
            wait_until_returned(file_engine)
            assert file_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert len(set(opened)) <= 1
    assert count(file_engine) == 0


@pytest.mark.asyncio
async def test_a_session_that_a_coroutine_drops(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async def begin_and_forget() -> None:
        session = Session(engine)
        await session.aio.execute(text("create table if not exists kept (x)"))
        await session.aio.commit()
        await session.aio.execute(text("insert into kept values (1)"))

    with in_silence(caplog):
        await begin_and_forget()
        gc.collect()
        async with Session(engine) as session:
            found = await session.aio.execute(text("select count(*) from kept"))
            assert found.scalar() == 0
    await engine.aio.dispose()


def test_a_session_dropped_by_another_thread(
    file_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with in_silence(caplog):
        held = [begin(file_engine)]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        gc.collect()
        wait_until_returned(file_engine)
        assert file_engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_connection_that_comes_back_after_dispose_is_closed(
    file_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[object] = []
    event.listen(file_engine, "close", lambda connection, record: closed.append(connection))
    with in_silence(caplog):
        session = begin(file_engine)
        pool = file_engine.pool
        file_engine.dispose()
        assert closed == []
        del session
        gc.collect()
        for returned in pool._returns.pending():  # type: ignore[attr-defined]
            returned.result(10)
    assert len(closed) == 1


def test_where_the_loop_has_ended_sqlalchemy_warns(tmp_path: Path) -> None:
    """Nobody is left to return it, so the connection is terminated, which SQLAlchemy says."""
    engine = create_engine(f"sqlite:///{tmp_path}/t.db")

    async def leave_open() -> Session:
        session = Session(engine)
        await session.aio.execute(ROWS)
        return session

    held = [asyncio.run(leave_open())]
    with pytest.warns(SAWarning, match="non-checked-in connection"):
        drop(held)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
