"""An exception of a signal handler in the worst place: after the request, before the wait."""

from __future__ import annotations

import asyncio

import pytest

from bridgekit import async_to_sync, to_thread
from bridgekit.engine.work import Wish, Work


class Struck(BaseException):
    """What a signal handler raises."""


def test_the_coroutine_ends_before_the_exception_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Work._send
    events: list[str] = []

    def struck(work: Work, wish: Wish) -> None:
        send(work, wish)
        if "struck" not in events:
            events.append("struck")
            raise Struck

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            events.append("ended")

    async def outer() -> None:
        with pytest.raises(Struck):
            await to_thread.run_sync(async_to_sync(wait))
        events.append("raised")

    monkeypatch.setattr(Work, "_send", struck)
    asyncio.run(asyncio.wait_for(outer(), 10))
    # Cancelled before its first step it never ran, else it ended before the caller went on.
    assert events in (["struck", "ended", "raised"], ["struck", "raised"])
