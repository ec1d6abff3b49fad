"""A drop-in for ``asgiref.local``: storage that is local to a task, and to a plain thread.

A value belongs to a *line of execution*: a plain thread, or the code that the bridges of this
package run for it on other threads. So a value set in a thread is seen in the coroutine that
``async_to_sync`` runs for that thread, but not in another thread that merely works with a copy of
its context (as new threads do on free-threaded builds).
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any, final

from bridgekit.integrations.asgiref.lines import current_line

__all__ = ["Local"]


class _Storage:
    """The attributes of one :class:`Local` in one context; replaced, never changed."""

    __slots__ = ("data", "line")

    def __init__(self, line: object, data: dict[str, Any]) -> None:
        self.line = line
        self.data = data


_EMPTY: dict[str, Any] = {}


def _missing(owner: object, key: str) -> AttributeError:
    return AttributeError(f"{owner!r} object has no attribute {key!r}")


def _read(variable: ContextVar[_Storage]) -> dict[str, Any]:
    storage = variable.get(None)
    if storage is None or storage.line is not current_line():
        return _EMPTY
    return storage.data


def _write(variable: ContextVar[_Storage], data: dict[str, Any]) -> None:
    variable.set(_Storage(current_line(), data))


@final
class Local:
    """A namespace whose attributes are local to the current task, or to the current plain thread.

    What asynchronous code sets is seen by the coroutines it awaits, by the tasks it starts and by
    the synchronous code it calls through ``sync_to_async``; what a plain thread sets is seen by
    the asynchronous code that it calls through ``async_to_sync``. Changes come back from a call
    through a bridge, not from a task.

    Reading, setting and deleting are safe on any thread; no lock is held.

    :param thread_critical: keep values to the thread that set them, for what must not change
        threads (database handles): ``sync_to_async`` and ``async_to_sync`` do not carry them.
    :raises TypeError: from the constructor of a subclass; this class cannot be subclassed.
    """

    __slots__ = ("__weakref__", "_data")

    def __new__(cls, thread_critical: bool = False) -> Local:
        if cls is not Local:
            raise TypeError("asgiref.local.Local cannot be subclassed")
        return object.__new__(_ThreadCriticalLocal if thread_critical else _DefaultLocal)

    def __init__(self, thread_critical: bool = False) -> None:
        del thread_critical

    # For type checkers: any attribute may be asked for. The subclasses do the work.

    def __getattr__(self, key: str) -> Any:
        raise _missing(self, key)

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(key)

    def __delattr__(self, key: str) -> None:
        raise _missing(self, key)


class _DefaultLocal(Local):  # type: ignore[misc]
    """Values cross the bridges."""

    __slots__ = ()

    _data: ContextVar[_Storage]

    def __init__(self, thread_critical: bool = False) -> None:
        object.__setattr__(self, "_data", ContextVar("bridgekit_local"))

    def __getattr__(self, key: str) -> Any:
        try:
            return _read(self._data)[key]
        except KeyError:
            raise _missing(self, key) from None

    def __setattr__(self, key: str, value: Any) -> None:
        if key == "_data":
            raise AttributeError("Cannot set attribute '_data' on Local")
        _write(self._data, {**_read(self._data), key: value})

    def __delattr__(self, key: str) -> None:
        data = dict(_read(self._data))
        if key not in data:
            raise _missing(self, key)
        del data[key]
        _write(self._data, data)


class _ThreadCriticalLocal(Local):  # type: ignore[misc]
    """Values stay on their thread; on a thread that runs a loop, also in their task."""

    __slots__ = ()

    _data: threading.local

    def __init__(self, thread_critical: bool = False) -> None:
        object.__setattr__(self, "_data", threading.local())

    def _variable(self) -> ContextVar[dict[str, Any]] | None:
        """Where asynchronous code of this thread keeps values; None on a plain thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        try:
            variable: ContextVar[dict[str, Any]] = self._data.variable
        except AttributeError:
            variable = self._data.variable = ContextVar("bridgekit_thread_local")
        return variable

    def _values(self) -> dict[str, Any]:
        variable = self._variable()
        if variable is not None:
            return variable.get(_EMPTY)
        return getattr(self._data, "values", _EMPTY)

    def _replace(self, values: dict[str, Any]) -> None:
        variable = self._variable()
        if variable is not None:
            variable.set(values)
        else:
            self._data.values = values

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values()[key]
        except KeyError:
            raise _missing(self, key) from None

    def __setattr__(self, key: str, value: Any) -> None:
        if key == "_data":
            raise AttributeError("Cannot set attribute '_data' on Local")
        self._replace({**self._values(), key: value})

    def __delattr__(self, key: str) -> None:
        values = dict(self._values())
        if key not in values:
            raise _missing(self, key)
        del values[key]
        self._replace(values)
