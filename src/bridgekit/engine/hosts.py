"""The event loop's side of a crossing: how a task sleeps until a thread wants it.

A :class:`Host` stands for one running event loop. Threads :meth:`~Host.post` to it what has news;
the loop calls ``arrived()`` on each, in order, on its own thread. Tasks sleep in a waiter, which
``fire()`` resumes at once, inside the call, without another turn of the loop. Which library the
loop belongs to is known here and in the module of that library's host alone.

Invariant: what a host has accepted is handed ``arrived()``, or ``host_closed()`` when the loop is
closed first, exactly once.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine, Sized
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Any, Protocol

from bridgekit.engine.asyncio_host import HOST_ATTRIBUTE, AsyncioHost, new_asyncio_host
from bridgekit.engine.waiter import Sleeper

__all__ = [
    "AsyncioHost",
    "Host",
    "Letter",
    "current_asyncio_host",
    "current_host",
    "host_of",
    "letters_arrived",
    "runs_trio",
]

_modules = sys.modules


class Letter(Protocol):
    """What a thread posts to a host."""

    def arrived(self) -> None:
        """On the loop's thread: look at the news."""

    def host_closed(self) -> None:
        """The loop has been closed first. On whichever thread closed it."""


class Host(Protocol):
    """What a crossing needs of the loop that its task runs on."""

    ready: Sized  # what the loop is going to run in this turn, as far as that is known
    checkpoints: bool  # whether a call begins with `checkpoint()`

    def post(self, letter: Letter) -> bool: ...
    @property
    def is_open(self) -> bool: ...
    def call_soon(self, callback: Callable[[], object]) -> None: ...
    def cancellation(self, sleeper: Sleeper) -> BaseException: ...
    async def checkpoint(self) -> None: ...
    async def leave(self, sleeper: Sleeper) -> None: ...
    def waiter(self, sleeper: Sleeper) -> Any: ...
    def turn(self) -> Any: ...
    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Any: ...
    def must_give_way(self) -> bool: ...
    async def give_way(self) -> None: ...
    def timeout(self, seconds: float) -> AbstractAsyncContextManager[Any]: ...
    def call_later(self, seconds: float, callback: Callable[[], object]) -> None: ...
    def task_context(self) -> Context: ...
    def later(self, callback: Callable[[], None]) -> None: ...
    def current_task(self) -> Any: ...


class _Mark:
    """A letter that tells when all letters before it have arrived."""

    __slots__ = ("_reached",)

    def __init__(self, reached: asyncio.Future[None]) -> None:
        self._reached = reached

    def arrived(self) -> None:
        if not self._reached.done():
            self._reached.set_result(None)

    def host_closed(self) -> None:
        return


async def letters_arrived() -> None:
    """Wait until the running asyncio loop has looked at all that was posted to it before."""
    host = current_asyncio_host()
    reached = host.loop.create_future()
    host.post(_Mark(reached))
    await reached


def host_of(loop: asyncio.AbstractEventLoop) -> AsyncioHost | None:
    """The host of a loop, if it has one already. Any thread may call this."""
    return getattr(loop, HOST_ATTRIBUTE, None)


def current_host() -> Host:
    """The host of the running loop: asyncio's or, without one, trio's.

    :raises RuntimeError: no event loop is running in this thread.
    """
    loop = _get_running_loop()
    try:
        host: Host = loop._bridgekit_host  # type: ignore[union-attr]
    except AttributeError:
        return _new_host()
    return host


def current_asyncio_host() -> AsyncioHost:
    """The host of the running asyncio loop.

    :raises RuntimeError: no asyncio loop is running in this thread.
    """
    host: AsyncioHost | None = getattr(_get_running_loop(), HOST_ATTRIBUTE, None)
    return host if host is not None else new_asyncio_host()


def _new_host() -> Host:
    if _get_running_loop() is None and runs_trio():
        from bridgekit.engine.trio_host import current_trio_host

        return current_trio_host()
    return new_asyncio_host()


def runs_trio() -> bool:
    """Whether this thread is running trio. Imports nothing."""
    run = _modules.get("trio._core._run")
    if run is None:
        return False
    state = getattr(run, "GLOBAL_RUN_CONTEXT", None)
    if isinstance(state, threading.local):  # what `in_trio_run` looks at, five times as fast
        return "runner" in state.__dict__
    lowlevel = getattr(_modules.get("trio"), "lowlevel", None)
    return lowlevel is not None and bool(lowlevel.in_trio_run())
