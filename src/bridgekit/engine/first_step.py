"""Tasks that begin at once, not in the next turn of their loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

__all__ = ["start_task"]


def start_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], context: Context
) -> asyncio.Task[None]:
    """Make a task and run its first step now. On the loop's thread, outside any task.

    Where that cannot be done, the step is taken in the loop's next turn, as usual.
    """
    if loop.get_task_factory() is not None:
        return loop.create_task(coroutine, context=context)
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
    # Python 3.11 has no eager start. A new task schedules its first step: take that instead.
    steps: list[Callable[[], object]] = []
    attributes = getattr(loop, "__dict__", None)
    if attributes is None or "call_soon" in attributes:
        return loop.create_task(coroutine, context=context)
    attributes["call_soon"] = lambda step, *, context: steps.append(step)
    try:
        task = asyncio.Task(coroutine, loop=loop, context=context)
    finally:
        del attributes["call_soon"]
    context.run(steps[0])
    return task
