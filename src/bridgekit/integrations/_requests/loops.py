"""Resources that live as long as an event loop."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from bridgekit.engine.resources import on_loop_close

T = TypeVar("T")


def current_loop() -> Any:
    """Return the object that stands for the running loop: asyncio's loop or trio's token.

    Raises RuntimeError when none runs in this thread.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        if trio is not None:
            try:
                return trio.lowlevel.current_trio_token()
            except RuntimeError:
                pass
        raise RuntimeError("no event loop is running in this thread") from None


def running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running asyncio loop, or None (no loop, or trio's)."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Closeable(Protocol):
    async def close_now(self) -> None: ...


class _Guard:
    """What was registered for one loop and is still open."""

    def __init__(self, loop: Any) -> None:
        self.members: set[Any] = set()
        self._loop = weakref.ref(loop)

    async def close(self) -> None:
        _guards.pop(self._loop(), None)  # what is made from now on is registered afresh
        for member in list(self.members):
            await member.close_now()


_guards: MutableMapping[Any, _Guard] = weakref.WeakKeyDictionary()


def close_with_loop(resource: Closeable) -> None:
    """Have *resource* closed when the running asyncio loop shuts down; nothing under trio.

    The resource is kept alive until then, or until `forget_with_loop`.
    """
    loop = running_asyncio_loop()
    if loop is None:
        return
    guard = _guards.get(loop)
    if guard is None:
        guard = _guards[loop] = _Guard(loop)
        on_loop_close(guard.close)
    guard.members.add(resource)


def forget_with_loop(loop: Any, resource: Closeable) -> None:
    """Undo `close_with_loop`: *resource*, of *loop*, is closed. Called on the loop's thread."""
    guard = _guards.get(loop)
    if guard is not None:
        guard.members.discard(resource)


class PerLoop(Generic[T]):
    """One value for each running loop. Loops are not kept alive beyond their closing.

    Used from the loops' own threads; each touches its own entry only, and entries of closed loops
    are dropped when a new one is added.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: weakref.WeakKeyDictionary[Any, T] = weakref.WeakKeyDictionary()

    def get(self) -> T:
        """Return the value of the running loop, made on first use. Raises RuntimeError."""
        loop = current_loop()
        value = self._values.get(loop)
        if value is None:
            for known in list(self._values):
                if getattr(known, "is_closed", bool)():
                    self._values.pop(known, None)
            value = self._values[loop] = self._make()
        return value

    def pop(self) -> T | None:
        """Forget the value of the running loop and return it."""
        return self._values.pop(current_loop(), None)

    def items(self) -> list[tuple[Any, T]]:
        return list(self._values.items())
