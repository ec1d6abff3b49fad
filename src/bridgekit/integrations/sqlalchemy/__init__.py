"""SQLAlchemy for a program that is half-way from ``Session`` to ``AsyncSession``.

One engine and one session serve both colours, so functions can flip one at a time while all code
of a request keeps sharing one unit of work::

    engine = create_engine(config["DATABASE_URL"])
    Session = sessionmaker(bind=engine, expire_on_commit=False)

    def place(session, order):            # not flipped yet; called in a worker thread
        session.add(order)
        session.commit()

    async def find(session, key):         # flipped
        return await session.aio.get(Order, key)

When the last synchronous use is gone, ``create_async_engine(async_url(url))`` and SQLAlchemy's own
``async_sessionmaker`` take the place of all this.
"""

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ._bridging import SyncCallOnLoopError
from ._drivers import async_url
from ._engine import Engine, create_async_engine, create_engine
from ._session import Session, scoped_session, sessionmaker

__all__ = [
    "AsyncEngine",
    "AsyncSession",
    "Engine",
    "Session",
    "SyncCallOnLoopError",
    "async_url",
    "create_async_engine",
    "create_engine",
    "scoped_session",
    "sessionmaker",
]
