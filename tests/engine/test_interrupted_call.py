"""Exceptions of signal handlers between the request for a coroutine and the wait for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bridgekit import async_to_sync
from bridgekit.engine import loop_call


class Struck(BaseException):
    """What a signal handler raises."""


@pytest.mark.timeout(30)
def test_the_second_exception_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the first came before the wait had begun."""
    released: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    waits: list[loop_call.LoopCall] = []
    begun = threading.Event()

    async def stubborn() -> None:
        release = asyncio.Event()
        released.append((asyncio.get_running_loop(), release))
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    def strike() -> None:
        assert begun.wait(10)
        raise Struck("first")

    call_park = loop_call.LoopCall.park

    def struck_again(call: loop_call.LoopCall, interrupt: object, *, again: bool = False) -> None:
        class Waker:
            def wait(self) -> None:
                waits.append(call)
                if len(waits) == 1:
                    raise Struck("second")
                call.fail(RuntimeError("has been waited for all the same"))

            lane = None

        call._waker = Waker()  # type: ignore[assignment]
        call_park(call, interrupt, again=again)  # type: ignore[arg-type]

    monkeypatch.setattr(loop_call, "give_way", strike)
    monkeypatch.setattr(loop_call.LoopCall, "park", struck_again)
    with pytest.raises(Struck, match="second"):
        async_to_sync(stubborn)()
    assert len(waits) == 1
    loop, release = released[0]
    loop.call_soon_threadsafe(release.set)
