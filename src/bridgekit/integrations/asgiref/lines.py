"""Lines of execution: for whom the current thread is working.

A plain thread is a line of its own. A bridge carries the line of its caller: into the worker
thread of ``sync_to_async``, into the coroutine of ``async_to_sync``, and with the context into the
tasks that are started there. A context that reaches another thread in any other way does not
carry its line: the entry names the thread it is good for.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token

__all__ = ["Arrival", "current_line"]


class _Thread(threading.local):
    """One object a thread. Not the thread's identifier, which a later thread may get again."""

    def __init__(self) -> None:
        self.line = object()


_thread = _Thread()
_carried: ContextVar[tuple[object, object] | None] = ContextVar("bridgekit_line", default=None)


def current_line() -> object:
    """The line of execution that the current code belongs to; compare with ``is``."""
    own = _thread.line
    carried = _carried.get()
    if carried is not None and carried[0] is own:
        return carried[1]
    return own


class Arrival:
    """``with Arrival(line):`` around what a bridge runs for another line on this thread."""

    __slots__ = ("_line", "_token")

    def __init__(self, line: object) -> None:
        self._line = line
        self._token: Token[tuple[object, object] | None] | None = None

    def __enter__(self) -> None:
        if current_line() is not self._line:
            self._token = _carried.set((_thread.line, self._line))

    def __exit__(self, *exc_info: object) -> None:
        if self._token is not None:
            try:
                _carried.reset(self._token)
            except ValueError:
                # A coroutine that is thrown away may be closed in another context, where the
                # variable has not been set.
                return
