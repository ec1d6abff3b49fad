"""Living together with the original ``asgiref.sync`` in one process.

Functions that were decorated before the drop-in was installed, and libraries that hold names of
the original, go on using it. A thread may then be parked in the original's ``async_to_sync`` while
a call of ours must run on it, or the other way round. Each side is therefore told where the
other's thread is: ours looks at the original's current executor, and ours is put there.

Nothing here imports the original; where it is not loaded, there is nothing to do.
"""

from __future__ import annotations

import os
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import ContextVar, copy_context
from typing import Any

from bridgekit.engine.foreign import in_asgirefs_place, original_module
from bridgekit.integrations.asgiref.current_thread_executor import CurrentThreadExecutor

__all__ = ["Visit", "in_worker_of", "original_sync", "parked_thread", "remember"]

_ABSENT = object()
remember = in_asgirefs_place  # `install` has taken a module of the original away, or put it back


def original_sync() -> Any:
    """The original module, if the program has loaded it."""
    return original_module("asgiref.sync")


def parked_thread() -> Executor | None:
    """The original's executor of the thread that is parked for the current code, if it is one.

    Where ours is the inner one, ours stands in that place, and the answer is None.
    """
    sync = original_sync()
    if sync is None:
        return None
    executor = getattr(sync.AsyncToSync.executors, "current", None)
    while executor is not None and not isinstance(executor, CurrentThreadExecutor):
        if not executor._broken:
            assert isinstance(executor, Executor)
            return executor
        executor = executor._old_executor
    return None


class Visit:
    """``with Visit(executor):`` in a coroutine: the original's calls go to our parked thread.

    It also makes values of the original's ``Local`` at home on this thread, as the original's own
    bridges do. Those not changed meanwhile are put back on leaving, so that the merge of contexts
    does not take them for changes.

    :param executor: None where no thread is parked; an existing entry is hidden then.
    """

    __slots__ = ("_executor", "_executors", "_outer", "_rehomed", "_set_executor")

    def __init__(self, executor: CurrentThreadExecutor | None, *, set_executor: bool) -> None:
        self._executor = executor
        self._set_executor = set_executor
        self._executors: Any = None
        self._outer: Any = None
        self._rehomed: list[tuple[ContextVar[Any], Any, Any]] = []

    def __enter__(self) -> None:
        self._rehomed = _rehome()
        sync = original_sync() if self._set_executor else None
        if sync is not None:
            self._executors = sync.AsyncToSync.executors
            self._outer = getattr(self._executors, "current", _ABSENT)
            self._executors.current = self._executor

    def __exit__(self, *exc_info: object) -> None:
        if self._executors is not None:
            if self._outer is _ABSENT:
                del self._executors.current
            else:
                self._executors.current = self._outer
        for variable, before, rehomed in self._rehomed:
            now = variable.get(None)
            if now is rehomed or getattr(now, "data", None) == rehomed.data:
                variable.set(before)


def _rehome() -> list[tuple[ContextVar[Any], Any, Any]]:
    """Move the values of the original's ``Local`` in this context to this thread."""
    local = original_module("asgiref.local")
    storage_type = getattr(local, "_Storage", None)
    if local is None or storage_type is None:
        return []
    here = threading.get_ident()
    moved = []
    for variable, value in copy_context().items():
        if type(value) is storage_type and value.thread_id != here:
            rehomed = local._rehome(value)
            variable.set(rehomed)
            moved.append((variable, value, rehomed))
    return moved


def bring_home() -> None:
    """After a call through a bridge: what came back belongs to this thread now."""
    _rehome()


def in_worker_of(loop: AbstractEventLoop, call: Callable[[], Any]) -> Any:
    """Call on a worker thread so that the original's ``async_to_sync`` goes to ``loop`` too."""
    sync = original_sync()
    if sync is None:
        return call()
    state = sync.SyncToAsync.threadlocal
    names = ("main_event_loop", "main_event_loop_pid", "task_context")
    outer = {name: getattr(state, name, None) for name in names}
    state.main_event_loop, state.main_event_loop_pid = loop, os.getpid()
    state.task_context = None
    try:
        return call()
    finally:
        for name, value in outer.items():
            setattr(state, name, value)
