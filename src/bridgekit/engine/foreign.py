"""Worker threads of other libraries that belong to an event loop.

Servers and frameworks run synchronous code through anyio or asgiref. Their worker threads know
the loop that started them, each in its own way; a coroutine wanted there should go to that loop.
Neither library is imported here: a thread of theirs can only exist if the program has.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

__all__ = ["foreign_loop", "foreign_trio"]


Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]


def foreign_loop() -> asyncio.AbstractEventLoop | None:
    """The running loop that this thread belongs to according to anyio or asgiref, if any."""
    loop = _anyio_loop() or _asgiref_loop()
    if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
        return loop
    return None


def foreign_trio() -> Callable[[Callable[..., Awaitable[Any]], Args, Kwargs], Any] | None:
    """How to have a coroutine awaited by the trio task that awaits this thread, if one does."""
    threads = sys.modules.get("trio._threads")
    if getattr(getattr(threads, "PARENT_TASK_DATA", None), "token", None) is None:
        return None
    from bridgekit.engine.trio_host import call_on_trio

    return call_on_trio


def _anyio_loop() -> object:
    threads = sys.modules.get("anyio._core._eventloop")
    token = getattr(getattr(threads, "threadlocals", None), "current_token", None)
    return getattr(token, "native_token", None)


def _asgiref_loop() -> object:
    sync = sys.modules.get("asgiref.sync")
    state = getattr(getattr(sync, "SyncToAsync", None), "threadlocal", None)
    return getattr(state, "main_event_loop", None)
