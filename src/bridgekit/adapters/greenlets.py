"""Call stacks in greenlets, which an event loop's thread can set aside and take up again.

Needs the ``greenlet`` package; ``suspending`` is the door to this module.

A :class:`Stack` runs a synchronous call on the loop's own thread. A coroutine wanted in it is
driven right there, on top of the synchronous frames, so context variables, tracebacks and
``current_task()`` are those of a plain call. Only what the coroutine yields (a future to wait for)
is handed, greenlet to greenlet, to the coroutine that awaits the stack, and through it to the task.
Nothing here knows which library runs the loop.

Invariants:

* a stack is only suspended on behalf of the task that awaits it (its *host*): a task that starts
  eagerly inside the stack, or another loop run there, may not suspend it;
* the stack's parent is the greenlet that resumed it last, and that is where it goes back to;
* once the awaiting coroutine has been closed, nothing in the stack waits again.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import types
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from bridgekit.adapters.loop_thread import Suspend, suspensions_come_from

_modules = sys.modules

__all__ = ["Stack", "drive", "suspend"]


class _Suspension:
    """What the host knows of a stack, and all that a suspended stack leaves behind.

    The garbage collector sees neither a suspended greenlet nor its frames. So no frame of this
    module's in there, nor the greenlet, refers to the task or to what it waits for while it waits:
    otherwise a task that nobody wakes could never be collected.
    """

    __slots__ = ("__weakref__", "asker", "closing", "coroutine", "host", "resumer", "yielded")

    def __init__(self) -> None:
        self.host = _current_host()
        self.resumer = getcurrent()  # where the stack goes back to
        self.closing = False
        # In which greenlet the stack waits (its own, or one made inside it), for which coroutine,
        # and what that has yielded.
        self.asker: greenlet | None = None
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.yielded: Any = None


class Stack(greenlet):  # type: ignore[misc]
    """A synchronous call that may be suspended while its host runs."""

    # SQLAlchemy's await_() then hands its awaitable to the parent, which is `drive`.
    __sqlalchemy_greenlet_provider__ = True

    def __init__(self, call: Callable[[], Any], suspension: _Suspension) -> None:
        here = suspension.resumer
        super().__init__(call, here)
        context = here.gr_context
        if context is None:  # nobody has used a context in this thread yet
            copy_context()
            context = here.gr_context
        self.gr_context = context  # the same object: set in one, seen in the other
        self.suspension = weakref.ref(suspension)


def _current_suspension() -> _Suspension | None:
    """That of the stack that the caller runs in, directly or in a greenlet made inside it."""
    current = getcurrent()
    while type(current) is not Stack:
        if current is None:
            return None
        current = current.parent
    suspension: _Suspension | None = current.suspension()
    return suspension


def suspend(func: Callable[[], Awaitable[Any]]) -> Any:
    """In a stack: run ``func()`` to its end; whenever it waits, the whole stack waits."""
    awaitable = func()
    coroutine: Coroutine[Any, Any, Any] | None = (
        awaitable if type(awaitable) is types.CoroutineType else _await(awaitable)
    )
    del func, awaitable
    value: Any = None
    failure: BaseException | None = None
    try:
        while True:
            assert coroutine is not None
            try:
                if failure is None:
                    yielded = coroutine.send(value)
                elif isinstance(failure, GeneratorExit):
                    coroutine.close()  # as an await would; harmless if it has been closed
                    raise failure
                else:
                    yielded = coroutine.throw(failure)
            except StopIteration as stop:
                return stop.value
            parent = _leave_behind(coroutine, yielded)
            coroutine = yielded = value = failure = None
            coroutine, value, failure = parent.switch()
    finally:
        del value, failure, coroutine


def _leave_behind(coroutine: Coroutine[Any, Any, Any], yielded: Any) -> greenlet:
    suspension = _current_suspension()
    if suspension is None or suspension.closing:
        coroutine.close()  # raises RuntimeError where the coroutine will not end
        raise GeneratorExit
    suspension.asker = getcurrent()
    suspension.coroutine = coroutine
    suspension.yielded = yielded
    return suspension.resumer


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _current_host() -> object:
    """The current task: the same when a stack is made and whenever it is suspended."""
    if "trio" in _modules:
        trio = getattr(_modules["trio"], "lowlevel", None)
        if trio is not None and trio.in_trio_task():
            return trio.current_task()
    loop = asyncio._get_running_loop()
    return asyncio.current_task(loop) if loop is not None else None


def _find_suspend() -> Suspend | None:
    suspension = _current_suspension()
    if suspension is None or suspension.host is not _current_host():
        return None
    return suspend


@types.coroutine
def drive(call: Callable[[], Any]) -> Generator[Any, Any, Any]:
    """Run a synchronous call in a stack of its own, in the current task; its outcome.

    Closing the generator (the task is thrown away) raises ``GeneratorExit`` in the stack.
    """
    suspension = _Suspension()
    stack = Stack(call, suspension)
    thread_id = threading.get_ident()
    del call
    asker: greenlet | None = None
    coroutine: Coroutine[Any, Any, Any] | None = None
    value: Any = None
    failure: BaseException | None = None
    try:
        message = stack.switch()
        while not stack.dead:
            asker, coroutine, yielded = suspension.asker, suspension.coroutine, suspension.yielded
            suspension.asker = suspension.coroutine = suspension.yielded = None
            try:
                if asker is not None:
                    value = yield yielded
                else:
                    value = yield from _await(message)  # SQLAlchemy's await_(): wants its result
            except BaseException as error:
                failure = error
                if isinstance(error, GeneratorExit):
                    suspension.closing = True
                    if thread_id != threading.get_ident():
                        raise  # greenlet unwinds it on its own thread, when it is dropped
            here = getcurrent()
            if suspension.resumer is not here:
                suspension.resumer = stack.parent = here
            if asker is not None:
                message = asker.switch(coroutine, value, failure)
            else:
                message = stack.switch(value) if failure is None else stack.throw(failure)
            value = failure = None
        if isinstance(message, GreenletExit):
            raise message  # the function raised it; greenlet turns that into a result
        return message
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error
    finally:
        del value, failure, stack, asker, coroutine


suspensions_come_from(_find_suspend)
