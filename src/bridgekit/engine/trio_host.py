"""The host of a trio run: what :class:`AsyncioHost` is for an asyncio loop.

Loaded when the first call comes from a trio task; nothing else imports trio. Where trio's rules
differ from asyncio's, trio's hold: every call is a checkpoint; a cancellation that could not be
delivered while the thread worked is raised by the task's next checkpoint, not by the call itself,
whose result is thus never lost; and a coroutine that a thread wants is awaited in the cancelled
scope, so its first checkpoint raises ``Cancelled``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sized
from contextvars import Context, copy_context
from threading import get_ident
from types import TracebackType
from typing import Any

import trio
from sniffio import current_async_library_cvar as _library

from bridgekit.engine.context import ContextMerge
from bridgekit.engine.hosts import Letter
from bridgekit.engine.trio_waiter import RaiseCancel, TrioTurn, TrioWaiter
from bridgekit.engine.waiter import Sleeper
from bridgekit.engine.waits import trio_tasks

__all__ = ["TrioHost", "call_on_trio", "current_trio_host"]

_BATCH = 32  # as in hosts


class _Timeout:
    """``trio.fail_after``, with the built-in exception."""

    def __init__(self, seconds: float) -> None:
        self._scope = trio.move_on_after(seconds)

    async def __aenter__(self) -> None:
        self._scope.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        suppressed = self._scope.__exit__(exc_type, exc, tb)
        if self._scope.cancelled_caught:
            raise TimeoutError
        return suppressed


class _Serving:
    """A part of a task that can be cancelled alone: in all that a call needs, a task."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self.task = trio.lowlevel.current_task()

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        return self._scope.__exit__(exc_type, exc, tb)

    def cancel(self) -> None:
        """On trio's thread."""
        self._scope.cancel()

    def uncancel(self) -> None:
        """Nothing: the scope ends with what it was for."""


class _SystemTask:
    """A coroutine that runs as a task of its own, because the task it was meant for has gone."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._scope = trio.CancelScope()
        self._callbacks: list[Callable[[Any], object]] = []
        self.task = trio.lowlevel.spawn_system_task(self._run)

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._coroutine
        finally:
            for callback in self._callbacks:
                callback(self)

    def cancel(self) -> None:
        self._scope.cancel()

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks.append(callback)


async def _call_after(seconds: float, callback: Callable[[], object]) -> None:
    await trio.sleep(seconds)
    callback()


class TrioHost:
    """A trio run. Made in one of its tasks, once per run."""

    ready: Sized = ()
    checkpoints = True
    root: trio.lowlevel.Task  # of the run, to find the others from

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._thread_id = get_ident()  # by the name that loops of asyncio have it under
        self._closed = False
        self.credit = _BATCH

    # -- any thread ----------------------------------------------------------------------------

    def post(self, letter: Letter) -> bool:
        """Have ``letter.arrived()`` called on trio's thread; False if the run has ended."""
        try:
            self._token.run_sync_soon(letter.arrived)
        except trio.RunFinishedError:
            self._closed = True
            return False
        return True

    @property
    def is_open(self) -> bool:
        """Whether the run can still do anything, as far as is known."""
        return not self._closed

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called on trio's thread. Any thread may call this."""
        self._token.run_sync_soon(callback)

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        """:meth:`call_soon`, as loops of asyncio have it.

        :raises RuntimeError: the run has ended.
        """
        self._token.run_sync_soon(callback, *args)

    def cancellation(self, sleeper: Any) -> BaseException:
        """What a thread is to raise when it learns that its host has been cancelled."""
        raise_cancel: RaiseCancel | None = getattr(sleeper, "raise_cancel", None)
        if raise_cancel is not None:
            try:
                raise_cancel()
            except (trio.Cancelled, KeyboardInterrupt) as cancelled:
                return cancelled.with_traceback(None)
        return asyncio.CancelledError("the awaiting task was cancelled")

    # -- in a task of trio's -------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """What every call begins with."""
        await trio.lowlevel.checkpoint()
        # Where the call comes with these context variables, such as a portal, may be asyncio's.
        # In the run itself the library is known in another way, which comes first.
        if _library.get() == "trio":
            _library.set(None)

    async def leave(self, sleeper: Sleeper) -> None:
        """Raise the cancellation that the current task was told of earlier."""
        await trio.lowlevel.checkpoint()  # in the cancelled scope
        raise self.cancellation(sleeper)

    def waiter(self, sleeper: Sleeper) -> TrioWaiter:
        """For the current task to await."""
        return TrioWaiter(sleeper)

    def turn(self) -> TrioTurn:
        """For the current task to await until a limiter has a token for it."""
        return TrioTurn(self._token)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Any:
        """Run a coroutine as a task that nobody awaits.

        :raises RuntimeError: the run is ending; the coroutine has been closed.
        """
        try:
            return _SystemTask(coroutine)
        except RuntimeError:
            coroutine.close()
            raise

    def must_give_way(self) -> bool:
        """Whether so many calls in a row have completed at once that others should have a turn."""
        self.credit -= 1
        if self.credit > 0:
            return False
        self.credit = _BATCH
        return True

    async def give_way(self) -> None:
        """Let trio's loop turn once."""
        await trio.lowlevel.cancel_shielded_checkpoint()

    def timeout(self, seconds: float) -> _Timeout:
        """A block that is cancelled after some seconds, and then raises ``TimeoutError``."""
        return _Timeout(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called after some seconds."""
        trio.lowlevel.spawn_system_task(_call_after, seconds, callback, context=Context())

    def task_context(self) -> Context:
        """The context that the current task runs in: itself, not a copy."""
        return trio.lowlevel.current_task().context

    def later(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called once, after the tasks that are ready now."""
        self._token.run_sync_soon(callback, idempotent=True)

    def current_task(self) -> _Serving:
        """For the current task to enter: a trio task cannot be cancelled, only a scope of it."""
        return _Serving()


_RunVar: Any = trio.lowlevel.RunVar  # made by attrs, which not every type checker follows
_host = _RunVar("bridgekit_host")


def current_trio_host() -> TrioHost:
    """The host of the trio run that the current task belongs to.

    :raises RuntimeError: not in a task of trio's.
    """
    try:
        host: TrioHost = _host.get()
    except LookupError:
        host = TrioHost()
        _host.set(host)
        trio_tasks.begun(host)
    return host


def call_on_trio(
    func: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """On a worker thread of trio's own: have the task that awaits it await ``func(...)``.

    Context variables cross both ways.
    """
    entered: Context | None = None
    left: Context | None = None

    async def call() -> Any:
        nonlocal entered, left
        entered = copy_context()
        try:
            return await func(*args, **kwargs)
        finally:
            left = copy_context()

    try:
        return trio.from_thread.run(call)
    finally:
        if entered is not None and left is not None:
            ContextMerge().apply(entered, left)
        del call
