"""Driver connections and cursors that serve code of both colours.

SQLAlchemy adapts an asyncio driver to the DB-API by two classes, a connection and a cursor, whose
methods call ``await_()``. A *twin* is a subclass of such a class with no state of its own, in
which every public method may also be called from a thread without an event loop. An adapter
object becomes two-coloured by taking its twin as its class, so no class of SQLAlchemy's and no
other engine is touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from functools import cache, wraps
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection

from . import _sqlite
from ._bridging import SyncCallOnLoopError, blocks_loop, drive, on_loop, run_on_loop

#: Called by the garbage collector too, where nothing may wait: these close by force
#: when they are not in a greenlet.
_NEVER_WAITS = frozenset({"terminate"})

#: Serves rows that are already there, unless the cursor is a server-side one.
_FETCHES = frozenset({"fetchone", "fetchmany", "fetchall"})


def two_coloured(adapter: Any) -> Any:
    """Give a DB-API adapter of an asyncio driver its two-coloured class, and return it."""
    kind: Any = type(adapter)
    adapter.__class__ = _twin(kind)
    return adapter


@cache
def _twin(base: type[Any]) -> type[Any]:
    """The two-coloured subclass of ``base``, an adapter class for connections or cursors."""
    if getattr(base, "_bridgekit_twin", False):
        return base
    namespace: dict[str, Any] = {"__slots__": (), "_bridgekit_twin": True}
    server_side = getattr(base, "server_side", True)
    for name in dir(base):
        if name.startswith("_") or name in _NEVER_WAITS:
            continue
        if name in _FETCHES and not server_side:
            continue
        member = inspect.getattr_static(base, name)
        if isinstance(member, property):
            if member.fset is not None:
                namespace[name] = property(member.fget, _assigning(member.fset), member.fdel)
        elif name == "close" and not server_side:
            namespace[name] = _closing_cursor(member)
        elif name == "cursor":
            namespace[name] = _making_cursor(member)
        elif inspect.isfunction(member) and not inspect.iscoroutinefunction(member):
            namespace[name] = _waiting(member)
    for name in ("_cursor_cls", "_ss_cursor_cls"):
        if hasattr(base, name):
            namespace[name] = _twin(getattr(base, name))
    if hasattr(base, "_aenter_cursor"):
        namespace["_aenter_cursor"] = _entering(base._aenter_cursor)
    if issubclass(base, AsyncAdapt_aiosqlite_connection):
        namespace["__getattr__"] = _sqlite_attribute
        # A class of its own, so that statements are executed and fetched in one trip.
        namespace["_cursor_cls"] = _sqlite.Cursor
        namespace["cursor"] = _sqlite_cursor(namespace["cursor"])
        for name in ("commit", "rollback"):
            namespace[name] = _ending(namespace[name])
    if getattr(base, "server_side", False):
        namespace["__iter__"] = _rows_of
    return type(base.__name__, (base,), namespace)


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not on_loop():
            return drive(method, self, *args, **kwargs)
        if blocks_loop():
            raise SyncCallOnLoopError(f"{type(self).__name__}.{method.__name__}()")
        return method(self, *args, **kwargs)

    return call


def _making_cursor(method: Callable[..., Any]) -> Callable[..., Any]:
    make = _waiting(method)

    @wraps(method)
    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        return two_coloured(make(self, *args, **kwargs))

    return cursor


def _closing_cursor(method: Callable[..., Any]) -> Callable[..., Any]:
    close = _waiting(method)

    @wraps(method)
    def call(self: Any) -> None:
        # SQLAlchemy's asyncio faces close the driver's cursor and hand out the rows, whose end then
        # closes this object on the loop. It waits for nothing there.
        (method if on_loop() else close)(self)

    return call


def _entering(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @wraps(method)
    def enter(self: Any, cursor: Any) -> Any:
        try:
            return method(self, cursor)
        except BaseException:
            if isinstance(cursor, Coroutine):
                # aiosqlite's: a coroutine that nobody will await now.
                cursor.close()
            raise

    return enter


def _assigning(setter: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @wraps(setter)
    def assign(self: Any, value: Any) -> None:
        if not on_loop():
            # On the loop as a whole: aiosqlite's setter asks for the loop of its own thread.
            run_on_loop(setter, self, value)
        elif blocks_loop():
            raise SyncCallOnLoopError(f"setting {type(self).__name__}.{setter.__name__}")
        else:
            setter(self, value)

    return assign


def _sqlite_cursor(cursor: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(cursor)
    def make(self: Any, server_side: bool = False) -> Any:
        return cursor(self, server_side=True) if server_side else _sqlite.Cursor(self)

    return make


def _ending(method: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(method)
    def end(self: Any) -> None:
        if blocks_loop():
            raise SyncCallOnLoopError(f"{type(self).__name__}.{method.__name__}()")
        if not _sqlite.nothing_to_end(self):
            method(self)

    return end


def _sqlite_attribute(connection: Any, name: str) -> Any:
    """An attribute of the ``sqlite3.Connection`` that its adapter lacks (``create_collation``...).

    Connect listeners written for the synchronous driver use them. Methods run on the
    connection's own thread, as SQLite demands.
    """
    if name.startswith("_"):
        raise AttributeError(name)
    value = getattr(connection._connection._conn, name)
    if not callable(value):
        return value

    @wraps(value)
    def call(*args: Any, **kwargs: Any) -> Any:
        return connection.run_async(lambda driver: driver._execute(value, *args, **kwargs))

    return call


def _rows_of(cursor: Any) -> Iterator[Any]:
    """Iterate over a server-side cursor by its own, two-coloured ``fetchone``."""
    while (row := cursor.fetchone()) is not None:
        yield row
