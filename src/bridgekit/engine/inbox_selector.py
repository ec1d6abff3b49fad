"""The portal loop's selector: hands out the portal's letters without a turn of the loop.

A stock loop that its inbox wakes goes through a turn before the letter arrives, and through another
one when it has found nothing else to do. This selector runs the callback of the inbox itself, and
goes back to sleep as long as that has left the loop nothing to do. The callback is what the loop
would have run next, on the same thread and outside any task as well; and it goes through
``Handle._run``, so whoever watches the callbacks of loops sees it.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
from collections.abc import Callable
from typing import Any

__all__ = ["new_portal_loop"]

_ServeInbox = Callable[[int], None]
_NEEDED = ("_ready", "_scheduled", "_stopping")  # of every stock loop since Python 3.4


def new_portal_loop() -> tuple[asyncio.AbstractEventLoop, _ServeInbox]:
    """A loop of the kind that is usual in this process, and what to tell its inbox's descriptor.

    Where that is not the stock loop over ``epoll``, the selector is the usual one, too, and to tell
    it does nothing.
    """
    usual = asyncio.new_event_loop()
    if type(usual) is not asyncio.SelectorEventLoop or not hasattr(selectors, "EpollSelector"):
        return usual, _ignore
    if not all(hasattr(usual, name) for name in _NEEDED):
        return usual, _ignore
    usual.close()
    selector = _inbox_selector()
    loop = asyncio.SelectorEventLoop(selector)
    return loop, lambda fd: selector.serve(loop, fd)


def _ignore(_fd: int) -> None:
    return


def _inbox_selector() -> Any:
    return _InboxSelector()


if hasattr(selectors, "EpollSelector"):

    class _InboxSelector(selectors.EpollSelector):
        """Of one loop, on whose thread all is called."""

        def __init__(self) -> None:
            super().__init__()
            # The same epoll instance: the base class keeps its own to itself.
            self._same = select.epoll.fromfd(os.dup(self.fileno()))
            self._inbox: asyncio.Handle | None = None
            self._inbox_fd = -1
            self._loop: Any = None

        def serve(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
            """From now on, run the callback of this descriptor here."""
            data = self.get_key(fd).data  # (reader, writer), if the loop is as it has always been
            if isinstance(data, tuple) and isinstance(data[0], asyncio.Handle):
                self._inbox, self._inbox_fd, self._loop = data[0], fd, loop

        def _forget_inbox(self) -> None:
            self._inbox = self._loop = None
            self._inbox_fd = -1

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """As documented. With a timeout there are timers: then the loop takes its turns."""
            inbox, fd, loop = self._inbox, self._inbox_fd, self._loop
            if inbox is None or timeout is not None or loop.get_debug():
                return super().select(timeout)
            poll = self._same.poll
            while True:
                events = poll(-1, 2)
                if len(events) != 1 or events[0][0] != fd:
                    return super().select(0)
                inbox._run()
                if loop._ready or loop._scheduled or loop._stopping or self._inbox is not inbox:
                    return []

        def unregister(self, fileobj: Any) -> selectors.SelectorKey:
            """As documented."""
            key = super().unregister(fileobj)
            if key.fd == self._inbox_fd:
                self._forget_inbox()
            return key

        def close(self) -> None:
            """As documented."""
            self._forget_inbox()
            self._same.close()
            super().close()
