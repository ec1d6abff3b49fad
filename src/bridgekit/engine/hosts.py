"""The event loop's side of a crossing: how a task sleeps until a thread wants it.

A :class:`Host` stands for one running event loop. Threads :meth:`~Host.post` to it what has news;
the loop calls ``arrived()`` on each, in order, on its own thread. Tasks sleep in a waiter, which
``fire()`` resumes at once, inside the call, without another turn of the loop. Only this module
knows which library the loop belongs to.

Invariants:

* what a host has accepted is handed ``arrived()``, or ``host_closed()`` when the loop is closed
  first, exactly once;
* the descriptors of a host are closed together with its loop. The loop's ``close`` is replaced by
  one that tells the host afterwards. A loop that is closed in another way (its class's method, or
  the end of an implementation in C) frees the reader, to which its selector holds the only
  reference, and the reader tells the host. Not to be relied on alone: whoever keeps frames of the
  loop's thread (a profiler, a traceback) keeps the reader.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import types
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sized
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import Context
from typing import Any, Protocol
from weakref import WeakSet

from bridgekit.engine import process
from bridgekit.engine.context import own_context
from bridgekit.engine.process import current
from bridgekit.engine.waiter import Sleeper, Waiter
from bridgekit.engine.wakers import PipeWaker, entered_lanes

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

_ATTRIBUTE = "_bridgekit_host"
_modules = sys.modules
_BATCH = 32  # calls that may complete in a row without the task giving way to others


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


@types.coroutine
def _give_way() -> Generator[None, None, None]:
    yield


class _InboxPipe(PipeWaker):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        return self._read_end


class _Reader:
    """Held by the selector of the loop, so normally it dies when the loop is closed."""

    __slots__ = ("_host",)

    def __init__(self, host: AsyncioHost) -> None:
        self._host = host

    def __call__(self) -> None:
        self._host._read()

    def __del__(self) -> None:
        self._host._loop_closed()


class AsyncioHost:
    """An asyncio loop, stock or other. Made on the loop's own thread, once per loop.

    Where a loop cannot watch descriptors, ``call_soon_threadsafe`` takes the place of the pipe.
    """

    checkpoints = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ready: Sized = getattr(loop, "_ready", ())  # the stock loops'
        self.credit = _BATCH
        self._letters: deque[Letter] = deque()
        self._rung = False
        self._closed = False
        self._late: list[Callable[[], None]] = []
        self._pipe: _InboxPipe | None = None
        self._undo_close: Callable[[], None] | None = None

    def attach(self) -> bool:
        """Become the host that the loop keeps; returns False if it takes no attributes."""
        loop: Any = self.loop
        try:
            setattr(loop, _ATTRIBUTE, self)
        except AttributeError:
            return False
        attributes, close = vars(loop), loop.close
        before = attributes.get("close")

        def close_and_tell() -> None:
            close()
            self._loop_closed()

        def undo() -> None:
            if attributes.get("close") is not close_and_tell:
                return  # somebody else has put another one in front of it
            if before is None:
                del attributes["close"]
            else:
                attributes["close"] = before

        attributes["close"] = close_and_tell
        self._undo_close = undo
        return True

    def open_pipe(self) -> None:
        """Have the loop watch a pipe. Only for a host that its loop keeps."""
        try:
            self._pipe = _InboxPipe()
            # In an empty context: the loop keeps the one it is registered in.
            Context().run(self.loop.add_reader, self._pipe, _Reader(self))
        except (OSError, NotImplementedError):
            self._pipe = None

    @property
    def inbox(self) -> int | None:
        """The descriptor by which threads wake the loop."""
        return None if self._pipe is None else self._pipe.fileno()

    # -- any thread ----------------------------------------------------------------------------

    def post(self, letter: Letter) -> bool:
        """Have ``letter.arrived()`` called on the loop. Any thread may call this.

        Returns False if the loop is closed. The wake-up drops the interpreter lock, so the loop
        has often looked at the letter when this returns.
        """
        self._letters.append(letter)
        # A signal handler may have interrupted the main thread in the middle of its own ring, so
        # that one cannot be relied on: the handler might wait for what it posts here.
        if not self._rung or threading.get_ident() == current.main_thread_id:
            try:
                self._rung = True
                self._ring()
            except BaseException:
                self._rung = False  # a signal handler has raised; the next letter rings
                raise
        if self._closed:
            try:
                self._letters.remove(letter)
            except ValueError:
                return True  # has been told already
            return False
        return True

    def _ring(self) -> None:
        pipe = self._pipe  # keeps the descriptor from being closed, and reused, under the write
        if pipe is not None:
            try:
                pipe.ring()
            except OSError:
                return  # a full pipe wakes the loop just as well; a closed one is a parent's
        elif not self._closed:
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                self._loop_closed()

    @property
    def is_open(self) -> bool:
        """Whether the loop can still do anything."""
        return not self._closed and not self.loop.is_closed()

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called on the loop's thread. Any thread may call this."""
        self.loop.call_soon_threadsafe(callback)

    def cancellation(self, sleeper: Sleeper) -> BaseException:
        """What a thread is to raise when it learns that its host has been cancelled."""
        return asyncio.CancelledError(sleeper.cancel_message or "the awaiting task was cancelled")

    # -- the loop's thread ---------------------------------------------------------------------

    def _read(self) -> None:
        try:
            if self._pipe is not None:
                try:
                    self._pipe.wait()
                except BlockingIOError:
                    return  # has been looked at already
            self._deliver()
        except BaseException:
            self._ring_again()
            raise

    def _ring_again(self) -> None:
        """Struck by a signal handler, perhaps before the letters were looked at."""
        self._rung = True
        self._ring()

    def _deliver(self) -> None:
        self._rung = False  # before looking: a letter that comes later rings again
        letters = self._letters
        letter: Letter | None = None
        try:
            for _ in range(len(letters)):
                letter = letters.popleft()
                letter.arrived()
        except Exception:
            raise
        except BaseException:
            # Struck by a signal handler, perhaps before the letter was read; reading it again does
            # no harm.
            if letter is not None:
                letters.appendleft(letter)
            raise
        finally:
            if letters and not self._rung:  # a task raised KeyboardInterrupt or SystemExit
                self._rung = True
                self._ring()

    def deliver(self) -> None:
        """Hand out what has come so far."""
        self._deliver()

    def _loop_closed(self) -> None:
        self._closed = True
        self._pipe = None  # a thread that is ringing right now keeps it until it has
        self._detach()
        while True:
            try:
                letter = self._letters.popleft()
            except IndexError:  # a thread that is posting may take its letter back meanwhile
                break
            letter.host_closed()
        for lane in entered_lanes():
            if lane.is_deserted():
                lane.host_closed()

    def _detach(self) -> None:
        with suppress(AttributeError):
            delattr(self.loop, _ATTRIBUTE)
        if self._undo_close is not None:
            self._undo_close()
            self._undo_close = None

    def waiter(self, sleeper: Sleeper) -> Waiter:
        """For the current task to await."""
        return Waiter(self.loop, sleeper)

    async def checkpoint(self) -> None:
        """Nothing: a task need not look for cancellation before it sleeps."""

    async def leave(self, sleeper: Sleeper) -> None:
        """Raise the cancellation that the current task was told of earlier."""
        raise self.cancellation(sleeper)

    def turn(self) -> asyncio.Future[None]:
        """For the current task to await until a limiter has a token for it."""
        return self.loop.create_future()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task that nobody awaits.

        :raises RuntimeError: the loop is ending; the coroutine has been closed.
        """
        return self.loop.create_task(coroutine)

    def must_give_way(self) -> bool:
        """Whether so many calls in a row have completed at once that others should have a turn."""
        self.credit -= 1
        if self.credit > 0:
            return False
        self.credit = _BATCH
        return True

    async def give_way(self) -> None:
        """Let the loop turn once."""
        await _give_way()

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """A block that is cancelled after some seconds, and then raises ``TimeoutError``."""
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called after some seconds."""
        self.loop.call_later(seconds, callback, context=Context())

    def task_context(self) -> Context:
        """The context that the current task runs in: itself, not a copy.

        :raises RuntimeError: the caller does not run in its task's context.
        """
        return own_context(self.current_task())

    def later(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called once, after the tasks that are ready now."""
        if not self._late:
            self.loop.call_soon(self._run_late, context=Context())
        if callback not in self._late:
            self._late.append(callback)

    def _run_late(self) -> None:
        callbacks, self._late = self._late, []
        # What comes in the meantime is looked at right afterwards, so nobody need ring for it.
        self._rung = True
        try:
            for callback in callbacks:
                callback()
            self._deliver()
        except BaseException:
            self._ring_again()
            raise

    def current_task(self) -> asyncio.Task[Any] | None:
        """The task that is running."""
        return asyncio.current_task(self.loop)


_hosts: WeakSet[AsyncioHost] = WeakSet()


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
    return getattr(loop, _ATTRIBUTE, None)


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
    host: AsyncioHost | None = getattr(_get_running_loop(), _ATTRIBUTE, None)
    return host if host is not None else _new_asyncio_host()


def _new_host() -> Host:
    if _get_running_loop() is None and runs_trio():
        from bridgekit.engine.trio_host import current_trio_host

        return current_trio_host()
    return _new_asyncio_host()


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


def _new_asyncio_host() -> AsyncioHost:
    loop = asyncio.get_running_loop()
    host = AsyncioHost(loop)
    if host.attach():  # else each call gets a host of its own
        _hosts.add(host)
        host.open_pipe()
    return host


def _forget_hosts() -> None:
    # The pipes are closed by their own callback. A loop that the child goes on with gets a host
    # of its own; unregistering the old reader here would unregister the parent's.
    for host in list(_hosts):
        host._detach()
        host._closed = True
    _hosts.clear()


process.after_fork(_forget_hosts)
