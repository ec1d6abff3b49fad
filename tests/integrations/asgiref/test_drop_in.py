"""What the drop-in promises beyond the original: no waits without end, few threads, one loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import bridgekit
from bridgekit import to_thread
from bridgekit.integrations.asgiref.sync import (
    AsyncSingleThreadContext,
    AsyncToSync,
    CurrentThreadExecutor,
    SyncToAsync,
    ThreadSensitiveContext,
    async_to_sync,
    sync_to_async,
)

pytestmark = pytest.mark.timeout(60)
current_thread = threading.current_thread


@pytest.fixture
def two_workers() -> Iterator[None]:
    before = to_thread.get_max_workers()
    to_thread.set_max_workers(2)
    yield
    to_thread.set_max_workers(before)


def nested(depth: int, *, thread_sensitive: bool) -> int:
    """sync -> async -> sync ..., ``depth`` levels down; returns the number of levels."""

    async def step(left: int) -> int:
        if left == 0:
            return 0
        below = functools.partial(async_to_sync(step), left - 1)
        return 1 + await sync_to_async(below, thread_sensitive=thread_sensitive)()

    return async_to_sync(step)(depth)


@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_nesting_to_any_depth_completes(thread_sensitive: bool, two_workers: None) -> None:
    assert nested(40, thread_sensitive=thread_sensitive) == 40


@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_many_nested_chains_complete_with_few_workers(
    thread_sensitive: bool, two_workers: None
) -> None:
    async def leaf() -> int:
        return await sync_to_async(int, thread_sensitive=thread_sensitive)()

    async def middle() -> int:
        inner = async_to_sync(leaf)
        return await sync_to_async(inner, thread_sensitive=thread_sensitive)()

    async def main() -> list[int]:
        outer = sync_to_async(async_to_sync(middle), thread_sensitive=thread_sensitive)
        async with asyncio.timeout(30):
            return await asyncio.gather(*(outer() for _ in range(30)))

    assert asyncio.run(main()) == [0] * 30


def test_a_call_that_is_not_thread_sensitive_leaves_the_parked_thread_alone() -> None:
    """It may wait for a thread-sensitive call that needs that very thread."""

    async def main() -> None:
        event = threading.Event()
        waiting = asyncio.create_task(sync_to_async(event.wait, thread_sensitive=False)(20))
        await asyncio.sleep(0)
        await sync_to_async(event.set)()
        assert await waiting

    async_to_sync(main)()
    asyncio.run(sync_to_async(async_to_sync(main))())


def test_coroutines_from_plain_threads_share_one_loop() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first = async_to_sync(loop)()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(async_to_sync(loop)).result() is first
    assert bridgekit.async_to_sync(loop)() is first


def test_force_new_loop_gets_a_loop_of_its_own_that_ends_with_the_call() -> None:
    async def loop_and_thread() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        assert await sync_to_async(current_thread)() is caller
        return asyncio.get_running_loop(), current_thread()

    caller = current_thread()
    shared, _ = async_to_sync(loop_and_thread)()
    own, thread = async_to_sync(loop_and_thread, force_new_loop=True)()
    assert own is not shared
    assert own.is_closed()
    assert not thread.is_alive()


def test_a_single_thread_context_also_holds_for_new_loops() -> None:
    async def thread() -> threading.Thread:
        return current_thread()

    call = async_to_sync(thread, force_new_loop=True)
    with AsyncSingleThreadContext():
        first, second = call(), call()
    assert first is second
    assert not first.is_alive()


def test_a_coroutine_called_from_a_worker_runs_in_the_awaiting_task() -> None:
    async def task() -> asyncio.Task[object] | None:
        return asyncio.current_task()

    async def main() -> None:
        assert await sync_to_async(async_to_sync(task))() is asyncio.current_task()

    asyncio.run(main())


async def _refused() -> None:
    async def never() -> None:
        raise AssertionError

    with pytest.raises(RuntimeError, match=r"never.*event loop"):
        async_to_sync(never)()


def test_waiting_on_a_loops_thread_is_refused_without_making_the_coroutine() -> None:
    asyncio.run(_refused())


def test_a_task_that_waits_for_its_own_thread_is_refused() -> None:
    """A loop that a thread-sensitive function starts on its thread, in a context of its own."""

    async def inner() -> int:
        return await sync_to_async(int)()

    async def main() -> None:
        async with ThreadSensitiveContext():
            with pytest.raises(bridgekit.DeadlockError, match="would deadlock"):
                await sync_to_async(lambda: asyncio.run(inner()))()
            # And nothing is left behind by the refusal.
            assert await sync_to_async(int)() == 0
            assert await sync_to_async(async_to_sync(inner))() == 0

    asyncio.run(main())


def test_contexts_one_after_another_use_the_same_thread() -> None:
    async def request() -> threading.Thread:
        async with ThreadSensitiveContext():
            thread = await sync_to_async(current_thread)()
            assert await sync_to_async(current_thread)() is thread
        await asyncio.sleep(0)
        return thread

    async def main() -> set[threading.Thread]:
        return {await request() for _ in range(20)}

    assert len(asyncio.run(main())) == 1


def test_a_context_waits_for_the_calls_that_were_abandoned_in_it() -> None:
    ended = threading.Event()
    begun = threading.Event()
    release = threading.Event()

    def work() -> None:
        begun.set()
        release.wait(20)
        ended.set()

    async def main() -> None:
        async with ThreadSensitiveContext():
            call = asyncio.create_task(sync_to_async(work)())
            assert await to_thread.run_sync(begun.wait, 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not ended.is_set()
            release.set()
        assert ended.is_set()

    asyncio.run(main())


def test_a_context_waits_for_the_calls_of_other_tasks() -> None:
    begun, release = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        release.wait(20)
        return "done"

    async def main() -> None:
        async with ThreadSensitiveContext():
            task = asyncio.create_task(sync_to_async(work)())
            assert await to_thread.run_sync(begun.wait, 10)
            asyncio.get_running_loop().call_soon(release.set)
        # The function has ended; the task needs a turn of the loop to learn of it.
        assert release.is_set()
        assert await task == "done"

    asyncio.run(main())


def test_a_cancelled_caller_leaves_at_once_and_queued_calls_never_run() -> None:
    release = threading.Event()
    ran: list[str] = []

    async def main() -> float:
        first = asyncio.create_task(sync_to_async(release.wait)(20))
        await asyncio.sleep(0)
        queued = asyncio.create_task(sync_to_async(ran.append)("queued"))
        await asyncio.sleep(0)
        begun = time.monotonic()
        for task in (first, queued):
            task.cancel()
        await asyncio.gather(first, queued, return_exceptions=True)
        assert first.cancelled()
        assert queued.cancelled()
        release.set()
        await sync_to_async(int)()
        return time.monotonic() - begun

    assert asyncio.run(main()) < 10
    assert ran == []


def test_code_whose_caller_has_left_can_still_call_asynchronous_code() -> None:
    begun, left = threading.Event(), threading.Event()
    ended = threading.Event()
    outcome: list[int] = []

    async def five() -> int:
        await asyncio.sleep(0)
        return 5

    def view() -> None:
        begun.set()
        left.wait(20)
        try:
            outcome.append(async_to_sync(five)())
            outcome.append(async_to_sync(five)())
        finally:
            ended.set()

    async def main() -> None:
        call = asyncio.create_task(sync_to_async(view)())
        assert await to_thread.run_sync(begun.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        left.set()
        assert await to_thread.run_sync(ended.wait, 10)

    asyncio.run(main())
    assert outcome == [5, 5]


def test_other_tasks_have_their_turn_during_each_call() -> None:
    """However short the call is, and also if it fails."""
    turns: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(turns.append, "during the first")
        await sync_to_async(int)()
        turns.append("after the first")
        loop.call_soon(turns.append, "during the second")
        with pytest.raises(ValueError, match="invalid literal"):
            await sync_to_async(int, thread_sensitive=False)("no number")
        turns.append("after the second")

    for _ in range(50):
        turns.clear()
        asyncio.run(main())
        assert turns == [
            "during the first",
            "after the first",
            "during the second",
            "after the second",
        ]


def test_siblings_lose_no_context_variable() -> None:
    first: contextvars.ContextVar[int] = contextvars.ContextVar("first", default=0)
    second: contextvars.ContextVar[int] = contextvars.ContextVar("second", default=0)
    both = threading.Barrier(2)

    def change(variable: contextvars.ContextVar[int], value: int) -> None:
        both.wait(20)
        variable.set(value)

    async def main() -> tuple[int, int]:
        call = sync_to_async(change, thread_sensitive=False)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            loop.create_task(call(first, 11), context=context),
            loop.create_task(call(second, 22), context=context),
        )
        return context[first], context[second]

    assert asyncio.run(main()) == (11, 22)


def test_stop_iteration_becomes_a_runtime_error() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError) as caught:
            await sync_to_async(next)(iter(()))
        assert isinstance(caught.value.__cause__, StopIteration)

    asyncio.run(main())


class Service:
    """Methods turned over in the class body, as Django's classes do."""

    @async_to_sync
    async def sync_method(self, value: int) -> int:
        """Doubles."""
        return value * 2

    @sync_to_async
    def async_method(self, value: int) -> int:
        return value * 3


def test_methods_work_on_instances_and_through_the_class() -> None:
    service = Service()
    assert service.sync_method(2) == Service.sync_method(service, 2) == 4

    async def main() -> None:
        assert await service.async_method(2) == await Service.async_method(service, 2) == 6

    asyncio.run(main())


def test_wrappers_look_like_what_they_wrap() -> None:
    async def afunc(value: int, *, flag: bool = False) -> int:
        return value

    bridged = async_to_sync(afunc)
    assert isinstance(bridged, AsyncToSync)
    assert inspect.signature(bridged) == inspect.signature(afunc)
    assert bridged.__name__ == "afunc"
    assert not inspect.iscoroutinefunction(bridged)
    assert not asyncio.iscoroutinefunction(bridged)
    assert isinstance(sync_to_async(int.bit_length), SyncToAsync)


def test_an_awaitable_made_by_a_plain_function_is_made_on_the_calling_thread() -> None:
    seen = []

    async def double(value: int) -> int:
        return value * 2

    def decorated(value: int) -> object:
        seen.append(current_thread())
        return double(value)

    with pytest.warns(UserWarning, match="non-async-marked"):
        bridged = async_to_sync(decorated)  # type: ignore[arg-type]
    assert bridged(4) == 8
    assert seen == [current_thread()]


def test_arguments_and_results_are_not_kept() -> None:
    class Thing:
        pass

    async def main() -> weakref.ref[Thing]:
        thing = Thing()
        await sync_to_async(id)(thing)
        return weakref.ref(thing)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_the_exception_handled_by_the_caller_gains_no_traceback_entries() -> None:
    async def main() -> tuple[object, object]:
        try:
            raise ValueError
        except ValueError as error:
            before = error.__traceback__
            await sync_to_async(int)()
            return before, error.__traceback__

    before, after = asyncio.run(main())
    assert after is before


def test_a_coroutine_that_is_closed_in_another_context_leaves_quietly() -> None:
    """As the interpreter does with one that is still suspended when nothing refers to it."""

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        bridged = AsyncToSync(never)
        executor = CurrentThreadExecutor()
        nothing = (None, None, None)
        coroutine = bridged._on_loop(executor, True, nothing, object(), never)
        contextvars.Context().run(coroutine.send, None)
        assert AsyncToSync.loop_thread_executors[asyncio.get_running_loop()] is executor
        coroutine.close()
        assert not executor.is_open
        assert asyncio.get_running_loop() not in AsyncToSync.loop_thread_executors

    asyncio.run(main())
