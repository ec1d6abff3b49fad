"""`start_task`, `call_async` and `BlockingPortalProvider`: more ways into a portal's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from bridgekit import BlockingPortal, LoopThreadError, start_blocking_portal, to_thread
from bridgekit.adapters.portal_provider import BlockingPortalProvider
from bridgekit.adapters.portal_tasks import TaskStatus, call_async, start_task

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def test_start_task_returns_when_the_task_is_ready(portal: BlockingPortal) -> None:
    async def serve(number: int, *, task_status: TaskStatus) -> str:
        task_status.started(number)
        with pytest.raises(RuntimeError, match="already"):
            task_status.started()
        return "ended"

    future, value = start_task(portal, serve, 7)
    assert value == 7
    assert future.result(10) == "ended"


def test_start_task_raises_what_kept_the_task_from_being_ready(portal: BlockingPortal) -> None:
    async def fail(*, task_status: TaskStatus) -> None:
        raise ZeroDivisionError

    async def forget(*, task_status: TaskStatus) -> None:
        return

    with pytest.raises(ZeroDivisionError):
        start_task(portal, fail)
    with pytest.raises(RuntimeError, match="without calling"):
        start_task(portal, forget)


def test_start_task_is_refused_on_a_loops_thread_before_anything_starts(
    portal: BlockingPortal,
) -> None:
    begun: list[bool] = []

    async def serve(*, task_status: TaskStatus) -> None:
        begun.append(True)

    async def main() -> None:
        with pytest.raises(LoopThreadError):
            start_task(portal, serve)

    asyncio.run(main())
    portal.call(int)
    assert begun == []


def test_call_async_awaits_a_result_of_another_loop(portal: BlockingPortal) -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def main() -> None:
        assert await call_async(portal, loop) is portals
        assert portals is not asyncio.get_running_loop()
        assert await call_async(portal, len, "four") == 4
        with pytest.raises(ZeroDivisionError):
            await call_async(portal, divmod, 1, 0)

    portals = portal.call(loop)
    asyncio.run(main())


def test_call_async_sees_the_callers_context(portal: BlockingPortal) -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def read() -> str:
        return variable.get()

    async def main() -> str:
        variable.set("the caller's")
        return await call_async(portal, read)

    assert asyncio.run(main()) == "the caller's"


@pytest.mark.parametrize("abandon", [True, False])
def test_cancelling_call_async_cancels_the_call(portal: BlockingPortal, abandon: bool) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    async def call() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await to_thread.run_sync(may_end.wait, 10)
            ended.set()

    async def main() -> None:
        task = asyncio.create_task(call_async(portal, call, abandon_on_cancel=abandon))
        assert await to_thread.run_sync(begun.wait, 10)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.05)
        assert bool(done) is abandon
        task.cancel()  # a second one changes nothing
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.wait(10)

    asyncio.run(main())


def test_an_error_while_being_cancelled_reaches_the_caller(portal: BlockingPortal) -> None:
    begun = threading.Event()

    async def call() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        task = asyncio.create_task(call_async(portal, call))
        assert await to_thread.run_sync(begun.wait, 10)
        task.cancel()
        with pytest.raises(ZeroDivisionError):
            await task

    asyncio.run(main())


def test_a_provider_gives_all_its_users_one_portal_and_then_ends_it() -> None:
    provider = BlockingPortalProvider()
    inside = threading.Barrier(3)
    before = threading.active_count()

    def thread_of_portal() -> threading.Thread:
        with provider as portal:
            inside.wait(10)
            return portal.call(threading.current_thread)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(thread_of_portal) for _ in range(3)]
        threads = {future.result(10) for future in futures}
    assert len(threads) == 1
    assert not threads.pop().is_alive()
    assert threading.active_count() == before
    with provider as first, provider as second:
        assert first is second
    with pytest.raises(RuntimeError, match="not been entered"):
        provider.__exit__(None, None, None)
