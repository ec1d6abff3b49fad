"""Which side a database call comes from, and how it reaches the driver from there.

SQLAlchemy's asyncio drivers run their input and output through ``await_()``, which hands an
awaitable to the parent greenlet. Three situations are told apart, per call:

* a running event loop, inside ``greenlet_spawn``: SQLAlchemy's own machinery; nothing to do;
* a thread without a running loop: :func:`drive` plays the parent greenlet and has each awaitable
  run on bridgekit's loop;
* a running event loop, outside ``greenlet_spawn``: the call would block the loop, so
  :class:`SyncCallOnLoopError` is raised.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import greenlet_spawn

from bridgekit.adapters.calls import async_to_sync
from bridgekit.errors import LoopThreadError

P = ParamSpec("P")
T = TypeVar("T")

_REMEDY = (
    "load it beforehand (selectinload, joinedload), await it "
    "(`await session.aio.<method>()`, `await obj.awaitable_attrs.<name>`), run the whole function "
    "with `await session.aio.run_sync(fn)`, or call it in a worker thread "
    "(`await to_thread.run_sync(fn)`)"
)


_running_loop = asyncio._get_running_loop


class SyncCallOnLoopError(MissingGreenlet, LoopThreadError):
    """A synchronous database operation was started on a thread that is running an event loop.

    ``what`` names the operation: the attribute whose load was triggered (``Order.items``), the
    session method or the statement.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the database, and this thread is running an event loop, which a "
            f"synchronous call would block. Instead: {_REMEDY}."
        )
        self.what = what


def on_loop() -> bool:
    """Say whether this thread is running an event loop (in a greenlet of SQLAlchemy's or not)."""
    return _running_loop() is not None


def in_greenlet() -> bool:
    """Say whether this is a greenlet in which SQLAlchemy may await (2.0 has no such function)."""
    return getattr(getcurrent(), "__sqlalchemy_greenlet_provider__", False)


def blocks_loop() -> bool:
    """Say whether a synchronous database call made here would block a running event loop."""
    # `in_greenlet()` written out: this is asked several times for each statement.
    return _running_loop() is not None and not getattr(
        getcurrent(), "__sqlalchemy_greenlet_provider__", False
    )


def refuse_on_loop(what: str) -> None:
    """Raise :class:`SyncCallOnLoopError` where a synchronous call would block the loop."""
    if blocks_loop():
        raise SyncCallOnLoopError(triggering_attribute() or what)


def triggering_attribute() -> str | None:
    """Name the mapped attribute whose access led here, as ``Class.key``; None where there is none.

    Reads the stack, so it belongs on paths that are about to raise.
    """
    found: str | None = None
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "sqlalchemy.orm.attributes":
            attribute = frame.f_locals.get("self")
            owner, key = getattr(attribute, "class_", None), getattr(attribute, "key", None)
            if owner is not None and key is not None:
                # The outermost one is the attribute that the user's code touched.
                found = f"{owner.__name__}.{key}"
        frame = cast(Any, frame.f_back)
    return found


class _ThreadGreenlet(greenlet):  # type: ignore[misc]
    """A greenlet in which SQLAlchemy's ``await_()`` switches to :func:`drive`."""

    __sqlalchemy_greenlet_provider__ = True

    def __init__(self, fn: Callable[..., Any]) -> None:
        parent = getcurrent()
        super().__init__(fn, parent)
        #: Where SQLAlchemy 2.0 switches to; 2.1 takes the parent.
        self.driver = parent
        self.gr_context = parent.gr_context


async def _consume(awaitable: Awaitable[T]) -> T:
    return await awaitable


await_on_loop: Callable[[Awaitable[Any]], Any] = async_to_sync(_consume)
_spawn_on_loop: Callable[..., Any] = async_to_sync(greenlet_spawn)


def drive(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``fn`` in this thread, and each awaitable that it hands to ``await_()`` on the loop.

    Only for a thread without a running loop. The greenlet shares the context variables of its
    caller.
    """
    if in_greenlet():
        return fn(*args, **kwargs)
    child = _ThreadGreenlet(fn)
    result = child.switch(*args, **kwargs)
    while not child.dead:
        try:
            value = await_on_loop(result)
        except BaseException:
            if isinstance(result, Coroutine):
                # Refused before it was started, when the task behind this thread is cancelled.
                result.close()
            # Into the function, which has its own handling of a failed await.
            result = child.throw(*sys.exc_info())  # pyright: ignore[reportCallIssue, reportArgumentType]
        else:
            result = child.switch(value)
    return cast(T, result)


def run_on_loop(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the whole of ``fn`` on the loop's thread, for code that itself asks for the loop."""
    return cast(T, _spawn_on_loop(fn, *args, **kwargs))
