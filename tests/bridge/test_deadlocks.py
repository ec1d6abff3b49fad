"""Waits that can never end are ended with DeadlockError within a second; no others are."""

import asyncio
import contextvars
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from tests.bridge.stopwatch import Stopwatch, within, within_a_second

from bridgekit import (
    CapacityLimiter,
    DeadlockError,
    ThreadSensitiveContext,
    async_to_sync,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.diagnostics import (
    format_waits,
    set_deadlock_action,
    waits,
)
from bridgekit.engine.waits import watch

try:
    import uvloop
except ImportError:
    FACTORIES = [asyncio.new_event_loop]
else:
    # What differs from the stock loop is how waits are read off it, and each is waited for.
    second = pytest.param(uvloop.new_event_loop, marks=pytest.mark.slow)
    FACTORIES = [asyncio.new_event_loop, second]

pytestmark = pytest.mark.usefixtures("settings_kept")

Run = Callable[[Awaitable[Any]], Any]
LONGER_THAN_DETECTION = 0.4  # with `frequent_looks`


@pytest.fixture(params=FACTORIES, ids=["asyncio", "uvloop"][: len(FACTORIES)])
def run(request: pytest.FixtureRequest) -> Run:
    def run_on_loop(main: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main)

    return run_on_loop


async def outcomes(*awaitables: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of what is looked at, nothing sets an event
        await asyncio.sleep(0.01)


def kinds(found: list[Any]) -> list[Any]:
    """The results, with a word in place of each DeadlockError; sorted."""
    return sorted("deadlock" if isinstance(one, DeadlockError) else str(one) for one in found)


class Meeting:
    """A barrier of tasks of any loops and threads."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    async def meet(self) -> None:
        await asyncio.get_running_loop().run_in_executor(_waiters, self._barrier.wait)


_waiters = ThreadPoolExecutor(8, "meeting")


async def take(first: CapacityLimiter, second: CapacityLimiter, meeting: Meeting) -> str:
    async with first:
        await meeting.meet()
        async with second:
            return "ok"


# -- deadlocks ---------------------------------------------------------------------------------


def test_two_limiters_in_opposite_order(run: Run) -> None:
    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        async with within_a_second():
            found = await outcomes(take(a, b, meeting), take(b, a, meeting))
        assert kinds(found) == ["deadlock", "ok"]
        assert a.borrowed_tokens == b.borrowed_tokens == 0
        assert a.statistics().tasks_waiting == b.statistics().tasks_waiting == 0

    run(main())


def test_the_error_tells_the_cycle_and_both_stacks(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def first_taker(*arguments: Any) -> str:
        return await take(*arguments)

    async def second_taker(*arguments: Any) -> str:
        return await take(*arguments)

    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        found = await outcomes(first_taker(a, b, meeting), second_taker(b, a, meeting))
        [error] = [one for one in found if isinstance(one, DeadlockError)]
        text = str(error)
        assert text.count("waits for a limiter of 1 token") == 2
        assert text.count("is held by task") == 2
        assert "in first_taker\n" in text
        assert "in second_taker\n" in text
        assert text.count("async with second") == 2
        assert error.__traceback__ is not None

    run(main())
    assert "deadlock: this wait could never have ended" in caplog.text


def test_three_limiters_in_a_ring_and_a_bystander_behind_them(run: Run) -> None:
    async def main() -> None:
        a, b, c, meeting = (*(CapacityLimiter(1) for _ in range(3)), Meeting(3))

        async def bystander() -> str:
            await asyncio.sleep(0.05)
            async with a:
                return "ok"

        async with within_a_second():
            found = await outcomes(
                take(a, b, meeting), take(b, c, meeting), take(c, a, meeting), bystander()
            )
        assert kinds(found) == ["deadlock", "ok", "ok", "ok"]

    run(main())


def test_two_deadlocks_at_the_same_time(run: Run) -> None:
    async def main() -> None:
        pairs = []
        for _ in range(2):
            a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
            pairs += [take(a, b, meeting), take(b, a, meeting)]
        async with within_a_second():
            assert kinds(await outcomes(*pairs)) == ["deadlock", "deadlock", "ok", "ok"]

    run(main())


def test_own_token_is_refused_at_once(run: Run) -> None:
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

    run(main())


def test_own_token_in_a_child_task(run: Run) -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with limiter, within_a_second():
            task = asyncio.create_task(to_thread.run_sync(int, limiter=limiter))
            with pytest.raises(DeadlockError, match="waits for a limiter"):
                await task

    run(main())


async def _await_task(task: asyncio.Task[Any]) -> Any:
    return await task


async def _gather(task: asyncio.Task[Any]) -> Any:
    return (await asyncio.gather(task, asyncio.sleep(0)))[0]


async def _gather_collecting(task: asyncio.Task[Any]) -> Any:
    found = (await asyncio.gather(task, asyncio.sleep(0), return_exceptions=True))[0]
    if isinstance(found, BaseException):
        raise found
    return found


async def _shield(task: asyncio.Task[Any]) -> Any:
    return await asyncio.shield(task)


async def _wait(task: asyncio.Task[Any]) -> Any:
    await asyncio.wait([task])
    return task.result()


async def _task_group(task: asyncio.Task[Any]) -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            inner = group.create_task(_await_task(task))
    except* DeadlockError as errors:
        raise errors.exceptions[0] from None
    return inner.result()


WAYS = [_await_task, _gather, _gather_collecting, _shield, _wait, _task_group]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 3])
def test_a_pool_full_of_calls_that_wait_for_tasks_which_need_the_pool(
    run: Run, size: int, way: Callable[[asyncio.Task[Any]], Awaitable[Any]]
) -> None:
    async def main() -> None:
        to_thread.set_max_workers(size)
        inside = threading.Barrier(size)
        all_inside = asyncio.Event()

        async def outside() -> int:
            await all_inside.wait()
            return await to_thread.run_sync(int)

        # Created before there is a lane: it belongs to no chain of calls.
        tasks = [asyncio.create_task(outside()) for _ in range(size)]

        async def wait_for(task: asyncio.Task[Any]) -> Any:
            all_inside.set()
            return await way(task)

        def work(task: asyncio.Task[Any]) -> Any:
            inside.wait()
            return from_thread.run(wait_for, task)

        async with within_a_second():
            found = await outcomes(*(to_thread.run_sync(work, task) for task in tasks))
        assert "deadlock" in kinds(found)
        assert set(kinds(found)) <= {"deadlock", "0"}
        assert await to_thread.run_sync(int) == 0
        await outcomes(*tasks)

    run(main())


def test_a_bound_thread_that_waits_for_a_call_queued_behind_it(run: Run) -> None:
    async def main() -> None:
        async with ThreadSensitiveContext():
            inside = asyncio.Event()

            async def outside() -> int:
                await inside.wait()
                return await to_thread.run_sync(int, affinity="context")

            task = asyncio.create_task(outside())

            async def wait() -> Any:
                inside.set()
                return await task

            async with within_a_second():
                with pytest.raises(DeadlockError, match="bridgekit-context"):
                    await to_thread.run_sync(from_thread.run, wait, affinity="context")
            assert await to_thread.run_sync(int, affinity="context") == 0

    run(main())


def test_two_portals_whose_callers_fill_the_pool(run: Run) -> None:
    async def main() -> None:
        to_thread.set_max_workers(2)
        both_inside = threading.Barrier(2)

        async def outside(go: asyncio.Event) -> int:
            await go.wait()
            return await to_thread.run_sync(int)

        async def begin() -> tuple[asyncio.Task[int], asyncio.Event]:
            go = asyncio.Event()
            # In a context of its own, so that it belongs to no chain.
            task = asyncio.create_task(outside(go), context=contextvars.Context())
            return task, go

        async def finish(task: asyncio.Task[int], go: asyncio.Event) -> int:
            go.set()
            return await task

        with start_blocking_portal() as one, start_blocking_portal() as two:

            def work(portal: Any) -> int:
                task, go = portal.call(begin)
                both_inside.wait()
                return int(portal.call(finish, task, go))

            async with within_a_second():
                found = await outcomes(to_thread.run_sync(work, one), to_thread.run_sync(work, two))
        assert kinds(found) in (["0", "deadlock"], ["deadlock", "deadlock"])

    run(main())


def test_portal_loops_that_wait_for_one_another() -> None:
    a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
    with (
        start_blocking_portal() as one,
        start_blocking_portal() as two,
        ThreadPoolExecutor() as threads,
    ):
        stopwatch = Stopwatch()
        futures = [
            threads.submit(one.call, take, a, b, meeting),
            threads.submit(two.call, take, b, a, meeting),
        ]
        found = [future.exception() or future.result() for future in futures]
        assert stopwatch.seconds() < 1
    assert kinds(found) == ["deadlock", "ok"]


def test_two_loops_in_two_threads() -> None:
    a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
    with ThreadPoolExecutor() as threads:
        stopwatch = Stopwatch()
        futures = [
            threads.submit(asyncio.run, take(a, b, meeting)),
            threads.submit(asyncio.run, take(b, a, meeting)),
        ]
        found = [future.exception() or future.result() for future in futures]
        assert stopwatch.seconds() < 1
    assert kinds(found) == ["deadlock", "ok"]


def test_calls_that_hold_tokens_and_wait_for_one_another(run: Run) -> None:
    async def main() -> None:
        a, b, inside = CapacityLimiter(1), CapacityLimiter(1), threading.Barrier(2)

        def work(other: CapacityLimiter) -> Any:
            inside.wait()
            return from_thread.run(partial(to_thread.run_sync, int, limiter=other))

        async with within_a_second():
            found = await outcomes(
                to_thread.run_sync(work, b, limiter=a), to_thread.run_sync(work, a, limiter=b)
            )
        assert kinds(found) == ["0", "deadlock"]
        assert a.borrowed_tokens == b.borrowed_tokens == 0

    run(main())


def test_a_loop_whose_thread_waits_for_a_portal_that_waits_for_the_loop() -> None:
    # Of asyncio's own loops only: others do not tell which thread runs them.
    async def main() -> None:
        limiter = CapacityLimiter(1)

        async def need() -> None:
            async with limiter:
                pass

        async with limiter:
            # Leaving the block waits, on this loop's own thread, for a task that wants the token.
            with start_blocking_portal() as portal:
                future = portal.start_task_soon(need)
        assert isinstance(future.exception(), DeadlockError)

    with within(2):  # starting and closing the portal included
        asyncio.run(main())


# -- no deadlocks ------------------------------------------------------------------------------


async def _timeout(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(LONGER_THAN_DETECTION):
        return await awaitable


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, LONGER_THAN_DETECTION)


async def _cancel_later(awaitable: Awaitable[Any]) -> Any:
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(LONGER_THAN_DETECTION)
    task.cancel()
    return await task


@pytest.mark.usefixtures("frequent_looks")
@pytest.mark.parametrize("limit", [_timeout, _wait_for, _cancel_later])
def test_a_timeout_ends_the_wait_itself(
    run: Run,
    limit: Callable[[Awaitable[Any]], Awaitable[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        found = await outcomes(limit(take(a, b, meeting)), take(b, a, meeting))
        assert isinstance(found[0], (TimeoutError, asyncio.CancelledError))
        assert found[1] == "ok"

    run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_timeout_around_the_whole(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        async with asyncio.timeout(LONGER_THAN_DETECTION), asyncio.TaskGroup() as group:
            group.create_task(take(a, b, meeting))
            group.create_task(take(b, a, meeting))

    with pytest.raises(TimeoutError):
        run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_timeout_of_a_call_in_the_full_pool(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        to_thread.set_max_workers(1)
        inside = asyncio.Event()

        async def outside() -> int:
            await inside.wait()
            async with asyncio.timeout(LONGER_THAN_DETECTION):
                return await to_thread.run_sync(int)

        task = asyncio.create_task(outside())

        async def wait() -> Any:
            inside.set()
            return await task

        with pytest.raises(TimeoutError):
            await to_thread.run_sync(from_thread.run, wait)

    run(main())
    assert not caplog.records


def test_own_token_with_a_timeout(run: Run) -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        async with limiter:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await limiter.acquire()

    run(main())


@pytest.mark.usefixtures("frequent_looks")
def test_a_holder_that_waits_for_an_event(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        limiter, event = CapacityLimiter(1), asyncio.Event()

        async def hold() -> None:
            async with limiter:
                await event.wait()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiters = [asyncio.create_task(to_thread.run_sync(int, limiter=limiter)) for _ in "ab"]
        asyncio.get_running_loop().call_later(LONGER_THAN_DETECTION, event.set)
        assert await asyncio.gather(holder, *waiters) == [None, 0, 0]

    run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_tokens_that_somebody_else_gives_back(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        limiter = CapacityLimiter(1)
        await limiter.acquire()
        threading.Timer(LONGER_THAN_DETECTION, limiter.release).start()
        assert await to_thread.run_sync(int, limiter=limiter) == 0

    run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_slow_calls_while_a_thousand_wait(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        to_thread.set_max_workers(2)
        limiter = CapacityLimiter(1)
        calls = [to_thread.run_sync(time.sleep, LONGER_THAN_DETECTION) for _ in range(2)]
        calls += [to_thread.run_sync(int) for _ in range(500)]
        calls += [to_thread.run_sync(int, limiter=limiter) for _ in range(500)]
        await asyncio.gather(*calls)

    run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_a_cancellation_that_the_blocked_loop_has_not_come_to(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(3)
        first = asyncio.create_task(take(a, b, meeting))
        second = asyncio.create_task(take(b, a, meeting))
        await meeting.meet()
        await until(lambda: a.statistics().tasks_waiting + b.statistics().tasks_waiting == 2)
        asyncio.get_running_loop().call_soon(first.cancel)
        time.sleep(LONGER_THAN_DETECTION)  # noqa: ASYNC251 - the loop is blocked, that is the point
        assert kinds(await outcomes(first, second))[-1] == "ok"
        assert first.cancelled()

    run(main())
    assert not caplog.records


@pytest.mark.usefixtures("frequent_looks")
def test_calls_behind_a_thread_that_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        to_thread.set_max_workers(1)
        event = asyncio.Event()

        async def wait() -> None:
            asyncio.get_running_loop().call_later(LONGER_THAN_DETECTION, event.set)
            await event.wait()

        calls = [to_thread.run_sync(from_thread.run, wait), to_thread.run_sync(int)]
        assert await asyncio.gather(*calls) == [None, 0]

    run(main())
    assert not caplog.records


def test_a_stopped_process_raises_no_alarm() -> None:
    script = """
        import asyncio, os
        from bridgekit import CapacityLimiter, from_thread, to_thread

        async def main():
            to_thread.set_max_workers(2)
            limiter = CapacityLimiter(1)
            for number in range(40):
                calls = [
                    to_thread.run_sync(from_thread.run, to_thread.run_sync, int)
                    for _ in range(50)
                ]
                calls += [to_thread.run_sync(int, limiter=limiter) for _ in range(50)]
                await asyncio.gather(*calls)
                print(number, flush=True)
                await asyncio.sleep(0.02)

        asyncio.run(main())
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) in (5, 15):
            child.send_signal(signal.SIGSTOP)
            time.sleep(0.7)
            child.send_signal(signal.SIGCONT)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, "")


# -- the switch, the monitor, the picture ------------------------------------------------------


@pytest.mark.usefixtures("frequent_looks")
def test_log_only_then_raise(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        set_deadlock_action("log")
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        tasks = [asyncio.create_task(take(*pair, meeting)) for pair in ((a, b), (b, a))]
        await until(lambda: len(caplog.records) > 0)
        await asyncio.sleep(LONGER_THAN_DETECTION)
        assert not any(task.done() for task in tasks)
        assert len(caplog.records) == 1  # not once for every look
        set_deadlock_action("raise")
        assert kinds(await outcomes(*tasks)) == ["deadlock", "ok"]

    with caplog.at_level(logging.ERROR, "bridgekit"):
        run(main())


@pytest.mark.usefixtures("frequent_looks")
def test_off(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        set_deadlock_action("off")
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(2)
        tasks = [asyncio.create_task(take(*pair, meeting)) for pair in ((a, b), (b, a))]
        done, pending = await asyncio.wait(tasks, timeout=LONGER_THAN_DETECTION)
        assert not done
        for task in pending:
            task.cancel()
        await outcomes(*tasks)

    run(main())
    assert not caplog.records


def test_an_unknown_action() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        set_deadlock_action("explode")  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "code"), [("off", 0), ("log", 0), ("perhaps", 1)])
def test_the_environment_variable(value: str, code: int) -> None:
    script = f"from bridgekit import diagnostics as d; assert d.deadlock_action() == {value!r}"
    child = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "BRIDGEKIT_DEADLOCKS": value},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == code
    assert ("must be one of raise, log, off" in child.stderr) == bool(code)


def test_the_monitor_ends_when_nothing_waits(run: Run) -> None:
    def monitors() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "bridgekit-deadlocks"]

    async def main() -> None:
        to_thread.set_max_workers(1)
        begun, release = threading.Event(), threading.Event()

        def hold() -> bool:
            begun.set()
            return release.wait(100)

        calls = [asyncio.create_task(to_thread.run_sync(hold))]
        assert await asyncio.to_thread(begun.wait, 100)  # or else the second might overtake it
        calls.append(asyncio.create_task(to_thread.run_sync(release.is_set)))
        while not monitors():  # noqa: ASYNC110 (a thread sets it)
            await asyncio.sleep(0.001)
        release.set()
        assert await asyncio.gather(*calls) == [True, True]

    for _ in range(2):  # it starts again
        run(main())
        deadline = time.monotonic() + 60  # it rests longer where looking took it longer
        while (monitors() or watch.places) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not monitors(), format_waits()
        assert not watch.places, (watch.places, format_waits())


def test_what_waits_can_be_seen(run: Run) -> None:
    async def main() -> str:
        set_deadlock_action("log")
        a, b, meeting = CapacityLimiter(1), CapacityLimiter(1), Meeting(3)
        tasks = [asyncio.create_task(take(*pair, meeting)) for pair in ((a, b), (b, a))]
        await meeting.meet()
        await until(lambda: sum(wait.stuck for wait in waits()) == 4)
        stuck = [wait for wait in waits() if wait.stuck]
        assert {wait.how for wait in stuck} == {"waits for", "is held by"}
        assert all(wait.stack for wait in stuck if wait.who.startswith("task"))
        text = format_waits()
        for task in tasks:
            task.cancel()
        await outcomes(*tasks)
        return text

    text = run(main())
    assert text.startswith("STUCK: ")
    assert "async with second" in text


def test_a_thread_that_waits_for_a_coroutine_can_be_seen(run: Run) -> None:
    async def main() -> None:
        event = asyncio.Event()
        inside = asyncio.Event()

        async def wait() -> None:
            inside.set()
            await event.wait()

        call = asyncio.create_task(to_thread.run_sync(async_to_sync(wait)))
        await inside.wait()
        await until(lambda: any(wait.who.startswith("thread") for wait in waits()))
        [thread] = [wait for wait in waits() if wait.who.startswith("thread")]
        assert "bridgekit-worker" in thread.who
        assert not thread.stuck
        event.set()
        await call

    run(main())
    assert format_waits() == "nothing waits"
