"""Which thread stands behind a loop that ``async_to_sync`` runs coroutines on.

A task normally inherits the thread that is parked for it through its context. A task started in
an empty context has lost it; the loop it runs on may still tell. The portal loop may serve several
threads at a time: then there is no telling, and such a task's thread-sensitive calls go to the
process's thread.
"""

from __future__ import annotations

import asyncio

from bridgekit.engine.process import after_fork
from bridgekit.integrations.asgiref.current_thread_executor import CurrentThreadExecutor

__all__ = ["LOOP_EXECUTORS", "begin", "end"]

# Maintained for each loop on that loop's thread. It has no entry for a loop with several callers.
LOOP_EXECUTORS: dict[asyncio.AbstractEventLoop, CurrentThreadExecutor] = {}
_open: dict[asyncio.AbstractEventLoop, list[CurrentThreadExecutor]] = {}


def begin(executor: CurrentThreadExecutor) -> None:
    """A call from a thread that belongs to no loop begins on the running loop."""
    loop = asyncio.get_running_loop()
    _open.setdefault(loop, []).append(executor)
    _choose(loop)


def end(executor: CurrentThreadExecutor) -> None:
    """Undo :func:`begin`. Any thread may be closing the coroutine; the loop is the executor's."""
    loop = executor.loop
    if loop is None or executor not in _open.get(loop, ()):
        return
    _open[loop].remove(executor)
    _choose(loop)


def _choose(loop: asyncio.AbstractEventLoop) -> None:
    callers = _open[loop]
    if callers and len({caller.thread for caller in callers}) == 1:
        LOOP_EXECUTORS[loop] = callers[-1]
    else:
        LOOP_EXECUTORS.pop(loop, None)
    if not callers:
        del _open[loop]


def _forget() -> None:
    LOOP_EXECUTORS.clear()
    _open.clear()


after_fork(_forget)
