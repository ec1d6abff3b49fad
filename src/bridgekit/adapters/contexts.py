"""Contexts in which all thread-sensitive calls share one thread."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType

from bridgekit.engine.affinity import CURRENT_BINDING, ThreadBinding
from bridgekit.engine.lane import CURRENT_LANE, nearest_lane

__all__ = ["ThreadSensitiveContext", "calling_thread_context"]


class ThreadSensitiveContext:
    """While it is open, all calls with affinity ``"context"`` run on one thread of its own.

    For libraries whose objects may only be used on the thread that made them (``sqlite3``), and
    for code that keeps state in thread-locals. The thread is taken on first use, and another
    context gets it afterwards; opening a context that is never used costs next to nothing.
    Contexts nest; tasks started inside share the thread. Closing never blocks: calls under way
    finish first, later ones go to the enclosing context.

    Works with ``async with`` and with ``with``; one instance is for one use at a time.
    """

    def __init__(self) -> None:
        self._binding: ThreadBinding | None = None
        self._token: Token[ThreadBinding | None] | None = None

    def _make_binding(self) -> ThreadBinding:
        return ThreadBinding()

    def __enter__(self) -> ThreadSensitiveContext:
        if self._binding is not None:
            raise RuntimeError("this context is open already")
        self._binding = self._make_binding()
        self._token = CURRENT_BINDING.set(self._binding)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        binding, self._binding = self._binding, None
        token, self._token = self._token, None
        if binding is None or token is None:
            raise RuntimeError("this context is not open")
        binding.let_go()
        CURRENT_BINDING.reset(token)

    async def __aenter__(self) -> ThreadSensitiveContext:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, tb)


class calling_thread_context(ThreadSensitiveContext):
    """A context whose thread is the one that waits, in async-to-sync, for the current code.

    For code that has to see what the calling thread keeps in thread-locals, such as a command
    line's context. Without such a thread it is an ordinary context.
    """

    def _make_binding(self) -> ThreadBinding:
        return ThreadBinding(lane=nearest_lane(CURRENT_LANE.get()))
