"""What a task of trio waits for, read off from outside. Loaded when the first call comes from one.

A task shows the object that it sleeps in if that is one of ours (``trio_waiter``), and a nursery
whether its block waits for the tasks in it. Everything else (an event, a channel, a lock, a task
that is being started) is opaque, and counts as able to end.

Deadlines are those of the cancel scopes around a task. What is under one goes on by itself (unless
it has been cancelled, and waits nevertheless for a thread or for the tasks of its nursery), and so
does what a task that has a deadline may cancel when it goes on: the scopes and nurseries that are
within reach of its local variables. A task that keeps waking up without having done so does not
count any more, as in ``deadlines``.

Some of this trio does not offer in public. Where it is not there as expected, every task of the run
counts as having a deadline: nothing is then found, and nothing is found wrongly.
"""

from __future__ import annotations

import functools
import gc
import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import Context
from types import CellType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import trio

from bridgekit.engine import process
from bridgekit.engine.trio_waiter import TrioTurn, TrioWaiter
from bridgekit.engine.waits.copying import copy_of
from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.futures import awaited_chain
from bridgekit.engine.waits.tasks import Groups, awaited_call, readers

if TYPE_CHECKING:
    from bridgekit.engine.trio_host import TrioHost

__all__ = ["begun"]

Task = trio.lowlevel.Task
_runs: WeakSet[TrioHost] = WeakSet()
process.after_fork(_runs.clear)

MAX_DEPTH = 10_000
OBJECT_DEPTH = 2
MAX_REACHED = 10_000
# Leads nowhere, or everywhere.
_PLAIN = (
    *(str, bytes, int, float, type(None), type, ModuleType, CodeType, FrameType, Context, Task),
    *(TrioWaiter, TrioTurn),
)
_CONTAINERS = (list, tuple, set, frozenset, deque, dict)


def begun(host: TrioHost) -> None:
    """A run of trio has made its first call. In a task of it."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    host.root = root
    _runs.add(host)


class _TrioReader:
    def reads(self, subject: object) -> bool:
        return type(subject) is Task

    def name(self, task: Task) -> str:
        return f"{task.name} at {id(task):#x}"  # as trio shows it: names need not be unique

    def coroutine(self, task: Task) -> object:
        return task.coro

    def loop(self, task: Task) -> TrioHost | None:
        root: Task = task
        for _ in range(MAX_DEPTH):
            nursery = root.parent_nursery
            if nursery is None:
                break
            root = nursery.parent_task
        return next((host for host in copy_of(_runs) if host.root is root), None)

    def ended(self, task: Task) -> bool:
        return getattr(task.coro, "cr_frame", None) is None

    def awaited(self, task: Task) -> Any:
        return _awaited(task)

    def sleeping_task(self, wait: Any) -> Task | None:
        return wait._task if type(wait) in (TrioWaiter, TrioTurn) else None

    def explain_wait(self, wait: Any) -> Groups | None:
        if type(wait) is TrioWaiter:
            return awaited_call(wait)
        if type(wait) is not trio.Nursery:
            return None
        children = wait.child_tasks
        # A task that is being started may leave the nursery, or another one may come to it.
        if getattr(wait, "_pending_starts", True) or not children:
            return ()
        if any(child.eventual_parent_nursery is not None for child in children):
            return ()
        # It ends with its first failing child, so any child may end it.
        return (tuple(children),)

    def with_deadline(self, loop: TrioHost | None, deadlines: Deadlines) -> set[Task] | None:
        if loop is None:
            return None
        try:
            return _with_deadline(_tasks(loop), deadlines)
        except AttributeError:  # trio's inner workings are not as they were
            return None

    def present(self) -> Iterable[Task]:
        return [task for host in copy_of(_runs) for task in _tasks(host)]


readers.append(_TrioReader())


def _awaited(task: Task) -> Any:
    wait = task.custom_sleep_data
    if type(wait) in (TrioWaiter, TrioTurn):
        return wait
    nurseries = task.child_nurseries
    return nurseries[-1] if nurseries and _is_waiting(nurseries[-1]) else None


def _is_waiting(nursery: Any) -> bool:
    return bool(getattr(nursery, "_parent_waiting_in_aexit", False)) and not nursery._closed


def _tasks(host: TrioHost) -> list[Task]:
    """All tasks of a run but trio's own first one."""
    found: list[Task] = []
    todo = [host.root]
    while todo:
        task = todo.pop()
        for nursery in task.child_nurseries:
            children = nursery.child_tasks
            found += children
            todo += children
    return found


def _with_deadline(tasks: list[Task], deadlines: Deadlines) -> set[Task] | None:
    found: set[Task] = set()
    reached: set[Any] = set()
    tasks = [task for task in tasks if not _sleeps_on_though_cancelled(task)]
    for task in tasks:
        status: Any = task._cancel_status
        if status is None or _ends_by_itself(status):
            found.add(task)
            if status is not None and not deadlines.polls(task, status):
                scopes = _scopes_held(task)
                if scopes is None:
                    return None
                reached |= scopes
    if reached:
        found.update(task for task in tasks if _is_under(task._cancel_status, reached))
    return found


def _sleeps_on_though_cancelled(task: Any) -> bool:
    """Whether the task has been told of its cancellation, but could not be woken by that.

    trio tells a task once for each of its waits.
    """
    status = task._cancel_status
    if status is None or not status.effectively_cancelled or task._abort_func is not None:
        return False
    wait = _awaited(task)
    if type(wait) is not TrioWaiter:
        return wait is not None
    return getattr(wait._sleeper, "grace", None) is None  # else it leaves when that is over


def _outwards(status: Any) -> Iterator[Any]:
    """The scopes whose cancellation reaches a task, innermost first."""
    for _ in range(MAX_DEPTH):
        if status is None:
            return
        yield status._scope
        if status._scope.shield:
            return
        status = status.parent


def _ends_by_itself(status: Any) -> bool:
    """Whether something under this has been cancelled, or will be at some time."""
    return status.effectively_cancelled or any(
        scope.deadline != math.inf for scope in _outwards(status)
    )


def _is_under(status: Any, scopes: set[Any]) -> bool:
    return any(scope in scopes for scope in _outwards(status))


def _scopes_held(task: Task) -> set[Any] | None:
    """The cancel scopes that a sleeping task has within reach; None if there is too much."""
    todo: list[tuple[Any, int]] = [
        (value, 0)
        for awaitable in awaited_chain(task.coro)
        for value in gc.get_referents(awaitable)
    ]
    seen: dict[int, object] = {}  # keeps what was seen alive, so that ids stay unique
    found: set[Any] = set()
    while todo:
        item, depth = todo.pop()
        if id(item) in seen or issubclass(type(item), _PLAIN):
            continue
        if len(seen) > MAX_REACHED:
            return None
        seen[id(item)] = item
        if type(item) is trio.CancelScope:
            found.add(item)
        elif type(item) is trio.Nursery:
            found.add(item.cancel_scope)
        elif issubclass(type(item), FunctionType):
            todo.extend((cell, depth) for cell in item.__closure__ or ())
        elif issubclass(type(item), (*_CONTAINERS, CellType, MethodType, functools.partial)):
            todo.extend((part, depth) for part in gc.get_referents(item))
        elif depth < OBJECT_DEPTH:
            todo.extend((part, depth + 1) for part in gc.get_referents(item))
    return found
