"""What a task of asyncio waits for, read off from outside.

Nothing is recorded while tasks run. A suspended task shows the future it awaits; the futures that
asyncio makes on behalf of others (gather, shield, wait, task groups) show whom they wait for in
their attributes, in the closures of their callbacks, or in what the suspended coroutine refers to.
A future that none of this explains is *opaque*: an event, a timer, a socket. Opaque
waits count as able to end.

Every function may be called on any thread. What it reads may change meanwhile; the caller looks
twice and compares. Local variables are only read as the garbage collector reads them, which is safe
while their function runs in another thread; ``frame.f_locals`` is not. No code of the user's runs:
the types of values that the program made are checked by ``type``, which a proxy object cannot
answer by itself, and their attributes are left alone.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import FrameType
from typing import Any, cast

__all__ = [
    "Groups",
    "awaited_chain",
    "awaiting_task",
    "coroutine_frames",
    "explain_future",
    "is_future",
    "is_task_group",
]

Groups = tuple[tuple["asyncio.Future[Any]", ...], ...]

_GATHERING = getattr(asyncio.tasks, "_GatheringFuture", ())
_WAIT_CODE = getattr(getattr(asyncio.tasks, "_wait", None), "__code__", None)
MAX_DEPTH = 1000


def is_future(value: object) -> bool:
    """``asyncio.isfuture``, without asking the value itself."""
    return hasattr(type(value), "_asyncio_future_blocking")


def is_task_group(value: object) -> bool:
    """Whether this is an object of asyncio or anyio that starts and awaits tasks."""
    kind = type(value)
    return "TaskGroup" in kind.__name__ and kind.__module__.split(".")[0] in ("asyncio", "anyio")


def callbacks_of(future: Any) -> list[Any]:
    """What a future will call when it is done."""
    pairs: Any = getattr(future, "_callbacks", None)
    return [pair[0] for pair in list(pairs)] if pairs else []


def awaiting_task(future: asyncio.Future[Any]) -> asyncio.Task[Any] | None:
    """The task that is suspended on this very future, if one is."""
    for callback in callbacks_of(future):
        # The wake-up is a bound method of the task; C tasks before 3.12 wrap it.
        owner = getattr(callback, "__self__", None)
        if issubclass(type(owner), asyncio.Task) and getattr(owner, "_fut_waiter", None) is future:
            return owner
    return None


def explain_future(future: asyncio.Future[Any]) -> Groups | None:
    """The futures that this one needs: one of every group. None if that cannot be told.

    A task is not looked into here. ``gather`` ends with its first failing child, so any child
    may end it, unless it collects the exceptions; the same goes for task groups. Reading it as
    "any child" where "every child" would be right only makes the detector more careful.
    """
    if _GATHERING and isinstance(future, _GATHERING):
        return _gathering(future)
    inner = _shielded(future)
    if inner is not None:
        return ((inner,),)
    task = awaiting_task(future)
    if task is None:
        return None
    for awaitable in awaited_chain(task.get_coro()):
        for value in gc.get_referents(awaitable):
            if is_task_group(value) and getattr(value, "_on_completed_fut", None) is future:
                return _any_of(value._tasks)
        if getattr(awaitable, "cr_code", None) is _WAIT_CODE:
            return _waited_set(awaitable, future)
    return None


def _any_of(futures: Any) -> Groups:
    undone = tuple(future for future in list(futures) if not future.done())
    return (undone,) if undone else ()


def _every_of(futures: Any) -> Groups:
    return tuple((future,) for future in list(futures) if not future.done())


def _closure(function: object) -> dict[str, Any]:
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None)
    values: dict[str, Any] = {}
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or (), strict=False):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return values


def _gathering(future: Any) -> Groups:
    children = list(future._children)
    undone = [child for child in children if not child.done()]
    if not undone:
        return ()
    for callback in callbacks_of(undone[0]):
        values = _closure(callback)
        if values.get("outer") is future and values.get("return_exceptions") is True:
            return _every_of(children)
    return _any_of(children)


def _shielded(future: asyncio.Future[Any]) -> asyncio.Future[Any] | None:
    for callback in callbacks_of(future):
        if getattr(callback, "__qualname__", "") == "shield.<locals>._outer_done_callback":
            inner = _closure(callback).get("inner")
            if is_future(inner):
                return cast("asyncio.Future[Any]", inner)
    return None


def _waited_set(coroutine: object, future: asyncio.Future[Any]) -> Groups | None:
    """Of ``asyncio.wait``, whose callback on every future knows the rest."""
    for held in gc.get_referents(coroutine):
        if not issubclass(type(held), (set, frozenset, list, tuple)):
            continue
        for one in list(held):
            for callback in callbacks_of(one) if is_future(one) else ():
                values = _closure(callback)
                if values.get("waiter") is not future or values.get("timeout_handle") is not None:
                    continue
                every = values.get("return_when") == asyncio.ALL_COMPLETED
                return _every_of(held) if every else _any_of(held)
    return None


def awaited_chain(awaitable: object) -> Iterator[object]:
    """A suspended coroutine and what it awaits, outermost first."""
    for _ in range(MAX_DEPTH):
        if awaitable is None:
            return
        for prefix in ("cr", "ag", "gi"):
            if hasattr(awaitable, f"{prefix}_frame"):
                yield awaitable
                following = "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await"
                awaitable = getattr(awaitable, following, None)
                break
        else:
            awaitable = _iterated_generator(awaitable)


def coroutine_frames(awaitable: object) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, outermost first."""
    for part in awaited_chain(awaitable):
        for prefix in ("cr", "ag", "gi"):
            frame = getattr(part, f"{prefix}_frame", None)
            if frame is not None:
                yield frame


def _iterated_generator(awaitable: object) -> object:
    """What stands between an ``async for`` and its generator does not name the generator."""
    if type(awaitable).__name__ not in ("async_generator_asend", "async_generator_athrow"):
        return None
    for referent in gc.get_referents(awaitable):
        if hasattr(referent, "ag_frame"):
            return referent
    return None
