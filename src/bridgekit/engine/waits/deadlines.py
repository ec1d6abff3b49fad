"""Which waiting tasks a pending timer of their loop will wake or cancel.

A wait with a deadline is no deadlock: ``asyncio.timeout``, ``asyncio.wait_for``, ``anyio``'s
scopes, ``async_timeout`` and plain ``loop.call_later(5, task.cancel)`` all end it by themselves.
They have one thing in common: a timer of the loop leads to the task. So the timers of the loop are
followed, through callbacks, their arguments, closures and the objects they are methods of, to the
tasks they lead to. From a task that a timer wakes or cancels, the way goes on to the tasks that it
holds in its local variables or awaits: it may cancel them when it goes on (``sleep``, then
``cancel``), and cancelling it reaches what it awaits. A task that has been seen to wake and to
fall asleep again without having ended them is a *poller*: it does not count any more.

This errs on one side: a task may be taken to have a deadline although it has none, while the
timer is pending; of those named, none is missed. Only containers that are known to hold what a
deadline cancels are searched, since a server's timers lead to its connections and from there to
every request.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from bridgekit.engine.waits.futures import (
    awaited_chain,
    awaiting_task,
    callbacks_of,
    is_future,
    is_task_group,
)

__all__ = ["Deadlines"]

OBJECT_DEPTH = 2
MAX_CONTAINER = 10_000
_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
_CALLABLES = (FunctionType, MethodType, BuiltinMethodType, functools.partial)
# Leads nowhere, or, as a context or a loop does, everywhere.
_PLAIN = (str, bytes, int, float, type(None), type, ModuleType, Context, asyncio.AbstractEventLoop)
# Attributes that hold the tasks which a deadline cancels: of task groups and cancel scopes
# (asyncio, anyio) and of aiohttp's timers.
_CANCELLED_TOGETHER = ("_tasks", "_child_scopes", "cancel_scope", "_callbacks")
_DEADLINE_LIBRARIES = ("anyio", "async_timeout", "aiohttp")


class Deadlines:
    """Finds the tasks that timers lead to, and remembers who only polls. For one thread."""

    def __init__(self) -> None:
        self._slept_on: WeakKeyDictionary[Any, object] = WeakKeyDictionary()
        self._pollers: WeakSet[Any] = WeakSet()

    def tasks(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]] | None:
        """The tasks that some pending timer of the loop leads to.

        None if the timers of this kind of loop cannot be seen: every wait of its tasks must then
        be taken to have a deadline.
        """
        timers = _timers(loop)
        if timers is None:
            return None
        search = _Search(self.polls)
        for timer in timers:
            if not timer.cancelled():
                for part in _callback_and_arguments(timer):
                    search.follow(part)
        return search.tasks

    def polls(self, task: Any, future: object) -> bool:
        """Whether the task (of whichever library), now asleep on a future, or on whatever is made
        for one wait, has been seen asleep on another one."""
        if self._slept_on.setdefault(task, future) is not future:
            self._slept_on[task] = future
            self._pollers.add(task)
        return task in self._pollers


def _timers(loop: asyncio.AbstractEventLoop) -> list[Any] | None:
    scheduled = getattr(loop, "_scheduled", None)
    if isinstance(scheduled, list):
        return list(scheduled)
    if type(loop).__module__.split(".")[0] in ("uvloop", "winloop"):
        # Its timers are in a set that has no name in Python, but the collector sees it.
        sets = [part for part in gc.get_referents(loop) if type(part) is set]
        return [
            item for part in sets for item in list(part) if type(item).__name__ == "TimerHandle"
        ]
    return None


def _callback_and_arguments(timer: Any) -> Iterable[object]:
    if hasattr(timer, "_args"):
        return (timer._callback, timer._args)
    return gc.get_referents(timer)


class _Search:
    def __init__(self, polls: Callable[[asyncio.Task[Any], object], bool]) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._polls = polls
        self._seen: dict[int, object] = {}  # keeps what was seen alive, so that ids stay unique

    def follow(self, start: object) -> None:
        """Add every task that ``start``, called by the loop, wakes or cancels."""
        todo: list[tuple[Any, int]] = [(start, 0)]
        while todo:
            item, depth = todo.pop()
            if _is(item, _PLAIN) or id(item) in self._seen:
                continue
            self._seen[id(item)] = item
            if _is(item, asyncio.Task):
                self.tasks.add(item)
                todo.extend((part, 0) for part in _held_by_task(item))
            elif is_future(item):
                todo.extend((part, 0) for part in self._woken_by(item))
            elif _is(item, _CALLABLES):
                todo.extend((part, depth) for part in _parts_of_callable(item))
            elif _is(item, weakref.ref):
                todo.append((item(), depth))
            elif _is(item, _CONTAINERS):
                todo.extend((part, depth) for part in _contents(item))
            elif depth < OBJECT_DEPTH:
                todo.extend((part, depth + 1) for part in _attributes(item))

    def _woken_by(self, future: Any) -> Iterator[object]:
        task = awaiting_task(future)
        if task is not None and self._polls(task, future):
            self.tasks.add(task)
        else:
            yield from callbacks_of(future)
        yield getattr(future, "_children", None)


def _is(item: object, kinds: Any) -> bool:
    # Not isinstance: it asks the object for its class, and a proxy runs code to answer.
    return issubclass(type(item), kinds)


def _parts_of_callable(item: Any) -> list[object]:
    if _is(item, FunctionType):
        return [part for cell in item.__closure__ or () for part in gc.get_referents(cell)]
    if _is(item, functools.partial):
        return [item.func, item.args, item.keywords]
    return [item.__self__, getattr(item, "__func__", None)]


def _contents(container: Any) -> list[object]:
    if len(container) > MAX_CONTAINER:
        return []
    return list(container.values()) if _is(container, dict) else list(container)


def _attributes(item: object) -> Iterator[object]:
    """What an object refers to by itself, without the contents of its containers."""
    yield from _cancelled_together(item)
    for part in gc.get_referents(item):
        if _is(part, dict):  # the instance's attributes
            for value in list(part.values()):
                if not _is(value, _CONTAINERS):
                    yield value
        elif not _is(part, _CONTAINERS):
            yield part


def _cancelled_together(item: Any) -> Iterator[object]:
    """What ends with ``item`` if that is a task group, a cancel scope or the like."""
    if is_task_group(item) or type(item).__module__.split(".")[0] in _DEADLINE_LIBRARIES:
        for name in _CANCELLED_TOGETHER:
            yield getattr(item, name, None)


def _held_by_task(task: Any) -> Iterator[object]:
    """Tasks and futures that the task awaits or has in local variables, and its task groups."""
    yield task._fut_waiter
    for awaitable in awaited_chain(task.get_coro()):
        for value in gc.get_referents(awaitable):
            if _is(value, CellType):
                yield from (part for held in gc.get_referents(value) for part in _futures_in(held))
            else:
                yield from _futures_in(value)


def _futures_in(value: object) -> Iterator[object]:
    if is_future(value):
        yield value
    elif _is(value, _CONTAINERS):
        yield from (part for part in _contents(value) if is_future(part))
    else:
        yield from _cancelled_together(value)
