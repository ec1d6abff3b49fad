"""Synchronous database code in a call stack that is suspended on the loop's own thread."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import func, select
from sqlalchemy_tests_bodies import customer
from sqlalchemy_tests_models import Customer

from bridgekit import async_to_sync, to_thread
from bridgekit.adapters import suspending
from bridgekit.integrations.sqlalchemy import Engine, Session, SyncCallOnLoopError

count = select(func.count(Customer.id))


@pytest.mark.asyncio
class TestSuspendedStack:
    async def test_a_session_of_both_colours(self, engine: Engine) -> None:
        threads: set[int] = set()

        async def count_again(session: Session) -> int | None:
            return await session.aio.scalar(count)

        def work(session: Session) -> list[int | None]:
            threads.add(threading.get_ident())
            session.add(customer(orders=2))
            session.commit()
            found = session.get(Customer, 1)
            assert found is not None
            return [
                session.scalar(count),
                len(found.orders),  # loaded lazily
                async_to_sync(count_again)(session),
            ]

        async with Session(engine) as session:
            with pytest.raises(SyncCallOnLoopError):
                session.scalar(count)
            assert await suspending.run_sync(work, session) == [1, 2, 1]
            assert await to_thread.run_sync(session.scalar, count) == 1
        assert threads == {threading.get_ident()}

    async def test_other_tasks_run_while_the_database_works(self, engine: Engine) -> None:
        turns: list[int] = []

        async def turn() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        def work() -> int | None:
            with Session(engine) as session:
                session.scalar(count)
                before = len(turns)
                session.scalar(count)
                return len(turns) - before

        other = asyncio.create_task(turn())
        assert (await suspending.run_sync(work) or 0) > 0
        other.cancel()
