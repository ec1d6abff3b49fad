"""The same bodies give the same values under plain SQLAlchemy and under every face."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.pool import StaticPool
from sqlalchemy_tests_bodies import ASYNC_BODIES, SYNC_BODIES
from sqlalchemy_tests_models import Base

from bridgekit import to_thread
from bridgekit.integrations.sqlalchemy import Engine, Session, sessionmaker

Body = Callable[[orm.Session], Any]
AsyncBody = Callable[[Any], Awaitable[Any]]


def name(value: Any) -> str:
    return value.__name__


def expected(body: Body, url: str) -> Any:
    """What SQLAlchemy's own session over pysqlite gives, on a memory database of its own."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        result = body(session)
    engine.dispose()
    return result


def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread of its own that bridgekit knows nothing about."""
    outcome: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]


def used(body: Body, factory: Callable[[], orm.Session]) -> Any:
    with factory() as session:
        return body(session)


@pytest.mark.parametrize("body", SYNC_BODIES, ids=name)
class TestSynchronousFace:
    def test_main_thread(self, body: Body, engine: Engine, url: str) -> None:
        assert used(body, sessionmaker(engine)) == expected(body, url)
        assert idle(engine)

    def test_plain_thread(self, body: Body, engine: Engine, url: str) -> None:
        assert in_thread(lambda: used(body, sessionmaker(engine))) == expected(body, url)
        assert idle(engine)

    def test_sqlalchemys_own_session(self, body: Body, engine: Engine, url: str) -> None:
        assert used(body, orm.sessionmaker(engine)) == expected(body, url)
        assert idle(engine)

    @pytest.mark.asyncio
    async def test_worker_of_a_loop(self, body: Body, engine: Engine, url: str) -> None:
        result = await to_thread.run_sync(used, body, sessionmaker(engine))
        assert result == expected(body, url)
        assert idle(engine)

    @pytest.mark.asyncio
    async def test_run_sync(self, body: Body, engine: Engine, url: str) -> None:
        async with sessionmaker(engine)() as session:
            result = await session.aio.run_sync(body)
        assert result == expected(body, url)
        assert idle(engine)


@pytest.mark.parametrize(("body", "flipped"), ASYNC_BODIES, ids=name)
@pytest.mark.asyncio
async def test_asynchronous_face(body: Body, flipped: AsyncBody, engine: Engine, url: str) -> None:
    async with sessionmaker(engine)() as session:
        result = await flipped(session)
    assert result == expected(body, url)
    assert idle(engine)


@pytest.mark.parametrize(("body", "flipped"), ASYNC_BODIES, ids=name)
def test_asynchronous_face_on_a_loop_of_its_own(
    body: Body, flipped: AsyncBody, engine: Engine, url: str
) -> None:
    async def main() -> Any:
        async with Session(engine) as session:
            return await flipped(session)

    assert asyncio.run(main()) == expected(body, url)


def idle(engine: Engine) -> bool:
    """Whether every connection is back in the pool."""
    pool: Any = engine.pool
    return isinstance(pool, StaticPool) or pool.checkedout() == 0
