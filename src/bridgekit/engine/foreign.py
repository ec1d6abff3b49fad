"""Worker threads of other libraries that belong to an event loop.

Servers and frameworks run synchronous code through anyio or asgiref. Their worker threads know
the loop that started them, each in its own way; a coroutine wanted there should go to that loop.
Neither library is imported here: a thread of theirs can only exist if the program has.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from types import ModuleType
from typing import Any, TypeAlias

from bridgekit.engine.process import after_fork

__all__ = [
    "foreign_loop",
    "foreign_trio",
    "in_asgirefs_place",
    "original_module",
    "parked_in_asgiref",
]


Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]


_modules = sys.modules
_replaced: dict[str, ModuleType] = {}
# What the thread that forked belonged to, in the parent. A loop of the parent's looks as if it were
# running in the child, too.
_of_parent: list[object] = []


def in_asgirefs_place(name: str, module: ModuleType | None) -> None:
    """A module of asgiref is loaded but no longer in ``sys.modules`` (None: put back)."""
    if module is None:
        _replaced.pop(name, None)
    else:
        _replaced[name] = module


def original_module(name: str) -> ModuleType | None:
    """A module of asgiref's own, if the program has loaded it."""
    module = _replaced.get(name) or _modules.get(name)
    # A drop-in may stand there under that name; it is not the original.
    return module if module is not None and module.__name__ == name else None


def foreign_loop() -> asyncio.AbstractEventLoop | None:
    """The running loop that this thread belongs to according to anyio or asgiref, if any."""
    loop = _anyio_loop() or _asgiref_loop()
    if loop is None:
        return None
    if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
        return None if _is_parents(loop) else loop
    return None


def _is_parents(thing: object) -> bool:
    if any(thing is parents for parents in _of_parent):
        return True
    # The fork may have come before this module. Loops other than the stock ones do not tell.
    thread_id = getattr(thing, "_thread_id", None)
    return thread_id is not None and thread_id not in sys._current_frames()


def foreign_trio() -> Callable[[Callable[..., Awaitable[Any]], Args, Kwargs], Any] | None:
    """How to have a coroutine awaited by the trio task that awaits this thread, if one does."""
    token = _trio_token()
    if token is None or _is_parents(token):
        return None
    from bridgekit.engine.trio_host import call_on_trio

    return call_on_trio


def _of_this_thread(state: object) -> dict[str, Any]:
    """What a ``threading.local`` holds for this thread.

    On most threads there is nothing: to learn that from an attribute's absence costs more than all
    the rest here.
    """
    return state.__dict__ if isinstance(state, threading.local) else {}


def _anyio_loop() -> object:
    threads = _modules.get("anyio._core._eventloop")
    if threads is None:
        return None
    token = _of_this_thread(getattr(threads, "threadlocals", None)).get("current_token")
    return None if token is None else getattr(token, "native_token", None)


def _asgiref_loop() -> object:
    sync = original_module("asgiref.sync")
    if sync is None:
        return None
    state = _of_this_thread(getattr(getattr(sync, "SyncToAsync", None), "threadlocal", None))
    if not state or state.get("main_event_loop_pid") != os.getpid():
        return None
    return state.get("main_event_loop")


def _trio_token() -> object:
    threads = _modules.get("trio._threads")
    if threads is None:
        return None
    return _of_this_thread(getattr(threads, "PARENT_TASK_DATA", None)).get("token")


def parked_in_asgiref(thread_id: int) -> Executor | None:
    """What takes calls for a thread, if asgiref's ``async_to_sync`` waits there for this code."""
    sync = original_module("asgiref.sync")
    bridge = getattr(sync, "AsyncToSync", None)
    executor: Any = getattr(getattr(bridge, "executors", None), "current", None)
    while executor is not None:
        thread = getattr(executor, "_work_thread", None)
        if isinstance(executor, Executor) and getattr(thread, "ident", None) == thread_id:
            return executor
        executor = getattr(executor, "_old_executor", None)
    return None


def _note_parents() -> None:
    _of_parent[:] = filter(None, (_anyio_loop(), _trio_token()))


after_fork(_note_parents)
if len(sys._current_frames()) == 1:
    _note_parents()  # a worker that is alone is one of a child that was forked before
