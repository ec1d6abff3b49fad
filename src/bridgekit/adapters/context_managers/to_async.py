"""``async_context_manager``: synchronous context managers, used with ``async with``.

Invariants:

* entering and leaving happen on the same worker thread and in the same context;
* no thread is blocked in between, and the pool is not needed for it;
* a manager that has been entered is left exactly once, also when its user is cancelled while
  entering, in the block, or while leaving.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from bridgekit.adapters.steps.on_thread import ThreadSteps
from bridgekit.engine.affinity import CURRENT_BINDING, ThreadBinding
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["AsyncContextManagerAdapter", "async_context_manager"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SameThread = Literal["context", "main"]
ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class _Entered(Generic[T]):
    """One use of a synchronous manager. The methods run on the worker thread."""

    def __init__(self, source: Any, is_function: bool) -> None:
        self._source = source
        self._is_function = is_function
        self._manager: AbstractContextManager[T] | None = None
        self.is_open = False

    def enter(self) -> T:
        manager = self._source() if self._is_function else self._source
        value: T = manager.__enter__()
        self._manager = manager
        self.is_open = True
        return value

    def leave(self, info: ExcInfo) -> bool | None:
        assert self._manager is not None
        self.is_open = False
        return self._manager.__exit__(*info)


class _Binding:
    """The thread for one use, and for the thread-sensitive calls in the block."""

    def __init__(self) -> None:
        enclosing = CURRENT_BINDING.get()
        self._token: Token[ThreadBinding | None] | None = None
        if enclosing is not None and enclosing.is_open:
            enclosing.hold()  # the thread stays ours even if its context is closed in the block
            self.thread = enclosing
        else:
            self.thread = ThreadBinding()
            self._token = CURRENT_BINDING.set(self.thread)

    def let_go(self) -> None:
        self.thread.let_go()
        token, self._token = self._token, None
        if token is not None and CURRENT_BINDING.get() is self.thread:
            try:
                CURRENT_BINDING.reset(token)
            except ValueError:
                # Left in another context than it was entered in (an exit stack closed by another
                # task). The binding that stays behind is closed, and calls pass it by.
                return


class AsyncContextManagerAdapter(AbstractAsyncContextManager[T_co, bool | None]):
    """What :func:`async_context_manager` returns.

    It may be used again if the synchronous manager may, but one use has to end before the next.
    """

    def __init__(self, source: Any, is_function: bool, options: dict[str, Any]) -> None:
        self._source = source
        self._is_function = is_function
        self._options = options
        self._use: tuple[_Entered[T_co], ThreadSteps, _Binding | None] | None = None

    async def __aenter__(self) -> T_co:
        if self._use is not None:
            raise RuntimeError("this context manager has been entered already; make one per use")
        entered: _Entered[T_co] = _Entered(self._source, self._is_function)
        bind = self._options["affinity"] is None and self._options["executor"] is None
        binding = _Binding() if bind else None
        options = self._options
        if binding is not None:
            options = {**options, "affinity": "context", "binding": binding.thread}
        steps = ThreadSteps(type(self._source), **options)
        self._use = entered, steps, binding
        try:
            return await steps.run(entered.enter)
        except BaseException as error:
            # Cancelled while the thread was entering: the block will not run.
            try:
                if entered.is_open:
                    info = (type(error), error, error.__traceback__)
                    await steps.run_in_any_case(functools.partial(entered.leave, info))
            finally:
                self._end(binding)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        if self._use is None:
            raise RuntimeError("this context manager has not been entered")
        entered, steps, binding = self._use
        leave = functools.partial(entered.leave, (exc_type, exc, tb))
        try:
            return await steps.run_in_any_case(leave)
        finally:
            self._end(binding)
            del exc, tb, leave

    def _end(self, binding: _Binding | None) -> None:
        self._use = None
        if binding is not None:
            binding.let_go()


class _Decorator(Protocol):
    def __call__(
        self, source: Callable[P, AbstractContextManager[T, Any]], /
    ) -> Callable[P, AsyncContextManagerAdapter[T]]: ...


@overload
def async_context_manager(
    source: AbstractContextManager[T, Any],
    /,
    *,
    affinity: SameThread | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> AsyncContextManagerAdapter[T]: ...


@overload
def async_context_manager(
    source: Callable[P, AbstractContextManager[T, Any]],
    /,
    *,
    affinity: SameThread | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> Callable[P, AsyncContextManagerAdapter[T]]: ...


@overload
def async_context_manager(
    source: None = None,
    /,
    *,
    affinity: SameThread | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> _Decorator: ...


def async_context_manager(
    source: Any = None,
    /,
    *,
    affinity: SameThread | None = None,
    limiter: CapacityLimiter | None = None,
    executor: Executor | None = None,
) -> Any:
    """Use a synchronous context manager in asynchronous code.

    Also for a function or class that makes one (``open``, or what ``contextlib.contextmanager``
    decorates): the result is then a function with the same parameters, and the call itself is
    part of entering, on the thread.

    The manager is entered and left on one thread: the thread of the ``ThreadSensitiveContext``
    that is open, else one that is bound for the time of the block. The thread-sensitive calls in
    the block run there too, so a database connection that the manager opens can be used by them.
    Variables that it sets are visible in the block, and a token that it keeps is valid when it is
    left. It gets the exception that leaves the block and may suppress it.

    Cancelled while entering: if the thread has entered the manager meanwhile, it is left again,
    with the ``CancelledError``. Leaving is never skipped.

    :param affinity: ``"context"``: where thread-sensitive calls run now; ``"main"``. By default
        as said above.
    :param limiter: a token of it is held while entering and while leaving, not in between.
    :param executor: enter and leave in this executor, which has to see to it that it is the same
        thread.
    :raises ValueError: an affinity that does not mean one thread, or one together with an executor.
    :raises TypeError: ``source`` is neither a context manager nor a function.
    """
    if affinity not in (None, "context", "main"):
        raise ValueError(f'affinity must be "context" or "main" here, not {affinity!r}')
    options: dict[str, Any] = {"affinity": affinity, "limiter": limiter, "executor": executor}
    ThreadSteps(
        None, **options
    )  # options that contradict each other fail here, not at the first use
    if source is None:
        return functools.partial(_adapt, options=options)
    return _adapt(source, options=options)


def _adapt(source: Any, /, *, options: dict[str, Any]) -> Any:
    if isinstance(source, (staticmethod, classmethod)):
        return type(source)(_adapt(source.__func__, options=options))
    if not isinstance(source, type) and isinstance(source, AbstractContextManager):
        return AsyncContextManagerAdapter(source, False, options)
    if not callable(source) or inspect.iscoroutinefunction(source):
        raise TypeError(
            f"async_context_manager: {type(source).__name__!r} object is not a synchronous "
            "context manager, nor a function that makes one"
        )
    call: Callable[..., Any] = source

    @functools.wraps(source, updated=() if isinstance(source, type) else ("__dict__",))
    def wrapper(*args: Any, **kwargs: Any) -> AsyncContextManagerAdapter[Any]:
        return AsyncContextManagerAdapter(functools.partial(call, *args, **kwargs), True, options)

    return wrapper
