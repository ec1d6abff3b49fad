"""``sync_context_manager``: asynchronous context managers, used with ``with``.

Invariants:

* entering and leaving happen in the same task and in the same context;
* a manager that has been entered is left exactly once.

On a worker thread that a task awaits, that task is the one: ``asyncio.timeout`` and
``asyncio.TaskGroup`` around a synchronous block then act on the block's own calls, as they would
in asynchronous code. On other threads it is a task of the manager's own.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from bridgekit.adapters.calls import run_coroutine
from bridgekit.adapters.loop_thread import refuse_on_loop_thread
from bridgekit.adapters.steps.in_task import TaskSteps
from bridgekit.adapters.steps.own_context import OwnContext
from bridgekit.engine.work import current_work

__all__ = ["SyncContextManagerAdapter", "sync_context_manager"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
NOTHING: ExcInfo = (None, None, None)


class _Use:
    """One use of an asynchronous manager. The coroutines run in the task of the use."""

    def __init__(self, source: Any, is_function: bool) -> None:
        self._source = source
        self._is_function = is_function
        self._manager: Any = None
        self.is_open = False
        self.left = False
        self._early: BaseException | None = None

    def has_ended(self) -> bool:
        return self.left

    async def enter(self) -> Any:
        try:
            manager = self._source
            if self._is_function:
                manager = manager()
                if inspect.isawaitable(manager):
                    manager = await manager
            value = await manager.__aenter__()
        except BaseException:
            self.left = True
            raise
        self._manager = manager
        self.is_open = True
        return value

    async def leave(self, info: ExcInfo) -> bool | None:
        self.is_open = False
        self.left = True
        result: bool | None = await self._manager.__aexit__(*info)
        return result

    async def cancelled(self, error: asyncio.CancelledError) -> None:
        """The task was cancelled while the block runs in its thread, where it goes on.

        The manager gets its cancellation now (a timeout makes it a ``TimeoutError``); what comes
        of it is raised at the end of the block.
        """
        if not self.is_open:
            self.left = True
            self._early = error
            return
        try:
            if not await self.leave((type(error), error, error.__traceback__)):
                self._early = error
        except GeneratorExit:
            raise  # the loop was closed, and this coroutine is being thrown away
        except BaseException as outcome:
            self._early = outcome

    def raise_early(self) -> None:
        error, self._early = self._early, None
        if error is not None:
            try:
                raise error
            finally:
                del error


class _HostTask:
    """Enter and leave in the task that awaits this worker thread or that is suspended here.

    Left in another call to a worker than it was entered in, it is left in another task: the first
    one may be gone.
    """

    def __init__(self, use: _Use, target: Callable[..., Any]) -> None:
        self._use = use
        self._target = target

    def enter(self) -> Any:
        try:
            return run_coroutine(self._use.enter)
        except BaseException as error:
            if self._use.is_open:  # interrupted after it had been entered
                self.leave((type(error), error, error.__traceback__))
            raise

    def leave(self, info: ExcInfo) -> bool | None:
        refused: asyncio.CancelledError | None = None
        while True:
            try:
                refuse_on_loop_thread(self._target, "sync_context_manager")
                suppressed = run_coroutine(functools.partial(self._use.leave, info))
            except asyncio.CancelledError as error:
                if self._use.left:
                    raise
                # The host was cancelled during the block, and this refusal is how the thread
                # learns of it. The block has been cancelled, then, and the manager is told so.
                refused = error
                if info[1] is None:
                    info = (type(error), error, error.__traceback__)
            else:
                break
        if refused is not None and not (suppressed and info[1] is refused):
            try:
                raise refused
            finally:
                del refused, info
        return suppressed


class _OwnTask:
    """Enter and leave in a task of the manager's own."""

    def __init__(self, use: _Use, target: Callable[..., Any]) -> None:
        self._use = use
        self._steps = TaskSteps(
            "sync_context_manager", target, OwnContext(), use.cancelled, use.has_ended
        )

    def enter(self) -> Any:
        try:
            return self._steps.run(self._use.enter)
        except BaseException as error:
            if self._use.is_open:  # interrupted after it had been entered
                self.leave((type(error), error, error.__traceback__))
            else:
                self._steps.finish_soon(_nothing)
            raise

    def leave(self, info: ExcInfo) -> bool | None:
        if self._use.left:
            self._use.raise_early()
            return None
        return self._steps.run(functools.partial(self._leave, info), last=True)

    async def _leave(self, info: ExcInfo) -> bool | None:
        if self._use.left:  # in the very moment in which it was asked for
            self._use.raise_early()
            return None
        return await self._use.leave(info)


async def _nothing() -> None:
    """The last step of a task in which nothing has been entered."""


class SyncContextManagerAdapter(AbstractContextManager[T_co, bool | None]):
    """What :func:`sync_context_manager` returns.

    It may be used again if the asynchronous manager may, but one use has to end before the next.
    """

    def __init__(self, source: Any, is_function: bool, target: Callable[..., Any]) -> None:
        self._source = source
        self._is_function = is_function
        self._target = target
        self._task: _HostTask | _OwnTask | None = None

    def __enter__(self) -> T_co:
        if self._task is not None:
            raise RuntimeError("this context manager has been entered already; make one per use")
        suspend = refuse_on_loop_thread(self._target, "sync_context_manager")
        use = _Use(self._source, self._is_function)
        work = current_work()
        if suspend is not None or (work is not None and work.has_host):
            self._task = _HostTask(use, self._target)
        else:
            self._task = _OwnTask(use, self._target)
        try:
            return cast(T_co, self._task.enter())
        except BaseException:
            self._task = None
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError("this context manager has not been entered")
        try:
            return task.leave((exc_type, exc, tb))
        finally:
            del exc, tb


class _Decorator(Protocol):
    @overload
    def __call__(
        self, source: Callable[P, AbstractAsyncContextManager[T, Any]], /
    ) -> Callable[P, SyncContextManagerAdapter[T]]: ...

    @overload
    def __call__(
        self, source: Callable[P, Awaitable[AbstractAsyncContextManager[T, Any]]], /
    ) -> Callable[P, SyncContextManagerAdapter[T]]: ...


@overload
def sync_context_manager(
    source: AbstractAsyncContextManager[T, Any], /
) -> SyncContextManagerAdapter[T]: ...


@overload
def sync_context_manager(
    source: Callable[P, AbstractAsyncContextManager[T, Any]], /
) -> Callable[P, SyncContextManagerAdapter[T]]: ...


@overload
def sync_context_manager(
    source: Callable[P, Awaitable[AbstractAsyncContextManager[T, Any]]], /
) -> Callable[P, SyncContextManagerAdapter[T]]: ...


@overload
def sync_context_manager(source: None = None, /) -> _Decorator: ...


def sync_context_manager(source: Any = None, /) -> Any:
    """Use an asynchronous context manager in synchronous code.

    Also for a function or class that makes one (what ``contextlib.asynccontextmanager`` decorates)
    or a coroutine function of one: the result is then a function with the same parameters, and
    the call itself is part of entering, on the loop.

    The manager is entered and left in one task: on a worker thread, in the task that awaits it, so
    a timeout reaches the calls that the block makes; on any other thread, in a task of its own on
    the loop that ``async_to_sync`` would use. If that task is cancelled during the block, the
    manager is left at once, and what comes of it is raised at the end of the block. Variables that
    the manager sets are visible in the block, and a token that it keeps is valid when it is left.
    It gets the exception that leaves the block and may suppress it.

    Leaving in another call to a worker thread than the one that entered is possible, but it is
    then another task.

    :raises LoopThreadError: used on a thread that is running an event loop.
    :raises TypeError: ``source`` is neither an asynchronous context manager nor a function.
    """
    if source is None:
        return sync_context_manager
    if isinstance(source, (staticmethod, classmethod)):
        return type(source)(sync_context_manager(source.__func__))
    if not isinstance(source, type) and isinstance(source, AbstractAsyncContextManager):
        return SyncContextManagerAdapter(source, False, cast(Any, source))
    if not callable(source):
        raise TypeError(
            f"sync_context_manager: {type(source).__name__!r} object is not an asynchronous "
            "context manager, nor a function that makes one"
        )
    call: Callable[..., Any] = source

    @functools.wraps(source, updated=() if isinstance(source, type) else ("__dict__",))
    def wrapper(*args: Any, **kwargs: Any) -> SyncContextManagerAdapter[Any]:
        return SyncContextManagerAdapter(functools.partial(call, *args, **kwargs), True, call)

    for mark in ("_is_coroutine_mark", "_is_coroutine_marker", "_is_coroutine"):
        wrapper.__dict__.pop(mark, None)
    return wrapper
