"""Cancellation: never swallowed, never leaving a thread behind unseen."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.adapters.test_calls import one_worker, run

from bridgekit import CapacityLimiter, async_to_sync, from_thread, to_thread
from bridgekit.engine.hosts import Letter, current_host

__all__ = ["one_worker", "run"]


async def started(event: threading.Event) -> None:
    """Let the loop run until a thread has set the event."""
    while not event.is_set():  # noqa: ASYNC110 (a thread sets it)
        await asyncio.sleep(0.001)


def test_the_await_is_not_left_before_the_thread_has_ended(run: Callable[..., Any]) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert release.wait(10)
        ended.set()
        return "dropped"

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel("first")
        task.cancel("second")
        await asyncio.sleep(0)
        assert not task.done()
        assert task.cancelling() == 2
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
        assert task.cancelled()

    run(main())


@pytest.mark.usefixtures("one_worker")
def test_work_cancelled_before_it_starts_never_runs(run: Callable[..., Any]) -> None:
    begun, release = threading.Event(), threading.Event()
    ran: list[int] = []
    limiter = CapacityLimiter(5)

    async def main() -> None:
        first = asyncio.create_task(to_thread.run_sync(lambda: (begun.set(), release.wait(10))))
        await started(begun)
        second = asyncio.create_task(to_thread.run_sync(ran.append, 1, limiter=limiter))
        await asyncio.sleep(0)
        assert limiter.borrowed_tokens == 1
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert limiter.borrowed_tokens == 0
        release.set()
        await first
        await to_thread.run_sync(int)
        assert ran == []

    run(main())


def test_check_cancelled(run: Callable[..., Any]) -> None:
    cleaned: list[int] = []

    async def clean() -> None:
        await asyncio.sleep(0)
        cleaned.append(1)

    def work(begun: Callable[[], object]) -> None:
        from_thread.check_cancelled()
        begun()
        try:
            while True:
                from_thread.check_cancelled()
                time.sleep(0.001)
        finally:
            async_to_sync(clean)()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout(None)
        over = partial(loop.call_soon_threadsafe, scope.reschedule, 0)
        with pytest.raises(TimeoutError):
            async with scope:
                await to_thread.run_sync(work, over)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())
    assert cleaned == [1]


def test_cancel_reaches_the_coroutine_that_the_thread_waits_for(run: Callable[..., Any]) -> None:
    begun = threading.Event()
    events: list[str] = []

    async def native() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("coroutine")
            await asyncio.sleep(0)
            raise

    def work() -> None:
        try:
            async_to_sync(native)()
        except asyncio.CancelledError:
            events.append("thread")
            raise

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["coroutine", "thread"]

    run(main())


def test_the_next_request_for_a_coroutine_is_cancelled_once(run: Callable[..., Any]) -> None:
    begun, release = threading.Event(), threading.Event()
    events: list[str] = []

    async def native(name: str) -> None:
        await asyncio.sleep(0)
        events.append(name)

    def work() -> None:
        begun.set()
        assert release.wait(10)
        try:
            async_to_sync(native)("never")
        finally:
            async_to_sync(native)("clean-up")

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["clean-up"]

    run(main())


def test_abandoned_work_goes_on_and_keeps_its_token(run: Callable[..., Any]) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    limiter = CapacityLimiter(1)
    outcome: list[Any] = []

    async def native() -> str:
        await asyncio.sleep(0)
        return "served"

    def work() -> None:
        begun.set()
        assert release.wait(10)
        try:
            async_to_sync(native)()
        except asyncio.CancelledError:
            outcome.append("cancelled")
        outcome.append(async_to_sync(native)())
        ended.set()

    async def main() -> None:
        task = asyncio.create_task(
            to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        )
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.borrowed_tokens == 1
        release.set()
        await started(ended)
        assert outcome == ["cancelled", "served"]
        async with limiter:
            pass

    run(main())


def test_a_timeout_inside_the_thread_s_coroutine_is_its_own(run: Callable[..., Any]) -> None:
    async def native() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "no"

    async def main() -> None:
        assert await to_thread.run_sync(async_to_sync(native)) == "timed out"

    run(main())


def test_a_task_group_cancels_its_bridged_siblings(run: Callable[..., Any]) -> None:
    begun = threading.Event()
    seen: list[str] = []

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async def fail() -> None:
        await started(begun)
        raise ValueError("sibling")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(to_thread.run_sync(async_to_sync(forever)))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup, match="unhandled"):
        run(main())
    assert seen == ["cancelled"]


def test_a_thread_outlives_its_loop(run: Callable[..., Any]) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    outcome: list[Any] = []

    async def native() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def work() -> None:
        begun.set()
        assert release.wait(10)
        outcome.append(async_to_sync(native)())
        ended.set()

    async def main() -> asyncio.AbstractEventLoop:
        task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop()

    loop = run(main())
    release.set()
    assert ended.wait(10)
    assert outcome[0] is not loop  # the closed loop cannot serve it, the portal does


def test_the_awaiting_coroutine_is_closed(run: Callable[..., Any]) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def native() -> None:
        begun.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            async_to_sync(native)()
        finally:
            ended.set()

    async def main() -> None:
        host = to_thread.run_sync(work)
        while not begun.is_set():
            future = host.send(None)  # the thread starts; then, its coroutine starts
            if not begun.is_set():
                await asyncio.shield(future)
        host.close()

    run(main())
    assert ended.wait(10)


def test_the_awaiting_coroutine_is_closed_before_the_thread_asks(run: Callable[..., Any]) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    outcome: list[str] = []

    async def native() -> str:
        await asyncio.sleep(0)
        return "served by the loop"

    def work() -> None:
        begun.set()
        assert release.wait(10)
        outcome.append(async_to_sync(native)())
        ended.set()

    async def main() -> None:
        host = to_thread.run_sync(work)
        host.send(None)
        await started(begun)
        host.close()
        release.set()
        async with asyncio.timeout(10):
            await started(ended)

    run(main())
    assert outcome == ["served by the loop"]


# -- races -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("abandon", [False, True])
def test_thousands_of_cancellations_around_completion(
    run: Callable[..., Any], abandon: bool
) -> None:
    """Cancel after a random number of loop turns: in every state between start and result."""
    rng = random.Random(20)
    limiter = CapacityLimiter(3)
    running = 0
    lock = threading.Lock()

    async def native(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    def work(turns: int) -> str:
        nonlocal running
        with lock:
            running += 1
        try:
            if turns:
                async_to_sync(native)(turns)
            return "done"
        finally:
            with lock:
                running -= 1

    async def one() -> str:
        task = asyncio.create_task(
            to_thread.run_sync(work, rng.randrange(3), limiter=limiter, abandon_on_cancel=abandon)
        )
        cancels = 0
        for _ in range(rng.randrange(9)):
            await asyncio.sleep(0)
        for _ in range(rng.randrange(1, 3)):
            cancels += task.cancel()
            if rng.random() < 0.5:
                await asyncio.sleep(0)
        try:
            result = await task
        except asyncio.CancelledError:
            return "cancelled"
        assert result == "done"
        assert not cancels, "a cancellation was swallowed"
        return result

    async def main() -> dict[str, int]:
        count = {"done": 0, "cancelled": 0}
        for _ in range(150):
            for result in await asyncio.gather(*(one() for _ in range(10))):
                count[result] += 1
        async with asyncio.timeout(10):
            while limiter.borrowed_tokens:  # noqa: ASYNC110 (threads give them back)
                await asyncio.sleep(0.001)
        assert running == 0
        return count

    count = run(main())
    assert count["done"] > 0
    assert count["cancelled"] > 0


class PausedHost:
    """Holds back what threads post to the loop, to force an order of events."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: list[Letter] = []
        self.arrived = threading.Event()
        host = current_host()
        self._post = host.post
        monkeypatch.setattr(host, "post", self._hold)

    def _hold(self, letter: Letter) -> bool:
        self.held.append(letter)
        self.arrived.set()
        return True

    def deliver(self) -> None:
        self.arrived.clear()
        held, self.held = self.held, []
        for letter in held:
            self._post(letter)


@pytest.mark.parametrize("moment", ["before delivery", "after delivery", "both"])
@pytest.mark.parametrize("message", ["result", "wish"])
@pytest.mark.parametrize("abandon", [False, True])
def test_cancel_around_a_message(
    monkeypatch: pytest.MonkeyPatch, moment: str, message: str, abandon: bool
) -> None:
    """A message of the thread is on its way to the loop when the host is cancelled."""
    seen: list[str] = []
    asleep = threading.Event()

    async def native() -> None:
        seen.append("coroutine began")
        await asyncio.sleep(0)

    def work() -> None:
        assert asleep.wait(10)  # so that the host has to be sent a message
        if message == "wish":
            try:
                async_to_sync(native)()
            except asyncio.CancelledError:
                seen.append("thread cancelled")
                raise

    async def main() -> None:
        paused = PausedHost(monkeypatch)
        task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=abandon))
        await asyncio.sleep(0)
        asleep.set()
        while not paused.arrived.is_set():  # noqa: ASYNC110 (a thread sets it)
            await asyncio.sleep(0)
        if moment in ("before delivery", "both"):
            task.cancel()
            await asyncio.sleep(0)
        paused.deliver()
        if moment in ("after delivery", "both"):
            task.cancel()
        async with asyncio.timeout(10):
            while not task.done() or (message == "wish" and not seen):
                await asyncio.sleep(0)
                paused.deliver()
            monkeypatch.undo()
            with pytest.raises(asyncio.CancelledError):
                await task
            await to_thread.run_sync(int)
        assert seen == ([] if message == "result" else ["thread cancelled"])

    asyncio.run(main())


@pytest.mark.parametrize("then", ["ends", "asks", "checks"])
def test_a_function_is_called_in_the_host_though_it_has_been_cancelled(
    run: Callable[..., Any], then: str
) -> None:
    """Cleaning up may depend on it; the cancellation is kept for what comes next."""
    begun, release = threading.Event(), threading.Event()
    told: list[str] = []

    async def coroutine() -> None:
        told.append("awaited")

    def work() -> None:
        begun.set()
        assert release.wait(10)
        for _ in range(3):
            from_thread.run_sync(told.append, "called")
        if then == "asks":
            try:
                from_thread.run(coroutine)
            except asyncio.CancelledError:
                told.append("refused")
                raise
        if then == "checks":
            with pytest.raises(asyncio.CancelledError):
                from_thread.check_cancelled()
            from_thread.run(coroutine)

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel("why")
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError, match="why"):
            await task
        assert task.cancelled()

    run(main())
    after = {"ends": [], "asks": ["refused"], "checks": ["awaited"]}
    assert told == ["called"] * 3 + after[then]


def test_a_function_is_called_though_the_host_has_left(run: Callable[..., Any]) -> None:
    begun, release = threading.Event(), threading.Event()
    told: list[str] = []

    async def coroutine() -> None:
        told.append("awaited")

    async def main() -> None:
        ended = asyncio.Event()

        def work() -> None:
            begun.set()
            assert release.wait(10)
            from_thread.run_sync(told.append, "called")
            with pytest.raises(asyncio.CancelledError):
                from_thread.run(coroutine)
            from_thread.run(coroutine)
            from_thread.run_sync(ended.set)

        task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        async with asyncio.timeout(10):
            await ended.wait()

    run(main())
    assert told == ["called", "awaited"]


def test_calls_in_the_host_one_after_the_other_keep_its_cancellation(
    run: Callable[..., Any],
) -> None:
    """So many that the task gives way in between, where the cancellation may strike as well."""
    calls: list[int] = []

    def work() -> None:
        while len(calls) < 500:
            from_thread.run_sync(calls.append, 1)

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        while len(calls) < 100:  # noqa: ASYNC110 (a thread fills it)
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert len(calls) == 500
