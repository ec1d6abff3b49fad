"""What has to be closed together with an event loop.

A shared HTTP client or a database engine belongs to the loop it was made on. Its owner registers
an asynchronous callback here, and it runs once: when the portal loop is closed, when a web
application on that loop shuts down, or when the loop's runner (``asyncio.run``, a test runner)
ends, whichever comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["close_loop_resources", "on_loop_close"]

_ATTRIBUTE = "_bridgekit_close_callbacks"
_logger = logging.getLogger("bridgekit")


class _Registry:
    """Kept on the loop object itself, so that it lives exactly as long.

    The runners of asyncio call ``loop.shutdown_asyncgens()`` at their end: a started generator
    that is held here is closed then, and closes the resources in its ``finally``.
    """

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], Awaitable[object]]] = []
        self._sentinel = self._wait_for_end()
        # Runs up to the yield without suspending, so it needs no task.
        try:
            self._sentinel.__anext__().send(None)
        except StopIteration:
            return

    async def _wait_for_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        while self.callbacks:
            callback = self.callbacks.pop()
            try:
                await callback()
            except Exception:
                _logger.exception("closing a resource of the event loop failed: %r", callback)


def on_loop_close(
    callback: Callable[[], Awaitable[object]], loop: asyncio.AbstractEventLoop | None = None
) -> None:
    """Have ``callback()`` awaited on the current event loop before that loop ends.

    Callbacks run last in, first out; the exception of one is logged and does not keep the others
    from running. Call it on the loop's own thread.

    :raises RuntimeError: no event loop is running in this thread, or not the one given.
    """
    running = asyncio.get_running_loop()
    if loop is not None and loop is not running:
        raise RuntimeError("on_loop_close must be called on the thread of the loop it is about")
    registry: _Registry | None = getattr(running, _ATTRIBUTE, None)
    if registry is None:
        registry = _Registry()
        setattr(running, _ATTRIBUTE, registry)
    registry.callbacks.append(callback)


async def close_loop_resources() -> None:
    """Await what was registered for the running loop; later registrations start afresh."""
    registry: _Registry | None = getattr(asyncio.get_running_loop(), _ATTRIBUTE, None)
    if registry is not None:
        await registry.close()
