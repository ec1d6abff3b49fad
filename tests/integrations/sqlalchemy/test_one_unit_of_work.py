"""Both colours in one session: one identity map, one transaction, one pool."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, inspect, select, text
from sqlalchemy import exc as sa_exc
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from sqlalchemy.orm import selectinload
from sqlalchemy_tests_bodies import customer
from sqlalchemy_tests_models import Base, Customer, Order

from bridgekit import LoopThreadError, async_to_sync, to_thread
from bridgekit.integrations.sqlalchemy import (
    Engine,
    Session,
    SyncCallOnLoopError,
    create_engine,
    scoped_session,
    sessionmaker,
)

count = select(func.count(Customer.id))


@pytest.mark.asyncio
class TestSharedTransaction:
    async def test_a_thread_sees_what_a_coroutine_flushed(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer())
            await session.aio.flush()
            assert await to_thread.run_sync(session.scalar, count) == 1
            await to_thread.run_sync(session.add, customer(2))
            assert await session.aio.scalar(count) == 2
            await session.aio.rollback()
            assert await to_thread.run_sync(session.scalar, count) == 0

    async def test_a_commit_in_a_thread_ends_the_transaction_of_both(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer())
            await session.aio.flush()
            await to_thread.run_sync(session.commit)
            assert not session.aio.in_transaction()
        async with Session(engine) as session:
            assert await session.aio.scalar(count) == 1

    async def test_a_savepoint_spans_both(self, engine: Engine) -> None:
        def add_in_thread(session: Session) -> None:
            session.add(customer(2))
            session.flush()

        async with Session(engine) as session:
            session.add(customer(1))
            async with session.aio.begin_nested() as savepoint:
                await to_thread.run_sync(add_in_thread, session)
                assert await session.aio.scalar(count) == 2
                await savepoint.rollback()
            await session.aio.commit()
            assert await session.aio.scalar(count) == 1

    async def test_one_identity_map(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer())
            await session.aio.commit()
            from_coroutine = await session.aio.get(Customer, 1)
            assert await to_thread.run_sync(session.get, Customer, 1) is from_coroutine

    async def test_lazy_load_in_a_thread_of_what_a_coroutine_loaded(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer(orders=3))
            await session.aio.commit()
            found = await session.aio.get_one(Customer, 1)
            assert await to_thread.run_sync(lambda: len(found.orders)) == 3

    async def test_awaitable_attributes(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer(orders=3))
            await session.aio.commit()
            found = await session.aio.get_one(Customer, 1)
            assert len(await found.awaitable_attrs.orders) == 3


class TestFaces:
    def test_the_face_is_one_object_over_the_session(self, engine: Engine) -> None:
        session = Session(engine)
        assert isinstance(session.aio, AsyncSession)
        assert session.aio is session.aio
        assert session.aio.sync_session is session
        assert session.aio.bind is engine.aio
        assert engine.aio is engine.aio
        assert engine.aio.sync_engine is engine

    @pytest.mark.asyncio
    async def test_a_kept_face_survives_closing(self, engine: Engine) -> None:
        session = Session(engine)
        face = session.aio
        await face.execute(text("select 1"))
        await face.close()
        assert session.aio is face
        session.add(customer())
        await face.flush()
        found = next(iter(session))
        assert async_object_session(found) is face
        await face.close()

    def test_a_closed_session_needs_no_garbage_collector(self, engine: Engine) -> None:
        gc.disable()
        try:
            session = Session(engine)
            assert session.aio
            session.close()
            gone = weakref.ref(session)
            del session
            assert gone() is None
        finally:
            gc.enable()

    def test_options_engines_have_a_face(self, engine: Engine) -> None:
        other = engine.execution_options(isolation_level="AUTOCOMMIT")
        assert isinstance(other, Engine)
        assert other.aio.sync_engine is other
        assert other.pool is engine.pool

    def test_inspection(self, engine: Engine) -> None:
        assert sorted(inspect(engine).get_table_names()) == ["customer", "order"]

    @pytest.mark.asyncio
    async def test_session_over_a_connection(self, engine: Engine) -> None:
        async with engine.aio.connect() as connection:
            outer = await connection.begin()
            session = Session(connection.sync_connection)
            session.add(customer())
            await session.aio.commit()
            assert await to_thread.run_sync(session.scalar, count) == 1
            assert session.aio.bind is connection
            await session.aio.close()
            await outer.rollback()
        async with Session(engine) as session:
            assert await session.aio.scalar(count) == 0

    @pytest.mark.asyncio
    async def test_core_in_both_colours(self, engine: Engine) -> None:
        def insert() -> None:
            with engine.begin() as connection:
                connection.execute(text("insert into customer (email) values ('a')"))

        await to_thread.run_sync(insert)
        async with engine.aio.connect() as connection:
            assert await connection.scalar(count) == 1


@contextmanager
def refused(what: str) -> Iterator[None]:
    with pytest.raises(SyncCallOnLoopError) as caught:
        yield
    assert caught.value.what.startswith(what)
    assert isinstance(caught.value, sa_exc.MissingGreenlet)
    assert isinstance(caught.value, LoopThreadError)


@pytest.mark.asyncio
class TestOnTheLoop:
    """Synchronous use on a thread that runs a loop is refused, by name, and harms nothing."""

    async def test_attributes_are_named(self, engine: Engine) -> None:
        async with Session(engine) as session:
            added = customer()
            session.add(added)
            await session.aio.commit()
            with refused("Customer.email"):  # expired by the commit
                added.email  # noqa: B018
            session.expunge_all()
            found = await session.aio.get_one(Customer, 1)
            with refused("Customer.orders"):
                found.orders  # noqa: B018
            with refused("Customer.notes"):
                found.notes  # noqa: B018
            (order,) = (await session.aio.scalars(select(Order).where(Order.id == 1))).all()
            assert order.customer is found  # in the identity map: no input or output
            loaded = await session.aio.get_one(
                Customer, 1, options=[selectinload(Customer.orders)], populate_existing=True
            )
            assert len(loaded.orders) == 2

    async def test_statements_are_named(self, engine: Engine) -> None:
        async with Session(engine) as session:
            with refused("executing 'SELECT count(customer.id)"):
                session.execute(count)
            with refused("executing 'SELECT count(customer.id)"):
                session.scalar(count)
            with refused("executing 'SELECT count(customer.id)"):
                session.scalars(count)
            with refused("executing 'SELECT customer.id"):
                session.get(Customer, 1)
            with refused("executing"):
                session.query(Customer).first()
            assert not session.in_transaction() or not await session.aio.scalar(count)

    async def test_methods_are_named(self, engine: Engine) -> None:
        async with Session(engine) as session:
            session.add(customer())
            with refused("Session.flush()"):
                session.flush()
            with refused("Session.flush()"):
                session.commit()
            await session.aio.flush()
            with refused("Session.commit()"):
                session.commit()
            with refused("Session.rollback()"):
                session.rollback()
            with refused("Session.close()"):
                session.close()
            await session.aio.commit()
        async with Session(engine) as session:
            assert await session.aio.scalar(count) == 1

    async def test_the_engine_is_refused(self, engine: Engine) -> None:
        with refused("taking a connection from the pool"):
            engine.connect()
        with refused("taking a connection from the pool"):
            Base.metadata.create_all(engine)

    async def test_what_needs_no_database_is_allowed(self, engine: Engine) -> None:
        session = Session(engine)
        session.add(customer())
        session.expunge_all()
        session.flush()
        session.commit()
        session.rollback()
        session.close()

    async def test_plain_sqlalchemy_session_is_refused_too(self, engine: Engine) -> None:
        from sqlalchemy.orm import Session as PlainSession

        with PlainSession(engine) as session, refused("taking a connection"):
            session.execute(count)

    async def test_a_raw_connection_is_refused_too(self, engine: Engine) -> None:
        async with engine.aio.connect() as connection:
            with pytest.raises(sa_exc.StatementError) as caught:
                connection.sync_connection.execute(count)
            assert isinstance(caught.value.orig, SyncCallOnLoopError)
            assert await connection.scalar(count) == 0


class TestConcurrency:
    @pytest.mark.asyncio
    async def test_fifty_tasks_of_both_colours(self, file_engine: Engine) -> None:
        factory = sessionmaker(file_engine, expire_on_commit=False)

        def read(session: Session) -> int:
            return session.scalar(select(func.count(Order.id))) or 0

        async def work(number: int) -> int:
            async with factory() as session:
                if number % 2:
                    return await session.aio.scalar(select(func.count(Order.id)))
                return await to_thread.run_sync(read, session)

        async with factory() as session:
            session.add(customer(orders=7))
            await session.aio.commit()
        assert await asyncio.gather(*map(work, range(50))) == [7] * 50
        assert file_engine.pool.checkedout() == 0

    def test_threads_and_loops_at_once(self, file_engine: Engine) -> None:
        factory = sessionmaker(file_engine)
        results: list[int] = []

        def by_thread() -> None:
            for _ in range(10):
                with factory() as session:
                    results.append(session.scalar(count))

        async def by_loop() -> None:
            async def one() -> None:
                async with factory() as session:
                    results.append(await session.aio.scalar(count))

            await asyncio.gather(*(one() for _ in range(20)))

        threads = [threading.Thread(target=by_thread) for _ in range(4)]
        threads += [threading.Thread(target=asyncio.run, args=(by_loop(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert results == [0] * 80
        assert file_engine.pool.checkedout() == 0

    def test_first_use_from_everywhere_initialises_one_memory_database(self) -> None:
        engine = create_engine("sqlite://")
        opened: list[Any] = []
        event.listen(engine, "connect", lambda connection, record: opened.append(connection))
        barrier = threading.Barrier(4)

        def by_thread() -> None:
            barrier.wait()
            with engine.connect() as connection:
                connection.execute(text("select 1"))

        async def by_loop() -> None:
            async def one() -> None:
                async with engine.aio.connect() as connection:
                    await connection.execute(text("select 1"))

            barrier.wait()
            await asyncio.gather(one(), one())

        threads = [threading.Thread(target=by_thread) for _ in range(2)]
        threads += [threading.Thread(target=asyncio.run, args=(by_loop(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert len(opened) == 1
        engine.dispose()

    @pytest.mark.asyncio
    async def test_errors_return_the_connection(self, file_engine: Engine) -> None:
        for _ in range(5):
            with pytest.raises(sa_exc.OperationalError):
                async with Session(file_engine) as session:
                    await session.aio.execute(text("select * from nowhere"))
        assert file_engine.pool.checkedout() == 0


class TestEvents:
    def test_pragma_on_connect(self, url: str) -> None:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def enforce(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

        async def by_coroutine() -> Any:
            async with Session(engine) as session:
                return await session.aio.scalar(text("pragma foreign_keys"))

        with Session(engine) as session:
            assert session.scalar(text("pragma foreign_keys")) == 1
        engine.dispose()
        assert asyncio.run(by_coroutine()) == 1
        engine.dispose()

    def test_user_function_and_isolation_level(self, url: str) -> None:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def extend(connection: Any, record: Any) -> None:
            connection.isolation_level = None
            connection.create_function("twice", 1, lambda value: value * 2)

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            assert connection.scalar(text("select twice(21)")) == 42
        engine.dispose()

    def test_sqlite_methods_that_the_adapter_lacks(self, url: str) -> None:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def extend(connection: Any, record: Any) -> None:
            connection.create_collation("backwards", lambda a, b: (a < b) - (a > b))
            assert connection.total_changes == 0
            with pytest.raises(AttributeError, match="nonsense"):
                connection.nonsense  # noqa: B018

        statement = text(
            "select x from (select 1 x union select 2) order by x||'' collate backwards"
        )

        async def by_coroutine() -> Any:
            async with engine.aio.connect() as connection:
                return (await connection.execute(statement)).scalars().all()

        with engine.connect() as connection:
            assert connection.execute(statement).scalars().all() == [2, 1]
        engine.dispose()
        assert asyncio.run(by_coroutine()) == [2, 1]
        engine.dispose()

    def test_autocommit(self, engine: Engine) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("insert into customer (email) values ('a')"))
            connection.rollback()
        with Session(engine) as session:
            assert session.scalar(count) == 1


class TestBegin:
    """``sessionmaker.begin()`` in both colours."""

    def test_with(self, engine: Engine) -> None:
        maker = sessionmaker(engine)
        with maker.begin() as session:
            session.add(customer(1))

        def fail() -> None:
            with maker.begin() as session:
                session.add(customer(2))
                session.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with maker() as session:
            assert session.scalar(count) == 1

    @pytest.mark.asyncio
    async def test_async_with(self, engine: Engine) -> None:
        maker = sessionmaker(engine)
        async with maker.begin() as session:
            assert isinstance(session, Session)
            session.add(customer(1))

        async def fail() -> None:
            async with maker.begin() as session:
                session.add(customer(2))
                await session.aio.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with maker() as session:
            assert await session.aio.scalar(count) == 1
            assert not session.aio.in_nested_transaction()


class TestScopedSession:
    def test_one_session_a_thread(self, engine: Engine) -> None:
        scoped = scoped_session(sessionmaker(engine))
        mine = scoped()
        assert scoped() is mine
        theirs: list[Session] = []
        thread = threading.Thread(target=lambda: theirs.append(scoped()))
        thread.start()
        thread.join()
        assert theirs[0] is not mine
        scoped.add(customer())
        scoped.commit()
        assert scoped.query(Customer).count() == 1
        scoped.remove()
        assert scoped() is not mine
        scoped.remove()

    @pytest.mark.asyncio
    async def test_one_session_a_task_shared_with_its_threads(self, engine: Engine) -> None:
        scoped = scoped_session(sessionmaker(engine))

        async def request(number: int) -> Session:
            session = scoped()
            scoped.add(customer(number, orders=0))
            await asyncio.sleep(0)
            assert await to_thread.run_sync(scoped) is session
            assert scoped() is session
            assert len(session.new) == 1
            await scoped.aio.close()
            scoped.remove()
            assert not scoped.registry.has()
            return session

        first, second = await asyncio.gather(request(1), request(2))
        assert first is not second


def test_creator_of_a_synchronous_driver_is_refused(tmp_path: Path) -> None:
    import sqlite3

    made: list[sqlite3.Connection] = []

    def creator() -> sqlite3.Connection:
        made.append(sqlite3.connect(tmp_path / "db.sqlite", check_same_thread=False))
        return made[-1]

    engine = create_engine("sqlite:///db.sqlite", creator=creator)
    with pytest.raises(sa_exc.ArgumentError, match="async_creator"):
        engine.connect()
    for connection in made:
        connection.close()


class Pause:
    """A SQL function ``pause()`` that says when a statement runs, and holds it until released."""

    def __init__(self, engine: Engine) -> None:
        self.loop = asyncio.get_running_loop()
        self.running = asyncio.Event()
        self.release = threading.Event()
        event.listen(engine, "connect", self._extend)

    def _extend(self, connection: Any, record: Any) -> None:
        connection.create_function("pause", 0, self._pause)

    def _pause(self) -> int:
        self.loop.call_soon_threadsafe(self.running.set)
        assert self.release.wait(10)
        return 1


@pytest.mark.asyncio
@pytest.mark.parametrize("colour", ["coroutine", "worker"])
async def test_cancelling_a_statement_returns_the_connection(
    file_engine: Engine, colour: str
) -> None:
    pause = Pause(file_engine)
    await file_engine.aio.dispose()
    statement = text("select pause()")

    def work() -> None:
        with Session(file_engine) as session:
            session.execute(statement)

    async def work_async() -> None:
        async with Session(file_engine) as session:
            await session.aio.execute(statement)

    for _ in range(5):
        pause.running.clear()
        pause.release.clear()
        task = asyncio.create_task(
            work_async() if colour == "coroutine" else to_thread.run_sync(work)
        )
        await pause.running.wait()
        task.cancel()
        pause.release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert file_engine.pool.checkedout() == 0
    async with Session(file_engine) as session:
        assert await session.aio.scalar(count) == 0


@pytest.mark.asyncio
async def test_an_async_call_from_a_thread_joins_the_transaction(engine: Engine) -> None:
    """Coroutine, thread, coroutine again: one transaction down the whole chain."""

    async def innermost(session: Session) -> int | None:
        session.add(customer(3))
        return await session.aio.scalar(count)

    def middle(session: Session) -> tuple[int | None, int | None]:
        session.add(customer(2))
        session.flush()
        return async_to_sync(innermost)(session), session.scalar(count)

    async with Session(engine) as session:
        session.add(customer(1))
        await session.aio.flush()
        assert await to_thread.run_sync(middle, session) == (3, 3)
        await session.aio.rollback()
        assert await session.aio.scalar(count) == 0
