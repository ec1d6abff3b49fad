"""The exceptions that the runtime raises on its own account."""

from __future__ import annotations

__all__ = ["DeadlockError", "LoopThreadError", "PortalClosedError"]


class DeadlockError(RuntimeError):
    """A wait that can never end was refused, or ended when that had turned out.

    In the latter case the message tells who waits for whom, with the stacks of all concerned.
    """


class LoopThreadError(DeadlockError):
    """Synchronous waiting was asked for on a thread that is running an event loop.

    The loop cannot make progress while its own thread waits, so the call is refused before any
    coroutine is created.
    """


class PortalClosedError(RuntimeError):
    """The event loop that should have served a call has been closed."""
