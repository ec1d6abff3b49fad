"""The contexts of ``asgiref.sync``, on the threads of this package's engine."""

from __future__ import annotations

import contextvars
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from weakref import WeakKeyDictionary

from bridgekit.adapters import contexts as native
from bridgekit.adapters.portal import BlockingPortal, start_blocking_portal
from bridgekit.adapters.to_thread import run_call
from bridgekit.integrations.asgiref.current_thread_executor import CURRENT_EXECUTOR
from bridgekit.integrations.asgiref.original import Visit

__all__ = [
    "CONTEXT_EXECUTORS",
    "SINGLE_THREAD_CONTEXT",
    "THREAD_SENSITIVE_CONTEXT",
    "AsyncSingleThreadContext",
    "ThreadSensitiveContext",
]

THREAD_SENSITIVE_CONTEXT: contextvars.ContextVar[ThreadSensitiveContext] = contextvars.ContextVar(
    "thread_sensitive_context"
)
SINGLE_THREAD_CONTEXT: contextvars.ContextVar[AsyncSingleThreadContext] = contextvars.ContextVar(
    "async_single_thread_context"
)
# Executors that do not belong to the engine: what the user supplied, and one for each context
# that tasks have outlived.
CONTEXT_EXECUTORS: WeakKeyDictionary[ThreadSensitiveContext, Executor] = WeakKeyDictionary()


class ThreadSensitiveContext:
    """While it is open, thread-sensitive calls share one thread of their own.

    The outermost context counts. Its thread is one of the engine's: it is taken on first use and
    given to another context afterwards, so a request starts no threads. Under ``async_to_sync``
    the thread that is parked there stays the one for thread-sensitive calls, as in the original.

    :param executor: run the calls there instead, even inside another context or an
        ``async_to_sync`` call. It must run one call at a time on one thread; it stays the
        caller's. Such a context can be entered once, and a thread-sensitive call of a task that
        outlives it raises RuntimeError.
    """

    def __init__(self, *, executor: Executor | None = None) -> None:
        self._executor = executor
        self._exited = False
        self._closed = False
        self._calls = 0
        self._bound = False
        self._undo: ExitStack | None = None
        self.token: contextvars.Token[ThreadSensitiveContext] | None = None

    @property
    def closed(self) -> bool:
        """The context has been left, or is not the outermost and so has no thread of its own."""
        return self._closed

    def call_begins(self) -> None:
        """A task hands a call to this context's thread."""
        self._calls += 1

    def call_ended(self) -> None:
        """The call has ended. Not called where the task has left it behind."""
        self._calls -= 1

    async def __aenter__(self) -> ThreadSensitiveContext:
        if self._executor is not None:
            if self.token is not None:
                raise RuntimeError("ThreadSensitiveContext is already entered")
            if self._exited:
                raise RuntimeError(
                    "ThreadSensitiveContext with an executor cannot be entered again"
                )
            CONTEXT_EXECUTORS[self] = self._executor
            undo = ExitStack()
            undo.enter_context(Visit(None, set_executor=True))
            undo.callback(CURRENT_EXECUTOR.reset, CURRENT_EXECUTOR.set(None))
            self._undo = undo
        elif THREAD_SENSITIVE_CONTEXT.get(None) is None:
            self._closed = False
            self._calls = 0
            self._bound = CURRENT_EXECUTOR.get() is None
            if self._bound:
                self._undo = ExitStack()
                self._undo.enter_context(native.ThreadSensitiveContext())
        else:
            return self
        self.token = THREAD_SENSITIVE_CONTEXT.set(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.token is None:
            return
        token, self.token = self.token, None
        try:
            if self._calls and self._bound:
                # Calls of cancelled callers and of other tasks end before the request does: the
                # thread takes its calls in turn, and this one is the last.
                await run_call(_nothing, limiter=None, abandon_on_cancel=True, affinity="context")
        finally:
            self._closed = True
            self._exited = self._executor is not None
            CONTEXT_EXECUTORS.pop(self, None)
            THREAD_SENSITIVE_CONTEXT.reset(token)
            if self._undo is not None:
                self._undo.close()
                self._undo = None

    def executor_for_late_call(self) -> Executor:
        """Where a task that has outlived the context has its calls run: a thread for these only.

        :raises RuntimeError: the context had an executor of the user's, which may be gone.
        """
        if self._exited:
            raise RuntimeError(
                "ThreadSensitiveContext has exited. Tasks created inside a context with an "
                "executor must finish before it exits."
            )
        executor = CONTEXT_EXECUTORS.get(self)
        if executor is None:
            executor = CONTEXT_EXECUTORS[self] = ThreadPoolExecutor(max_workers=1)
        return executor


def _nothing() -> None:
    return


class AsyncSingleThreadContext:
    """While it is open, ``async_to_sync`` runs coroutines on one and the same thread.

    That is so anyway, since calls share the portal loop; the context also holds for
    ``force_new_loop=True``, whose calls then share one new loop. Re-entrant: the outermost counts.
    """

    def __init__(self) -> None:
        self.token: contextvars.Token[AsyncSingleThreadContext] | None = None
        self._starter: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    def portal(self) -> BlockingPortal:
        """The loop of this context, started on first use."""
        if self._portal is None:
            self._starter = start_blocking_portal()
            self._portal = self._starter.__enter__()
        return self._portal

    def __enter__(self) -> AsyncSingleThreadContext:
        if SINGLE_THREAD_CONTEXT.get(None) is None:
            self.token = SINGLE_THREAD_CONTEXT.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.token is None:
            return
        token, self.token = self.token, None
        starter, self._starter, self._portal = self._starter, None, None
        try:
            if starter is not None:
                starter.__exit__(None, None, None)
        finally:
            SINGLE_THREAD_CONTEXT.reset(token)
