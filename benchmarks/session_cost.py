"""What a primary-key read costs through each face of the two-coloured session.

Run: python benchmarks/session_cost.py [reads]

The forms are measured in alternating rounds in one process, and compared by ratio to plain
SQLAlchemy over pysqlite; wall time and CPU time (all threads) are medians over the rounds. One
read is a session opened, one row by key, the session closed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiosqlite
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bridgekit import to_thread
from bridgekit.integrations.sqlalchemy import Session as TwoColourSession
from bridgekit.integrations.sqlalchemy import create_engine

ROUNDS = 7


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "row"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def read(make: Callable[[], Session], reads: int) -> None:
    for _ in range(reads):
        with make() as session:
            session.get_one(Row, 1)


def main(reads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite"
        plain = sqlalchemy.create_engine(f"sqlite:///{path}")
        both = create_engine(f"sqlite:///{path}")
        upstream = create_async_engine(f"sqlite+aiosqlite:///{path}")
        Base.metadata.create_all(plain)
        with Session(plain) as session, session.begin():
            session.add(Row(name="x"))

        def plain_sync() -> None:
            read(lambda: Session(plain), reads)

        def sync_face() -> None:
            read(lambda: TwoColourSession(both), reads)

        async def worker() -> None:
            await to_thread.run_sync(read, lambda: TwoColourSession(both), reads)

        async def async_face() -> None:
            for _ in range(reads):
                async with TwoColourSession(both) as session:
                    await session.aio.get_one(Row, 1)

        async def upstream_async() -> None:
            for _ in range(reads):
                async with AsyncSession(upstream) as session:
                    await session.get_one(Row, 1)

        async def driver_alone() -> None:
            """The driver operations of one such read, without SQLAlchemy."""
            async with aiosqlite.connect(path) as connection:
                for _ in range(reads):
                    cursor = await connection.cursor()
                    await cursor.execute("select id, name from row where id = ?", (1,))
                    await cursor.fetchall()
                    await cursor.close()
                    await connection.rollback()

        with asyncio.Runner() as runner:
            forms: dict[str, Callable[[], None]] = {
                "SQLAlchemy, pysqlite": plain_sync,
                "two-coloured, sync face, plain thread": sync_face,
                "two-coloured, sync face, worker of a loop": lambda: runner.run(worker()),
                "two-coloured, async face": lambda: runner.run(async_face()),
                "SQLAlchemy AsyncSession, aiosqlite": lambda: runner.run(upstream_async()),
                "aiosqlite alone": lambda: runner.run(driver_alone()),
            }
            samples: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
            for form in forms.values():
                form()
            for _ in range(ROUNDS):
                for name, form in forms.items():
                    wall, cpu = time.perf_counter(), time.process_time()
                    form()
                    samples[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            runner.run(upstream.dispose())
        both.dispose()
        plain.dispose()

    medians = {
        name: tuple(statistics.median(column) / reads * 1e6 for column in zip(*rounds, strict=True))
        for name, rounds in samples.items()
    }
    base_wall, base_cpu = medians["SQLAlchemy, pysqlite"]
    print(f"primary-key read, {reads} reads a round, median of {ROUNDS} rounds")
    print(f"{'':44}{'wall us':>9}{'ratio':>7}{'CPU us':>9}{'ratio':>7}")
    for name, (wall, cpu) in medians.items():
        print(f"{name:44}{wall:9.0f}{wall / base_wall:7.2f}{cpu:9.0f}{cpu / base_cpu:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
