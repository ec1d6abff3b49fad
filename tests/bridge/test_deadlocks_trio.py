"""Deadlocks among tasks of trio, and between trio and asyncio; what only looks like one."""

import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from tests.bridge.stopwatch import Stopwatch, within, within_a_second

from bridgekit import (
    BlockingPortal,
    CapacityLimiter,
    DeadlockError,
    ThreadSensitiveContext,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.diagnostics import format_waits, set_deadlock_action, waits
from bridgekit.engine.waits import trio_tasks

pytestmark = pytest.mark.usefixtures("settings_kept")

LONGER_THAN_DETECTION = 0.4  # with `frequent_looks`


class Outcomes:
    """Runs functions as tasks of one nursery; a DeadlockError ends one of them, not all."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.errors: list[DeadlockError] = []

    async def _one(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        try:
            self.words.append(str(await func(*args)))
        except DeadlockError as error:
            self.errors.append(error)
            self.words.append("deadlock")

    async def of(self, *calls: Callable[..., Awaitable[Any]]) -> list[str]:
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(self._one, call)
        return sorted(self.words)


class Meeting:
    """A barrier of tasks of one trio run."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._all = trio.Event()

    async def meet(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await self._all.wait()


async def take(first: CapacityLimiter, second: CapacityLimiter, meeting: Meeting) -> str:
    async with first:
        await meeting.meet()
        async with second:
            return "ok"


def pair(meeting: Meeting) -> list[Callable[[], Awaitable[str]]]:
    a, b = CapacityLimiter(1), CapacityLimiter(1)
    return [partial(take, a, b, meeting), partial(take, b, a, meeting)]


# -- deadlocks -------------------------------------------------------------------------------------


def test_two_limiters_in_opposite_order(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        found = Outcomes()
        async with within_a_second():
            assert await found.of(*pair(Meeting(2))) == ["deadlock", "ok"]
        [text] = map(str, found.errors)
        assert text.count("waits for a limiter of 1 token") == 2
        assert text.count("is held by task") == 2
        assert text.count("async with second") == 2
        assert text.count("in take\n") == 2
        assert "trio/_core" not in text

    trio.run(main)
    assert "deadlock: this wait could never have ended" in caplog.text


def test_two_deadlocks_at_the_same_time() -> None:
    async def main() -> None:
        async with within_a_second():
            found = await Outcomes().of(*pair(Meeting(2)), *pair(Meeting(2)))
        assert found == ["deadlock", "deadlock", "ok", "ok"]

    trio.run(main)


def test_own_token_is_refused_at_once() -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with limiter:
            with within(0.15):  # before a look could have found it
                with pytest.raises(DeadlockError, match="holds itself"):
                    await to_thread.run_sync(int, limiter=limiter)
                with pytest.raises(DeadlockError, match="holds itself"):
                    async with limiter:
                        raise AssertionError("there is no second token")
        assert limiter.borrowed_tokens == 0
        assert await to_thread.run_sync(int, limiter=limiter) == 0

    trio.run(main)


@pytest.mark.parametrize("anyios", [False, True])
def test_own_token_in_a_child_task(anyios: bool) -> None:
    async def child(limiter: CapacityLimiter) -> None:
        with pytest.raises(DeadlockError, match="waits for a limiter"):
            await to_thread.run_sync(int, limiter=limiter)

    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with within_a_second(), limiter:
            group: Any = anyio.create_task_group() if anyios else trio.open_nursery()
            async with group as nursery:
                nursery.start_soon(child, limiter)

    trio.run(main)


def test_own_token_in_a_grandchild_whose_other_tasks_wait_as_well() -> None:
    async def group(limiter: CapacityLimiter) -> str:
        found = await Outcomes().of(*[partial(to_thread.run_sync, int, limiter=limiter)] * 3)
        return " ".join(found)

    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with limiter:
            assert await Outcomes().of(partial(group, limiter)) == ["deadlock deadlock deadlock"]

    trio.run(main)


def test_a_full_pool_that_waits_for_a_token_of_a_queued_calls_task() -> None:
    async def main() -> None:
        to_thread.set_max_workers(1)
        limiter, inside, held = CapacityLimiter(1), trio.Event(), trio.Event()

        async def ask() -> str:
            inside.set()
            await held.wait()
            async with limiter:
                return "asked"

        async def hold() -> int:
            await inside.wait()
            async with limiter:
                held.set()
                return await to_thread.run_sync(int)

        found = Outcomes()
        async with within_a_second():
            words = await found.of(partial(to_thread.run_sync, from_thread.run, ask), hold)
        assert words in (["asked", "deadlock"], ["0", "deadlock"])
        assert "has only thread 'bridgekit-worker" in str(found.errors[0])
        assert "in ask\n" in str(found.errors[0])

    trio.run(main)


def test_a_bound_thread_that_waits_for_a_token_of_a_call_queued_behind_it() -> None:
    async def main() -> None:
        limiter, inside, held = CapacityLimiter(1), trio.Event(), trio.Event()

        async def ask() -> str:
            inside.set()
            await held.wait()
            async with limiter:
                return "asked"

        async def hold() -> int:
            await inside.wait()
            async with limiter:
                held.set()
                return await to_thread.run_sync(int, affinity="context")

        async with ThreadSensitiveContext(), within_a_second():
            first = partial(to_thread.run_sync, from_thread.run, ask, affinity="context")
            found = Outcomes()
            assert "deadlock" in await found.of(first, hold)
            assert "bridgekit-context" in str(found.errors[0])

    trio.run(main)


def test_calls_that_hold_tokens_and_wait_for_one_another() -> None:
    async def main() -> None:
        a, b, inside = CapacityLimiter(1), CapacityLimiter(1), threading.Barrier(2)

        def work(other: CapacityLimiter) -> Any:
            inside.wait()
            return from_thread.run(partial(to_thread.run_sync, int, limiter=other))

        async with within_a_second():
            found = await Outcomes().of(
                partial(to_thread.run_sync, work, b, limiter=a),
                partial(to_thread.run_sync, work, a, limiter=b),
            )
        assert found == ["0", "deadlock"]
        assert a.borrowed_tokens == b.borrowed_tokens == 0

    trio.run(main)


@pytest.mark.parametrize("second", ["trio", "asyncio"])
def test_two_runs_in_two_threads(second: str) -> None:
    a, b, inside = CapacityLimiter(1), CapacityLimiter(1), threading.Barrier(2)
    found: list[str] = []

    async def take_both(first: CapacityLimiter, other: CapacityLimiter) -> None:
        try:
            async with first:
                await to_thread.run_sync(inside.wait)
                async with other:
                    found.append("ok")
        except DeadlockError:
            found.append("deadlock")

    stopwatch = Stopwatch()
    threads = [
        threading.Thread(target=anyio.run, args=(take_both, *order), kwargs={"backend": backend})
        for backend, order in (("trio", (a, b)), (second, (b, a)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == ["deadlock", "ok"]
    assert stopwatch.seconds() < 2  # making the loops included


def test_portals_to_two_runs_whose_tasks_wait_for_one_another() -> None:
    a, b, inside = CapacityLimiter(1), CapacityLimiter(1), threading.Barrier(2)

    async def take_both(first: CapacityLimiter, other: CapacityLimiter) -> str:
        async with first:
            await trio.to_thread.run_sync(inside.wait)
            async with other:
                return "ok"

    with (
        start_blocking_portal("trio") as one,
        start_blocking_portal("trio") as two,
        ThreadPoolExecutor() as threads,
    ):
        stopwatch = Stopwatch()
        futures = [
            threads.submit(one.call, take_both, a, b),
            threads.submit(two.call, take_both, b, a),
        ]
        found = [future.exception() or future.result() for future in futures]
        assert stopwatch.seconds() < 1
    assert sorted(type(one).__name__ for one in found) == ["DeadlockError", "str"]


def test_cancelled_and_yet_waiting_for_a_thread_that_waits_for_the_cancelled() -> None:
    """Cancelling the task that holds the token does not free it before its child has ended."""

    async def main(portal: BlockingPortal) -> None:
        limiter, errors = CapacityLimiter(1), list[BaseException]()
        queued = trio.Event()

        async def need() -> None:
            token.run_sync_soon(queued.set)
            async with limiter:
                pass

        def work() -> None:
            try:
                portal.call(need)
            except DeadlockError as error:
                errors.append(error)

        token = trio.lowlevel.current_trio_token()
        async with within_a_second():
            with trio.CancelScope() as scope:
                async with limiter, trio.open_nursery() as nursery:
                    nursery.start_soon(to_thread.run_sync, work)
                    await queued.wait()
                    scope.cancel()
        assert [type(error) for error in errors] == [DeadlockError]

    with start_blocking_portal("trio") as portal:
        trio.run(main, portal)


# -- no deadlocks ----------------------------------------------------------------------------------


async def _deadline_around_one(first: Any, second: Any) -> None:
    async def limited() -> None:
        with trio.move_on_after(LONGER_THAN_DETECTION):
            await first()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(limited)
        nursery.start_soon(second)


async def _deadline_around_both(first: Any, second: Any) -> None:
    with trio.move_on_after(LONGER_THAN_DETECTION):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            nursery.start_soon(second)


async def _cancelled_by_a_task_that_sleeps(first: Any, second: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        nursery.start_soon(second)
        await trio.sleep(LONGER_THAN_DETECTION)
        nursery.cancel_scope.cancel()


class _Watchdog:
    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope

    async def watch(self) -> None:
        await trio.sleep(LONGER_THAN_DETECTION)
        self.scope.cancel()


async def _cancelled_by_an_object_in_another_nursery(first: Any, second: Any) -> None:
    async with trio.open_nursery() as outer:
        with trio.CancelScope() as scope:
            outer.start_soon(_Watchdog(scope).watch)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first)
                nursery.start_soon(second)


async def _an_anyio_scope_with_a_deadline(first: Any, second: Any) -> None:
    with anyio.move_on_after(LONGER_THAN_DETECTION):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            group.start_soon(second)


@pytest.mark.usefixtures("frequent_looks")
@pytest.mark.parametrize(
    "limit",
    [
        _deadline_around_one,
        _deadline_around_both,
        _cancelled_by_a_task_that_sleeps,
        _cancelled_by_an_object_in_another_nursery,
        _an_anyio_scope_with_a_deadline,
    ],
)
def test_a_deadline_ends_the_wait_itself(limit: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await limit(*pair(Meeting(2)))

    trio.run(main)
    assert not caplog.records


def test_a_deadline_outside_a_shield_does_not_count() -> None:
    async def main() -> None:
        with trio.move_on_after(30), trio.CancelScope(shield=True):
            async with within_a_second():
                assert await Outcomes().of(*pair(Meeting(2))) == ["deadlock", "ok"]

    trio.run(main)


def test_a_task_that_keeps_waking_up_does_not_hide_a_deadlock() -> None:
    async def beat(nursery: trio.Nursery) -> None:
        while True:
            await trio.sleep(0.01)
            assert nursery.child_tasks

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat, nursery)
            assert await Outcomes().of(*pair(Meeting(2))) == ["deadlock", "ok"]
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_own_token_with_a_deadline() -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with limiter:
            with pytest.raises(trio.TooSlowError), trio.fail_after(0.05):
                await limiter.acquire()

    trio.run(main)


def later(*callbacks: Callable[[], object]) -> None:
    """Have callbacks called in this run. Not by a task: one that sleeps may be about to cancel."""
    token = trio.lowlevel.current_trio_token()

    def call_them() -> None:
        for callback in callbacks:
            token.run_sync_soon(callback)

    threading.Timer(LONGER_THAN_DETECTION, call_them).start()


@pytest.mark.usefixtures("frequent_looks")
def test_opaque_waits_count_as_able_to_end(caplog: pytest.LogCaptureFixture) -> None:
    """Of a token's holder: an event, a channel, a thread of trio's own."""

    async def hold(limiter: CapacityLimiter, wait: Callable[[], Awaitable[object]]) -> None:
        async with limiter:
            await wait()

    async def main() -> None:
        event, timer = trio.Event(), threading.Event()
        send, receive = trio.open_memory_channel[None](1)
        waits = event.wait, receive.receive, partial(trio.to_thread.run_sync, timer.wait)
        async with send, receive, trio.open_nursery() as nursery:
            for wait in waits:
                limiter = CapacityLimiter(1)
                nursery.start_soon(hold, limiter, wait)
                await trio.lowlevel.checkpoint()
                for _ in range(2):
                    nursery.start_soon(partial(to_thread.run_sync, int, limiter=limiter))
            later(event.set, partial(send.send_nowait, None), timer.set)

    trio.run(main)
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_task_may_be_reported_as_started_by_somebody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def want(limiter: CapacityLimiter, *, task_status: trio.TaskStatus[None]) -> None:
        later(task_status.started)
        async with limiter:
            pass

    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with trio.open_nursery() as nursery, limiter:
            await nursery.start(want, limiter)

    trio.run(main)
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_nursery_that_a_task_is_about_to_come_to(caplog: pytest.LogCaptureFixture) -> None:
    """It may fail there, and so end the wait for the others."""

    async def fail(event: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        await event.wait()
        task_status.started()
        raise ZeroDivisionError

    async def main() -> None:
        limiter, event = CapacityLimiter(1), trio.Event()
        async with trio.open_nursery() as outer, limiter, trio.open_nursery() as inner:
            outer.start_soon(inner.start, fail, event)
            inner.start_soon(limiter.acquire)
            later(event.set)

    with pytest.raises(BaseExceptionGroup) as raised:
        trio.run(main)
    assert raised.group_contains(ZeroDivisionError)
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_tokens_that_somebody_else_gives_back(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        await limiter.acquire()
        threading.Timer(LONGER_THAN_DETECTION, limiter.release).start()
        assert await to_thread.run_sync(int, limiter=limiter) == 0

    trio.run(main)
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_cancellation_that_the_blocked_run_has_not_come_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, a, b, meeting)
            nursery.start_soon(take, b, a, meeting)
            while a.statistics().tasks_waiting + b.statistics().tasks_waiting < 2:
                await trio.lowlevel.checkpoint()
            token = trio.lowlevel.current_trio_token()
            token.run_sync_soon(nursery.cancel_scope.cancel)
            time.sleep(LONGER_THAN_DETECTION)  # noqa: ASYNC251 - the run is blocked, that is the point

    trio.run(main)
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_without_trios_inner_workings_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They may change; then every wait counts as able to end."""

    def changed(_: Any) -> Any:
        raise AttributeError("_scope")

    monkeypatch.setattr(trio_tasks, "_ends_by_itself", changed)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                for call in pair(Meeting(2)):
                    nursery.start_soon(call)
                later(scope.cancel)

    trio.run(main)
    assert not caplog.records


# -- what waits can be seen ------------------------------------------------------------------------


def test_what_waits_can_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        set_deadlock_action("log")
        meeting = Meeting(3)
        async with trio.open_nursery() as nursery:
            for call in pair(meeting):
                nursery.start_soon(call)
            await meeting.meet()
            await trio.sleep(0.05)
            stuck = [wait for wait in waits() if wait.stuck]
            assert len(stuck) == 4
            assert {wait.how for wait in stuck} == {"waits for", "is held by"}
            assert all(wait.stack for wait in stuck if wait.who.startswith("task"))
            text = format_waits()
            nursery.cancel_scope.cancel()
        return text

    with caplog.at_level(logging.ERROR, "bridgekit"):
        text = trio.run(main)
    assert text.startswith("STUCK: ")
    assert "async with second" in text


def test_a_thread_that_waits_for_a_trio_task_can_be_seen() -> None:
    async def main() -> None:
        event, inside = trio.Event(), trio.Event()

        async def wait() -> None:
            inside.set()
            await event.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_thread.run_sync, from_thread.run, wait)
            await inside.wait()
            await trio.sleep(0.05)
            [thread] = [wait for wait in waits() if wait.who.startswith("thread")]
            assert "bridgekit-worker" in thread.who
            assert not thread.stuck
            assert "task " in thread.needs[0][0]
            event.set()

    trio.run(main)
    assert format_waits() == "nothing waits"
