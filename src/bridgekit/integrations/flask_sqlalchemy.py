"""Flask-SQLAlchemy for a program that is half-way to async: one ``db`` for code of both colours.

``SQLAlchemy`` is Flask-SQLAlchemy's own class over an engine and a session that both colours
share::

    db = SQLAlchemy()

    def rename(user, name):              # not flipped yet; called in a worker thread
        user.name = name
        db.session.commit()

    async def show(key):                 # flipped
        user = await db.aio.get_or_404(User, key)
        return await db.session.aio.scalar(select(func.count()).select_from(Post))

Models, ``Model.query``, binds, ``SQLALCHEMY_*`` settings and the session's scope, which is the
application context, are Flask-SQLAlchemy's. Under ``bridgekit.integrations.flask.Flask`` an
``async def`` view has the context of its request, and so the session of its request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_sqlalchemy
from flask_sqlalchemy.pagination import Pagination
from flask_sqlalchemy.session import Session as _UpstreamSession
from flask_sqlalchemy.session import _app_ctx_id
from sqlalchemy.util import greenlet_spawn

from bridgekit.integrations import sqlalchemy as two_colour

__all__ = ["AsyncFace", "SQLAlchemy", "Session"]


class Session(two_colour.Session, _UpstreamSession):
    """The session of ``db.session``: Flask-SQLAlchemy's choice of the engine, both colours."""


class AsyncFace:
    """What coroutines call on ``db``: each method does what the one of its name on ``db`` does.

    It runs that very method, so arguments, results and the 404 of ``get_or_404`` are the same, and
    so is what a subclass overrides.
    """

    def __init__(self, db: SQLAlchemy) -> None:
        self._db = db

    async def get_or_404(self, entity: Any, ident: Any, **options: Any) -> Any:
        """``await db.aio.get_or_404(User, key)``."""
        return await greenlet_spawn(self._db.get_or_404, entity, ident, **options)

    async def first_or_404(self, statement: Any, **options: Any) -> Any:
        """``await db.aio.first_or_404(select(User))``."""
        return await greenlet_spawn(self._db.first_or_404, statement, **options)

    async def one_or_404(self, statement: Any, **options: Any) -> Any:
        """``await db.aio.one_or_404(select(User))``."""
        return await greenlet_spawn(self._db.one_or_404, statement, **options)

    async def paginate(self, select: Any, **options: Any) -> Pagination:
        """``await db.aio.paginate(select(User))``; its ``next`` and ``prev`` are synchronous."""
        return await greenlet_spawn(self._db.paginate, select, **options)

    async def create_all(self, bind_key: Any = "__all__") -> None:
        """``await db.aio.create_all()``."""
        await greenlet_spawn(self._db.create_all, bind_key)

    async def drop_all(self, bind_key: Any = "__all__") -> None:
        """``await db.aio.drop_all()``."""
        await greenlet_spawn(self._db.drop_all, bind_key)

    async def reflect(self, bind_key: Any = "__all__") -> None:
        """``await db.aio.reflect()``."""
        await greenlet_spawn(self._db.reflect, bind_key)


class SQLAlchemy(flask_sqlalchemy.SQLAlchemy):
    """``flask_sqlalchemy.SQLAlchemy`` whose engines and session serve both colours."""

    @property
    def aio(self) -> AsyncFace:
        """What coroutines call in place of the methods of ``db`` that use the database."""
        return AsyncFace(self)

    def _make_scoped_session(self, options: dict[str, Any]) -> Any:
        scope: Callable[[], Any] = options.pop("scopefunc", _app_ctx_id)
        return two_colour.scoped_session(self._make_session_factory(options), scope)

    def _make_session_factory(self, options: dict[str, Any]) -> Any:
        given = options.pop("class_", Session)
        if not issubclass(given, two_colour.Session):
            given = type(given.__name__, (two_colour.Session, given), {})
        options.setdefault("query_cls", self.Query)
        return two_colour.sessionmaker(class_=given, db=self, **options)

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> Any:
        # What `engine_from_config` does: settings may be text.
        settings: dict[str, Any] = {**options, "_coerce_config": True}
        return two_colour.create_engine(settings.pop("url"), **settings)
