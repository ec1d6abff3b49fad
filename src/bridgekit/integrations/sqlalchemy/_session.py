"""One session, one unit of work, for code of both colours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import Engine as SyncEngine
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import ScopedRegistry

from ._bridging import blocks_loop, refuse_on_loop


class Session(orm.Session):
    """A SQLAlchemy session that one unit of work may use from both colours.

    Synchronous code in a thread uses it as ever. Coroutines use :attr:`aio`, an ``AsyncSession``
    over this very session: the same identity map, the same transaction. As any session it serves
    one caller at a time: a coroutine awaits the thread it sends the session to.

    On a thread that runs a loop, synchronous methods that need the database, and attributes that
    would be loaded, raise ``SyncCallOnLoopError`` and name what was touched.
    """

    _aio: AsyncSession | None = None

    @property
    def aio(self) -> AsyncSession:
        """The ``AsyncSession`` whose ``sync_session`` is this session; the same while in use."""
        face = self._aio
        if face is None:
            # Still there when the session was closed and somebody kept the face.
            face = AsyncSession._retrieve_proxy_for_target(self, regenerate=False)
        if face is None:
            face = self._aio = _Face(
                bind=_async_bind(self.bind), sync_session_class=cast(Any, self._itself)
            )
        return face

    async def __aenter__(self) -> Self:
        """``async with Session() as session``: the session itself, closed at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # AsyncSession's own exit finishes closing even if the task is cancelled meanwhile.
        await self.aio.__aexit__(kind, error, traceback)

    def _itself(self, **options: Any) -> Session:
        return self

    if not TYPE_CHECKING:  # SQLAlchemy's own overloads are the types of these.

        def execute(self, statement, *args, **kwargs):
            if blocks_loop():
                refuse_on_loop(f"executing {_abridged(statement)}")
            return super().execute(statement, *args, **kwargs)

        def scalar(self, statement, *args, **kwargs):
            if blocks_loop():
                refuse_on_loop(f"executing {_abridged(statement)}")
            return super().scalar(statement, *args, **kwargs)

        def scalars(self, statement, *args, **kwargs):
            if blocks_loop():
                refuse_on_loop(f"executing {_abridged(statement)}")
            return super().scalars(statement, *args, **kwargs)

    def flush(self, objects: Any = None) -> None:
        if blocks_loop() and (self.new or self.deleted or any(map(self.is_modified, self.dirty))):
            refuse_on_loop("Session.flush()")
        super().flush(objects)

    def commit(self) -> None:
        if self._would_block():
            refuse_on_loop("Session.commit()")
        super().commit()

    def rollback(self) -> None:
        if self._would_block():
            refuse_on_loop("Session.rollback()")
        super().rollback()

    def close(self) -> None:
        if self._would_block():
            refuse_on_loop("Session.close()")
        # The two faces refer to each other; a session that is done with must not wait for the
        # garbage collector.
        self._aio = None
        super().close()

    def _would_block(self) -> bool:
        transaction = self.get_transaction()
        return blocks_loop() and transaction is not None and bool(transaction._connections)


class _Face(AsyncSession):
    """The asynchronous face. Ending what was never begun takes no greenlet.

    A request's teardown rolls back and closes a session that was closed before, as a rule.
    """

    async def rollback(self) -> None:
        session = self.sync_session
        if session.in_transaction() or type(session).rollback is not Session.rollback:
            await super().rollback()

    async def close(self) -> None:
        session = self.sync_session
        if (
            session.in_transaction()
            or len(session.identity_map)
            or type(session).close is not Session.close
        ):
            await super().close()
        else:
            session.close()


def _async_bind(bind: SyncEngine | SyncConnection | None) -> AsyncEngine | AsyncConnection | None:
    if isinstance(bind, SyncEngine):
        known: AsyncEngine | None = bind.__dict__.get("_aio")
        return known or AsyncEngine._retrieve_proxy_for_target(bind)
    if isinstance(bind, SyncConnection):
        return AsyncConnection._retrieve_proxy_for_target(bind)
    return None


def _abridged(statement: Any) -> str:
    text = " ".join(str(statement).split())
    return repr(text if len(text) <= 120 else text[:117] + "...")


SessionT = TypeVar("SessionT", bound=orm.Session)


class _SessionInTransaction(AbstractContextManager[SessionT]):
    """What ``sessionmaker.begin()`` gives: for ``with`` and for ``async with``."""

    def __init__(self, session: SessionT) -> None:
        self._session = session
        self._sync: AbstractContextManager[SessionT] = session._maker_context_manager()

    def __enter__(self) -> SessionT:
        return self._sync.__enter__()

    def __exit__(self, *raised: Any) -> bool | None:
        return self._sync.__exit__(*raised)

    async def __aenter__(self) -> SessionT:
        self._async = cast(Any, self._session).aio._maker_context_manager()
        await self._async.__aenter__()
        return self._session

    async def __aexit__(self, *raised: Any) -> bool | None:
        return cast("bool | None", await self._async.__aexit__(*raised))


class sessionmaker(orm.sessionmaker[SessionT]):
    """``sqlalchemy.orm.sessionmaker`` whose default class is the two-coloured :class:`Session`."""

    def __init__(self, bind: Any = None, *, class_: Any = Session, **options: Any) -> None:
        super().__init__(bind, class_=class_, **options)

    def begin(self) -> _SessionInTransaction[SessionT]:
        """A session in a transaction that commits: ``with`` or ``async with maker.begin() as s``.

        Both give the session itself; the end commits, or rolls back on an error, and closes it.
        """
        return _SessionInTransaction(self())


class _ContextRegistry(ScopedRegistry[SessionT], Generic[SessionT]):
    """Keeps one session per context: per thread, and per task with the threads that serve it."""

    def __init__(self, createfunc: Callable[..., SessionT]) -> None:
        self.createfunc = createfunc
        self._current: ContextVar[SessionT | None] = ContextVar("scoped_session", default=None)

    def __call__(self) -> SessionT:
        current = self._current.get()
        if current is None:
            current = self.createfunc()
            self._current.set(current)
        return current

    def has(self) -> bool:
        return self._current.get() is not None

    def set(self, obj: SessionT) -> None:
        self._current.set(obj)

    def clear(self) -> None:
        self._current.set(None)


class scoped_session(orm.scoped_session[SessionT]):
    """``sqlalchemy.orm.scoped_session`` for both colours.

    Without ``scopefunc`` the scope is the ``contextvars`` context. In plain threads that is the
    thread, as upstream. On a loop it is the task, together with the worker threads to which
    bridgekit carries its context: all of one request share a session, two requests never do. Tasks
    that a task starts after its first use of the session share it too; they must not use it at the
    same time.

    A coroutine ends the scope by ``await scoped.aio.close()`` and then ``scoped.remove()``, which
    finds nothing left to wait for.
    """

    def __init__(
        self,
        session_factory: orm.sessionmaker[SessionT],
        scopefunc: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(session_factory, scopefunc)
        if scopefunc is None:
            self.registry = _ContextRegistry(session_factory)

    @property
    def aio(self) -> AsyncSession:
        """The asynchronous face of the session of this scope."""
        session: Any = self.registry()
        face: AsyncSession = session.aio
        return face
