"""The loop that serves the process, when a server runs one.

Under an ASGI server there should be one loop for everything: clients and connection pools belong to
it. A thread that belongs to no loop (the program started it itself) sends its coroutines there, and
only without a server to the portal loop.
"""

from __future__ import annotations

import asyncio

from bridgekit.engine.process import after_fork

__all__ = ["serving_loop", "start_serving", "stop_serving"]

_loops: list[asyncio.AbstractEventLoop] = []


def serving_loop() -> asyncio.AbstractEventLoop | None:
    """The running loop that serves the process, the latest if there are several."""
    for loop in reversed(_loops):
        if loop.is_running():
            return loop
    return None


def start_serving() -> None:
    """Make the running loop the one for threads that belong to none. Call it on the loop."""
    _loops.append(asyncio.get_running_loop())


def stop_serving() -> None:
    """Undo `start_serving` of the running loop. Call it on the loop."""
    loop = asyncio.get_running_loop()
    if loop in _loops:
        _loops.remove(loop)


after_fork(_loops.clear)
