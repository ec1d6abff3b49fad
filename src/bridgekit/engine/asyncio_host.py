"""The host of an asyncio loop, stock or other.

Invariant: the descriptors of a host are closed together with its loop. The loop's ``close`` is
replaced by one that tells the host afterwards. A loop that is closed in another way (its class's
method, or the end of an implementation in C) frees the reader, to which its selector holds the only
reference, and the reader tells the host. Not to be relied on alone: whoever keeps frames of the
loop's thread (a profiler, a traceback) keeps the reader.
"""

from __future__ import annotations

import asyncio
import os
import threading
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sized
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from bridgekit.engine import process
from bridgekit.engine.context import own_context
from bridgekit.engine.process import current
from bridgekit.engine.waiter import Sleeper, Waiter
from bridgekit.engine.wakers import PipeWaker, entered_lanes

if TYPE_CHECKING:
    from bridgekit.engine.hosts import Letter

__all__ = ["HOST_ATTRIBUTE", "AsyncioHost", "asyncio_hosts", "new_asyncio_host"]

HOST_ATTRIBUTE = "_bridgekit_host"  # of the loop; `hosts.current_host` spells it out
_BATCH = 32  # calls that may complete in a row without the task giving way to others


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
            setattr(loop, HOST_ATTRIBUTE, self)
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
            delattr(self.loop, HOST_ATTRIBUTE)
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


asyncio_hosts: WeakSet[AsyncioHost] = WeakSet()
"""Those that their loops keep, in this process."""


def new_asyncio_host() -> AsyncioHost:
    """Make the host of the running loop, which has none.

    :raises RuntimeError: no asyncio loop is running in this thread.
    """
    loop = asyncio.get_running_loop()
    host = AsyncioHost(loop)
    if host.attach():  # else each call gets a host of its own
        asyncio_hosts.add(host)
        host.open_pipe()
    return host


def _forget_hosts() -> None:
    # The pipes are closed by their own callback. A loop that the child goes on with gets a host
    # of its own; unregistering the old reader here would unregister the parent's.
    for host in list(asyncio_hosts):
        host._detach()
        host._closed = True
    asyncio_hosts.clear()


process.after_fork(_forget_hosts)
