"""Tasks that begin at once, not in the next turn of their loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

__all__ = ["FirstSteps", "start_task"]

_EAGER = sys.version_info >= (3, 12)


def start_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], context: Context
) -> asyncio.Task[None]:
    """Make a task and run its first step now. On the loop's thread, outside any task.

    :param context: used by no other task or callback.

    Where that cannot be done, the step is taken in the loop's next turn, as usual.
    """
    steps = FirstSteps(loop)
    try:
        return steps.start(coroutine, context)
    finally:
        steps.end()


class FirstSteps:
    """:func:`start_task` for many tasks of one loop. Made, used and ended on that loop's thread.

    Python 3.11 has no eager start. A new task hands its first step to ``call_soon`` of its loop: a
    function that stands in for it at that moment takes the step. In between, the loop's own stands
    in its place, because to add an attribute and delete it for each task is slower.
    """

    __slots__ = ("_attributes", "_call_soon", "_context", "_loop", "_step", "_take")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._attributes: dict[str, Any] | None = None
        attributes = None if _EAGER else getattr(loop, "__dict__", None)
        if attributes is not None and "call_soon" not in attributes:
            self._context: Context | None = None
            self._step: Callable[[], object] | None = None
            self._take = self._take_step
            self._call_soon = attributes["call_soon"] = loop.call_soon
            self._attributes = attributes

    def start(self, coroutine: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Make a task and run its first step now, if possible."""
        loop, attributes = self._loop, self._attributes
        if loop.get_task_factory() is not None:
            return loop.create_task(coroutine, context=context)
        if sys.version_info >= (3, 12):
            return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
        if attributes is None or attributes["call_soon"] is not self._call_soon:
            return loop.create_task(coroutine, context=context)
        attributes["call_soon"] = self._take
        self._context = context
        try:
            task = asyncio.Task(coroutine, loop=loop, context=context)
        finally:
            self._context = None
            attributes["call_soon"] = self._call_soon
        step, self._step = self._step, None
        if step is not None:
            context.run(step)
        return task

    def _take_step(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle | None:
        if context is not None and context is self._context:
            self._step = callback
            return None
        return self._call_soon(callback, *args, context=context)  # a finalizer's

    def end(self) -> None:
        """Leave the loop as it was."""
        attributes, self._attributes = self._attributes, None
        if attributes is not None:
            del self._take
            if attributes.get("call_soon") is self._call_soon:
                del attributes["call_soon"]
