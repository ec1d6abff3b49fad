"""What the tasks of different libraries have in common for who looks at them from outside.

asyncio's tasks are known here; the first call from a trio task brings trio's (``trio_tasks``).
Every function may be called on any thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from bridgekit.engine.asyncio_host import asyncio_hosts
from bridgekit.engine.call import Call
from bridgekit.engine.waiter import Waiter
from bridgekit.engine.waits.copying import copy_of
from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.futures import awaiting_task, explain_future

__all__ = [
    "Groups",
    "Task",
    "TaskReader",
    "awaited_call",
    "explain_wait",
    "has_deadline",
    "is_task",
    "reader_of",
    "readers",
    "sleeping_task",
]

Groups: TypeAlias = tuple[tuple[Any, ...], ...]
Task: TypeAlias = Any
"""A task of any library."""


class TaskReader(Protocol):
    """How to read the tasks of one library."""

    def reads(self, subject: object) -> bool:
        """Whether this is a task of the library."""
        ...

    def name(self, task: Task) -> str: ...
    def coroutine(self, task: Task) -> object: ...
    def loop(self, task: Task) -> Any:
        """What runs the task, with ``call_soon_threadsafe``; None if that is not known."""

    def ended(self, task: Task) -> bool: ...
    def awaited(self, task: Task) -> Any:
        """The object, made for this one wait, in which the task sleeps; None if nothing is known
        of what it waits for, or it does not."""

    def sleeping_task(self, wait: object) -> Task | None:
        """The task that sleeps in this object, if one does."""

    def explain_wait(self, wait: Any) -> Groups | None:
        """What ends this wait (a call, tasks, futures): one of every group. None: unknown."""

    def with_deadline(self, loop: Any, deadlines: Deadlines) -> set[Task] | None:
        """The tasks of a loop that go on, or are cancelled, after some time; None: perhaps all."""

    def present(self) -> Iterable[Task]:
        """The tasks of all loops that calls have been made from."""
        ...


class _AsyncioReader:
    def reads(self, subject: object) -> bool:
        return issubclass(type(subject), asyncio.Task)

    def name(self, task: asyncio.Task[Any]) -> str:
        return task.get_name()

    def coroutine(self, task: asyncio.Task[Any]) -> object:
        return task.get_coro()

    def loop(self, task: asyncio.Task[Any]) -> asyncio.AbstractEventLoop:
        return task.get_loop()

    def ended(self, task: asyncio.Task[Any]) -> bool:
        return task.done()

    def awaited(self, task: asyncio.Task[Any]) -> Any:
        return getattr(task, "_fut_waiter", None)

    def sleeping_task(self, wait: Any) -> asyncio.Task[Any] | None:
        return awaiting_task(wait)

    def explain_wait(self, wait: Any) -> Groups | None:
        return awaited_call(wait) if type(wait) is Waiter else explain_future(wait)

    def with_deadline(
        self, loop: asyncio.AbstractEventLoop, deadlines: Deadlines
    ) -> set[asyncio.Task[Any]] | None:
        return deadlines.tasks(loop)

    def present(self) -> Iterable[asyncio.Task[Any]]:
        return [task for host in copy_of(asyncio_hosts) for task in asyncio.all_tasks(host.loop)]


_asyncio_reader = _AsyncioReader()
readers: list[TaskReader] = [_asyncio_reader]


def awaited_call(waiter: Any) -> Groups:
    """The call whose end a waiter waits for."""
    sleeper = waiter._sleeper
    return ((sleeper,),) if isinstance(sleeper, Call) and not waiter.done() else ()


def is_task(subject: object) -> bool:
    """Whether this is a task of a library that is known."""
    return any(reader.reads(subject) for reader in readers)


def reader_of(task: Task) -> TaskReader:
    """How to read a task."""
    return next((reader for reader in readers if reader.reads(task)), _asyncio_reader)


def sleeping_task(wait: object) -> Task | None:
    """The task that sleeps in this object, if one does."""
    for reader in readers:
        task = reader.sleeping_task(wait)
        if task is not None:
            return task
    return None


def explain_wait(wait: Any) -> Groups | None:
    """What ends a wait (a call, tasks, futures): one of every group. None: that cannot be told."""
    for reader in readers:
        groups = reader.explain_wait(wait)
        if groups is not None:
            return groups
    return None


def has_deadline(task: Task) -> bool:
    """Whether this one task goes on, or is cancelled, after some time, or that cannot be told."""
    reader = reader_of(task)
    found = reader.with_deadline(reader.loop(task), Deadlines())
    return found is None or task in found
