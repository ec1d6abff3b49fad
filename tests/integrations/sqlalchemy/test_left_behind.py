"""What is not closed in so many words: buffered results, sessions that are only dropped."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import text

from bridgekit.integrations.sqlalchemy import Engine, Session

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
