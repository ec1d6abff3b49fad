"""A drop-in for ``asgiref.sync``, built on this package's engine.

Nested calls run on the threads that wait for them, asynchronous code called from plain threads
shares one loop, contexts reuse their threads, and a wait that could never end raises.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, overload

from bridgekit.integrations.asgiref.async_to_sync import AsyncToSync
from bridgekit.integrations.asgiref.contexts import (
    AsyncSingleThreadContext,
    ThreadSensitiveContext,
)
from bridgekit.integrations.asgiref.current_thread_executor import CurrentThreadExecutor
from bridgekit.integrations.asgiref.local import Local
from bridgekit.integrations.asgiref.marks import iscoroutinefunction, markcoroutinefunction
from bridgekit.integrations.asgiref.sync_to_async import SyncToAsync

__all__ = [
    "AsyncSingleThreadContext",
    "AsyncToSync",
    "CurrentThreadExecutor",
    "Local",
    "SyncToAsync",
    "ThreadSensitiveContext",
    "async_to_sync",
    "iscoroutinefunction",
    "markcoroutinefunction",
    "sync_to_async",
]

P = ParamSpec("P")
T = TypeVar("T")


@overload
def async_to_sync(
    *, force_new_loop: bool = False
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, T]]: ...


@overload
def async_to_sync(
    awaitable: Callable[P, Awaitable[T]], *, force_new_loop: bool = False
) -> Callable[P, T]: ...


def async_to_sync(
    awaitable: Callable[..., Awaitable[Any]] | None = None, *, force_new_loop: bool = False
) -> Any:
    """:class:`AsyncToSync` of a function, or, without one, a decorator with these options."""
    if awaitable is None:
        return lambda func: AsyncToSync(func, force_new_loop=force_new_loop)
    return AsyncToSync(awaitable, force_new_loop=force_new_loop)


@overload
def sync_to_async(
    *,
    thread_sensitive: bool = True,
    executor: Executor | None = None,
    context: contextvars.Context | None = None,
) -> Callable[[Callable[P, T]], Callable[P, Coroutine[Any, Any, T]]]: ...


@overload
def sync_to_async(
    func: Callable[P, T],
    *,
    thread_sensitive: bool = True,
    executor: Executor | None = None,
    context: contextvars.Context | None = None,
) -> Callable[P, Coroutine[Any, Any, T]]: ...


def sync_to_async(
    func: Callable[..., Any] | None = None,
    *,
    thread_sensitive: bool = True,
    executor: Executor | None = None,
    context: contextvars.Context | None = None,
) -> Any:
    """:class:`SyncToAsync` of a function, or, without one, a decorator with these options."""
    if func is None:
        return lambda target: SyncToAsync(
            target, thread_sensitive=thread_sensitive, executor=executor, context=context
        )
    return SyncToAsync(func, thread_sensitive=thread_sensitive, executor=executor, context=context)
