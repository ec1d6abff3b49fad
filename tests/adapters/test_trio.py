"""The same calls under asyncio, uvloop and trio; and what trio does in its own way."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
import trio.testing

from bridgekit import (
    CapacityLimiter,
    DeadlockError,
    LoopThreadError,
    ThreadSensitiveContext,
    async_to_sync,
    from_thread,
    sync_to_async,
    to_thread,
)
from bridgekit.adapters import suspending

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

Run = Callable[..., Any]

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@pytest.fixture(params=BACKENDS)
def run(request: pytest.FixtureRequest) -> Run:
    def run(func: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return anyio.run(func, *args, **BACKENDS[request.param])

    return run


async def current_task() -> int:
    await anyio.lowlevel.checkpoint()
    return anyio.get_current_task().id


@contextmanager
def pool_of(size: int) -> Iterator[None]:
    before = to_thread.get_max_workers()
    to_thread.set_max_workers(size)
    try:
        yield
    finally:
        to_thread.set_max_workers(before)


class Planned(Exception):
    pass


# -- the same under all of them --------------------------------------------------------------------


def test_results_and_arguments(run: Run) -> None:
    def work(*args: int, **kwargs: int) -> tuple[Any, ...]:
        return args, kwargs, threading.get_ident()

    async def main() -> None:
        here = threading.get_ident()
        args, kwargs, there = await to_thread.run_sync(work, 1, 2, three=3)
        assert (args, kwargs) == ((1, 2), {"three": 3})
        assert there != here
        assert (await sync_to_async(work)(4))[0] == (4,)
        assert (await sync_to_async(work, thread_sensitive=True)(5))[0] == (5,)

    run(main)


def test_exceptions_cross_unchanged(run: Run) -> None:
    error = Planned("x")

    def fails() -> None:
        raise error

    async def fails_async() -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    async def main() -> None:
        for call in (fails, async_to_sync(fails_async)):
            with pytest.raises(Planned) as caught:
                await to_thread.run_sync(call)
            assert caught.value is error

        def stop() -> None:
            raise StopIteration(3)

        with pytest.raises(RuntimeError, match="StopIteration") as wrapped:
            await to_thread.run_sync(stop)
        assert isinstance(wrapped.value.__cause__, StopIteration)

    run(main)


def test_coroutines_are_awaited_in_the_task_that_awaits_the_thread(run: Run) -> None:
    def work() -> list[int]:
        return [
            async_to_sync(current_task)(),
            from_thread.run(current_task),
            from_thread.run_sync(lambda: anyio.get_current_task().id),
        ]

    async def main() -> None:
        host = anyio.get_current_task().id
        assert await to_thread.run_sync(work) == [host] * 3
        assert await sync_to_async(work)() == [host] * 3
        assert await suspending.run_sync(work) == [host] * 3

    run(main)


def test_context_variables_cross_both_ways(run: Run) -> None:
    async def inner() -> None:
        assert var.get() == "thread"
        await anyio.lowlevel.checkpoint()
        var.set("coroutine")

    def work() -> None:
        assert var.get() == "task"
        var.set("thread")
        async_to_sync(inner)()
        assert var.get() == "coroutine"
        var.set("thread again")

    async def main() -> None:
        var.set("task")
        await to_thread.run_sync(work)
        assert var.get() == "thread again"

    run(main)


@pytest.mark.parametrize("limited", [False, True])
def test_nesting_needs_one_thread_and_one_token(run: Run, limited: bool) -> None:
    limiter = CapacityLimiter(1) if limited else None
    threads: set[int] = set()

    async def down(depth: int) -> int:
        await anyio.lowlevel.checkpoint()
        return await to_thread.run_sync(up, depth, limiter=limiter) if depth else 0

    def up(depth: int) -> int:
        threads.add(threading.get_ident())
        return 1 + async_to_sync(down)(depth - 1)

    with pool_of(1):
        assert run(down, 40) == 40
    assert len(threads) == 1


def test_many_chains_through_few_threads(run: Run) -> None:
    async def down(depth: int) -> int:
        await anyio.lowlevel.checkpoint()
        return await to_thread.run_sync(up, depth) if depth else 0

    def up(depth: int) -> int:
        return 1 + async_to_sync(down)(depth - 1)

    async def main() -> list[int]:
        found: list[int] = []

        async def chain() -> None:
            found.append(await down(3))

        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(chain)
        return found

    with pool_of(2):
        assert run(main) == [3] * 60


def test_thread_sensitive_calls_share_the_thread_of_their_context(run: Run) -> None:
    ident = sync_to_async(threading.get_ident, thread_sensitive=True)

    async def main() -> None:
        async with ThreadSensitiveContext():
            first = {await ident(), await ident()}
        assert len(first) == 1
        assert first != {threading.get_ident()}

    run(main)


def test_a_limiter_bounds_the_calls_of_many_tasks(run: Run) -> None:
    limiter = CapacityLimiter(2)
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.005)
        with lock:
            running.pop()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(lambda: to_thread.run_sync(work, limiter=limiter))

    run(main)
    assert max(most) == 2
    assert len(most) == 12
    assert limiter.borrowed_tokens == 0


def test_cancelled_while_waiting_for_a_token(run: Run) -> None:
    limiter = CapacityLimiter(1)

    async def main() -> None:
        async with limiter:
            with anyio.move_on_after(0.02) as scope:
                await to_thread.run_sync(pytest.fail, "ran", limiter=limiter)
            assert scope.cancelled_caught
            assert limiter.statistics().tasks_waiting == 0
        assert await to_thread.run_sync(int, limiter=limiter) == 0

    run(main)


def test_a_limiter_between_trio_and_asyncio() -> None:
    limiter = CapacityLimiter(1)
    log: list[str] = []
    held = threading.Event()

    async def holds() -> None:
        async with limiter:
            held.set()
            while limiter.statistics().tasks_waiting < 1:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            log.append("first")

    async def waits() -> None:
        async with limiter:
            log.append("second")

    for first, second in (("trio", "asyncio"), ("asyncio", "trio")):
        held.clear()
        thread = threading.Thread(target=anyio.run, args=(holds,), kwargs={"backend": first})
        thread.start()
        assert held.wait(30)
        anyio.run(waits, backend=second)
        thread.join(30)
    assert log == ["first", "second"] * 2
    assert limiter.borrowed_tokens == 0


# -- cancellation ----------------------------------------------------------------------------------


def test_a_call_is_not_left_before_its_thread_has_ended(run: Run) -> None:
    ended: list[int] = []

    def work(started: Callable[[], Any]) -> None:
        from_thread.run_sync(started)
        time.sleep(0.05)
        ended.append(1)

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(work, scope.cancel)
            await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert ended == [1]

    run(main)


def test_cancellation_reaches_the_coroutine_that_the_thread_waits_for(run: Run) -> None:
    log: list[str] = []

    async def wait(scope: anyio.CancelScope) -> None:
        try:
            scope.cancel()
            await anyio.sleep_forever()
        finally:
            log.append("coroutine")

    def work(scope: anyio.CancelScope) -> None:
        try:
            async_to_sync(wait)(scope)
        finally:
            log.append("thread")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(work, scope)
        assert scope.cancelled_caught

    run(main)
    assert log == ["coroutine", "thread"]


def test_a_thread_can_ask_whether_it_is_cancelled(run: Run) -> None:
    asked: list[str] = []

    def loop(kind: type[BaseException], scope: anyio.CancelScope) -> None:
        from_thread.run_sync(scope.cancel)
        while True:
            try:
                from_thread.check_cancelled()
            except kind:
                asked.append("raised")
                raise
            time.sleep(0.001)

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(loop, anyio.get_cancelled_exc_class(), scope)
        assert scope.cancelled_caught

    run(main)
    assert asked == ["raised"]


def test_abandoned(run: Run) -> None:
    go, ended = threading.Event(), threading.Event()
    limiter = CapacityLimiter(1)

    def work(scope: anyio.CancelScope) -> None:
        from_thread.run_sync(scope.cancel)
        go.wait(30)
        ended.set()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(work, scope, abandon_on_cancel=True, limiter=limiter)
        assert scope.cancelled_caught
        assert limiter.borrowed_tokens == 1
        go.set()
        assert await to_thread.run_sync(ended.wait, 30)

    run(main)


def test_a_thread_that_asks_all_the_time_can_be_left(run: Run) -> None:
    """The task hardly ever sleeps, and learns of its cancellation nevertheless."""
    stop, ended = threading.Event(), threading.Event()

    async def nothing() -> None:
        await anyio.lowlevel.cancel_shielded_checkpoint()

    def soon(scope: anyio.CancelScope) -> None:
        scope.deadline = anyio.current_time() + 0.01

    def asks(scope: anyio.CancelScope) -> None:
        from_thread.run_sync(soon, scope)
        while not stop.is_set():
            with suppress(BaseException):
                async_to_sync(nothing)()
        ended.set()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(asks, scope, abandon_on_cancel=True)
        assert scope.cancelled_caught
        assert not ended.is_set()
        stop.set()
        assert await to_thread.run_sync(ended.wait, 30)

    run(main)


def test_a_timeout_of_the_call(run: Run) -> None:
    def asks() -> None:
        while True:
            from_thread.check_cancelled()
            time.sleep(0.001)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await to_thread.run_sync(asks, timeout=0.02)
        assert await to_thread.run_sync(int, timeout=30) == 0

    run(main)


def test_left_behind_when_the_grace_is_over(run: Run) -> None:
    go, ended = threading.Event(), threading.Event()
    late: list[object] = []

    def work(scope: anyio.CancelScope) -> str:
        from_thread.run_sync(scope.cancel)
        go.wait(30)
        return "late"

    def on_abandoned(result: object, error: BaseException | None) -> None:
        late.append(result)
        ended.set()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await to_thread.run_sync(work, scope, cancel_grace=0.01, on_abandoned=on_abandoned)
        assert scope.cancelled_caught
        assert not late
        go.set()
        assert await to_thread.run_sync(ended.wait, 30)

    run(main)
    assert late == ["late"]


def test_a_shared_context(run: Run) -> None:
    async def main() -> None:
        token = await to_thread.run_sync(var.set, "shared", context="share")
        assert var.get() == "shared"
        await to_thread.run_sync(var.reset, token, context="share")
        assert var.get() == "unset"
        with pytest.raises(DeadlockError):
            await to_thread.run_sync(async_to_sync(current_task), context="share")

    run(main)


def test_cancelled_in_the_queue_it_never_runs(run: Run) -> None:
    async def main() -> None:
        go, started = threading.Event(), anyio.Event()

        def occupy() -> None:
            from_thread.run_sync(started.set)
            go.wait(30)

        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, occupy)
            await started.wait()
            with anyio.move_on_after(0.02) as scope:
                await to_thread.run_sync(pytest.fail, "ran")
            assert scope.cancelled_caught
            go.set()

    with pool_of(1):
        run(main)


def test_cancellation_of_a_suspended_stack(run: Run) -> None:
    log: list[str] = []

    async def wait(scope: anyio.CancelScope) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    def work(kind: type[BaseException], scope: anyio.CancelScope) -> None:
        try:
            async_to_sync(wait)(scope)
        except kind:
            log.append("raised")
            with pytest.raises(kind):
                from_thread.check_cancelled()
            raise

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await suspending.run_sync(work, anyio.get_cancelled_exc_class(), scope)
        assert scope.cancelled_caught

    run(main)
    assert log == ["raised"]


# -- misuse ----------------------------------------------------------------------------------------


def test_waiting_on_the_loop_thread_is_refused(run: Run) -> None:
    async def main() -> None:
        for call in (
            async_to_sync(current_task),
            lambda: from_thread.run(current_task),
            from_thread.check_cancelled,
        ):
            with pytest.raises(LoopThreadError, match="on a thread that is running an event loop"):
                call()

    run(main)


def test_waiting_in_a_loop_of_its_own_on_a_worker_is_refused(run: Run) -> None:
    """The worker's host could serve it, but the loop that runs in between could not go on."""

    async def inner() -> None:
        with pytest.raises(LoopThreadError, match=r"task '.*inner'"):
            async_to_sync(current_task)()

    async def main() -> None:
        await to_thread.run_sync(trio.run, inner)

    run(main)


# -- trio's own ways -------------------------------------------------------------------------------


def test_trio_is_not_imported_unless_it_runs() -> None:
    code = (
        "import asyncio, sys, bridgekit; asyncio.run(bridgekit.to_thread.run_sync(int)); "
        "bridgekit.async_to_sync(asyncio.sleep)(0); print('trio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


def test_a_thread_of_the_programs_own_uses_the_process_portal() -> None:
    """A thread that no trio task awaits has nothing to do with trio, though trio runs."""
    found: list[str] = []

    async def library() -> str:
        return type(asyncio.get_running_loop()).__module__

    async def main() -> None:
        thread = threading.Thread(target=lambda: found.append(async_to_sync(library)()))
        thread.start()
        await to_thread.run_sync(thread.join)

    trio.run(main)
    assert found == ["asyncio.unix_events"]


def test_every_call_is_a_checkpoint() -> None:
    async def main() -> None:
        for call in (
            lambda: to_thread.run_sync(int),
            sync_to_async(int),
            lambda: to_thread.run_sync(int, limiter=CapacityLimiter(1)),
        ):
            with trio.testing.assert_checkpoints():
                await call()
            with trio.CancelScope() as scope:
                scope.cancel()
                await to_thread.run_sync(pytest.fail, "ran")
            assert scope.cancelled_caught

    trio.run(main)


def test_the_result_of_a_cancelled_call_is_not_lost() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:

            def work() -> str:
                from_thread.run_sync(scope.cancel)
                return "result"

            result = await to_thread.run_sync(work)
            await trio.lowlevel.checkpoint()
            pytest.fail("not cancelled")
        assert result == "result"
        assert scope.cancelled_caught

    trio.run(main)


def test_a_coroutine_wanted_after_the_cancellation_can_shield_itself() -> None:
    log: list[str] = []

    async def clean() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.001)
        log.append("cleaned")

    async def wait(scope: trio.CancelScope) -> None:
        scope.cancel()
        await trio.sleep_forever()

    def work(scope: trio.CancelScope) -> None:
        try:
            async_to_sync(wait)(scope)
        except trio.Cancelled:
            async_to_sync(clean)()
            with pytest.raises(trio.Cancelled):
                async_to_sync(trio.sleep)(0)
            raise

    async def main() -> None:
        with trio.CancelScope() as scope:
            await to_thread.run_sync(work, scope)
        assert scope.cancelled_caught

    trio.run(main)
    assert log == ["cleaned"]


def test_an_abandoned_thread_learns_of_it_once_and_may_then_go_on() -> None:
    go, done = threading.Event(), threading.Event()
    log: list[str] = []

    async def answer() -> str:
        await trio.lowlevel.checkpoint()
        return "served"

    def work(scope: trio.CancelScope) -> None:
        try:
            from_thread.run_sync(scope.cancel)
            go.wait(30)
            try:
                async_to_sync(answer)()
            except trio.Cancelled:
                log.append("cancelled")
            log.append(async_to_sync(answer)())
        finally:
            done.set()

    async def main() -> None:
        with trio.CancelScope() as scope:
            await to_thread.run_sync(work, scope, abandon_on_cancel=True)
        go.set()
        assert await to_thread.run_sync(done.wait, 30)

    trio.run(main)
    assert log == ["cancelled", "served"]


def test_a_thread_that_outlives_the_run() -> None:
    go, done = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    async def never() -> None:
        await trio.sleep_forever()

    def work(scope: trio.CancelScope) -> None:
        from_thread.run_sync(scope.cancel)
        go.wait(30)
        for call in (from_thread.run, from_thread.run):
            try:
                call(never)
            except BaseException as error:
                errors.append(error)
        done.set()

    async def main() -> None:
        with trio.CancelScope() as scope:
            await to_thread.run_sync(work, scope, abandon_on_cancel=True)

    trio.run(main)
    go.set()
    assert done.wait(30)
    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]


def test_a_thread_that_asks_while_the_run_ends() -> None:
    """What it waits for as the run ends is cancelled; it is never left waiting."""
    go, done = threading.Event(), threading.Event()
    asking = threading.Event()
    errors: list[BaseException] = []

    async def wait() -> None:
        asking.set()
        await trio.sleep_forever()

    def work(scope: trio.CancelScope) -> None:
        from_thread.run_sync(scope.cancel)
        go.wait(30)
        for _ in range(2):
            try:
                from_thread.run(wait)
            except BaseException as error:
                errors.append(error)
        done.set()

    async def main() -> None:
        with trio.CancelScope() as scope:
            await to_thread.run_sync(work, scope, abandon_on_cancel=True)
        go.set()
        assert await to_thread.run_sync(asking.wait, 30)

    trio.run(main)
    assert done.wait(30)
    assert [type(error) for error in errors] == [trio.Cancelled, trio.Cancelled]


@pytest.mark.parametrize("how", ["asks", "waits", "abandoned"])
def test_ctrl_c_ends_the_run(how: str) -> None:
    code = f"""
import signal, threading, time, trio, trio.testing
from bridgekit import async_to_sync, from_thread, to_thread

@trio.lowlevel.enable_ki_protection
async def strike():
    await trio.testing.wait_all_tasks_blocked()
    signal.raise_signal(signal.SIGINT)  # for the main task, which sleeps

def asks():
    while True:
        from_thread.check_cancelled()
        time.sleep(0.001)

def abandoned():
    left.wait(30)
    try:
        async_to_sync(trio.sleep)(0)
    except KeyboardInterrupt:
        print("told", flush=True)
    told.set()

left, told = threading.Event(), threading.Event()
functions = dict(asks=asks, waits=async_to_sync(trio.sleep_forever), abandoned=abandoned)

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(strike)
        await to_thread.run_sync(functions[{how!r}], abandon_on_cancel={how == "abandoned"})

async def then():
    try:
        await main()
    finally:
        left.set()
        if {how == "abandoned"}:
            with trio.CancelScope(shield=True):
                await to_thread.run_sync(told.wait, 30)

try:
    trio.run(then)
except* KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == ("told\n" if how == "abandoned" else "") + "ended\n"


def test_a_worker_of_trios_own_comes_back_to_its_task() -> None:
    async def change() -> str:
        await trio.lowlevel.checkpoint()
        assert var.get() == "thread"
        var.set("coroutine")
        return trio.lowlevel.current_task().name

    def work() -> tuple[str, str]:
        var.set("thread")
        return async_to_sync(change)(), var.get()

    async def main() -> None:
        name = trio.lowlevel.current_task().name
        assert await trio.to_thread.run_sync(work) == (name, "coroutine")
        assert await anyio.to_thread.run_sync(work) == (name, "coroutine")

    trio.run(main)


class Probe:
    pass


def test_nothing_is_kept_after_a_call() -> None:
    async def fails(probe: Probe) -> None:
        await trio.lowlevel.checkpoint()
        raise Planned

    async def main() -> None:
        probe = Probe()
        alive = weakref.ref(probe)
        for call in (to_thread.run_sync, suspending.run_sync):
            try:
                await call(async_to_sync(fails), probe)
            except Planned:
                pass
            else:
                pytest.fail("not raised")
        await to_thread.run_sync(int)
        del probe
        assert alive() is None

    gc.collect()
    gc.disable()
    try:
        trio.run(main)
    finally:
        gc.enable()


def test_run_after_run_and_side_by_side() -> None:
    async def main() -> int:
        return await to_thread.run_sync(async_to_sync(current_task), limiter=None)

    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(trio.run(main) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 80


def test_an_unlimited_limiter() -> None:
    async def main() -> int:
        return await to_thread.run_sync(int, limiter=CapacityLimiter(math.inf))  # type: ignore[arg-type]

    assert trio.run(main) == 0


def test_ctrl_c_in_a_thread_that_waits_for_a_trio_task_cancels_its_coroutine() -> None:
    """The main thread serves a trio run of another thread, and waits for a coroutine there."""
    code = """
import asyncio, os, signal, threading, trio
from bridgekit import async_to_sync, to_thread

async def forever():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        print("cancelled", flush=True)
        raise

def on_main_thread():
    try:
        async_to_sync(forever)()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    return async_to_sync(seven)()

async def seven():
    await trio.lowlevel.checkpoint()
    return 7

async def in_trio():
    return await to_thread.run_sync(on_main_thread, affinity="main")

async def main():
    return await asyncio.get_running_loop().run_in_executor(None, trio.run, in_trio)

print(async_to_sync(main)(), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split() == ["cancelled", "interrupted", "7"], done.stderr
