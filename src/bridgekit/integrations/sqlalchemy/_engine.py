"""One engine for code of both colours."""

from __future__ import annotations

from typing import Any

import sqlalchemy.ext.asyncio as upstream
from sqlalchemy import Engine as SyncEngine
from sqlalchemy.engine import URL
from sqlalchemy.engine.base import OptionEngine
from sqlalchemy.ext.asyncio import AsyncEngine

from ._drivers import async_url
from ._pool import two_colour_pool


class Engine(SyncEngine):
    """A SQLAlchemy engine over an asyncio driver that synchronous code may use as well.

    Used as any ``sqlalchemy.Engine`` in a thread without a running loop: there each operation of
    the driver runs on bridgekit's loop while the thread waits. :attr:`aio` is the same engine, the
    same pool, for coroutines. On a thread that runs a loop the synchronous methods raise
    ``SyncCallOnLoopError``.
    """

    @property
    def aio(self) -> AsyncEngine:
        """The ``AsyncEngine`` over this engine; the same object at every access."""
        return AsyncEngine._retrieve_proxy_for_target(self)


class _OptionEngine(OptionEngine, Engine):
    """What ``Engine.execution_options()`` returns: the same pool with other options."""


Engine._option_cls = _OptionEngine


def create_engine(url: str | URL, **kwargs: Any) -> Engine:
    """Create an engine for both colours; takes what ``sqlalchemy.create_engine`` takes.

    The URL may name the synchronous driver: :func:`async_url` translates it. Pool classes are
    taken in their two-coloured forms. ``creator`` must give connections of the asyncio driver;
    ``async_creator`` is accepted as by ``create_async_engine``.

    The connections of asyncpg and some other drivers belong to the loop that opened them. They
    are opened on the loop of the caller, or on bridgekit's loop for a synchronous caller; in a
    process with one loop, which is what bridgekit provides for, these are the same.
    """
    target = async_url(url)
    dialect: Any = target.get_dialect().get_async_dialect_cls(target)
    chosen = kwargs.pop("poolclass", None) or dialect.get_pool_class(target)
    aio = upstream.create_async_engine(target, poolclass=two_colour_pool(chosen), **kwargs)
    engine = aio.sync_engine
    # SQLAlchemy has no parameter for the class of the engine; the subclass adds no state.
    engine.__class__ = Engine
    assert isinstance(engine, Engine)
    engine.__dict__["_aio"] = aio
    return engine


def create_async_engine(url: str | URL, **kwargs: Any) -> AsyncEngine:
    """SQLAlchemy's ``create_async_engine`` for a URL that may name a synchronous driver.

    The engine is SQLAlchemy's own and has one colour: this is what a program uses when its last
    synchronous use of the database is gone.
    """
    return upstream.create_async_engine(async_url(url), **kwargs)
