"""Synchronous code whose caller has been cancelled and has left goes on as if nothing had happened.

The native adapters tell such code at its next request for a coroutine, by ``CancelledError``. What
was written for asgiref does not reckon with that: there, a view that a client has given up can
still call asynchronous code.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from bridgekit.adapters import from_thread
from bridgekit.engine.call import Call, current_work

__all__ = ["Serving", "overlook_cancellation"]


class _State(threading.local):
    work: Call | None = None


_state = _State()


class Serving:
    """``with Serving():`` around what the drop-in runs on a worker thread."""

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        self._outer = _state.work
        _state.work = current_work()

    def __exit__(self, *exc_info: object) -> None:
        _state.work = self._outer


def overlook_cancellation() -> None:
    """Before a request for a coroutine: it is served though the caller of this code has left.

    Only where that caller is the drop-in; native calls keep their rule.
    """
    work = _state.work
    if work is not None and work.cancelled and work is current_work():
        with suppress(asyncio.CancelledError):
            from_thread.check_cancelled()  # it counts as told, then
