"""`start_task`, `call_async` and `BlockingPortalProvider`: more ways into a portal's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from bridgekit import BlockingPortal, LoopThreadError, start_blocking_portal, to_thread
from bridgekit.adapters.portal_provider import BlockingPortalProvider
from bridgekit.adapters.portal_tasks import TaskStatus, call_async, start_task

pytestmark = pytest.mark.timeout(30)


Run = Callable[..., Any]


@pytest.fixture(params=["asyncio", "trio"])
def portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    with start_blocking_portal(request.param) as portal:
        yield portal


@pytest.fixture(params=["from asyncio", "from trio"])
def run(request: pytest.FixtureRequest) -> Run:
    return partial(anyio.run, backend=request.param.removeprefix("from "))


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


def test_cancelling_a_started_task(portal: BlockingPortal) -> None:
    ended = threading.Event()

    async def serve(*, task_status: TaskStatus) -> None:
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    future, _ = start_task(portal, serve)
    assert future.cancel()
    assert ended.wait(10)


def test_a_task_that_is_cancelled_before_it_is_ready(portal: BlockingPortal) -> None:
    async def give_up(*, task_status: TaskStatus) -> None:
        raise asyncio.CancelledError

    with pytest.raises((CancelledError, asyncio.CancelledError)):
        start_task(portal, give_up)


def test_start_task_is_refused_on_a_loops_thread_before_anything_starts(
    portal: BlockingPortal, run: Run
) -> None:
    begun: list[bool] = []

    async def serve(*, task_status: TaskStatus) -> None:
        begun.append(True)

    async def main() -> None:
        with pytest.raises(LoopThreadError):
            start_task(portal, serve)

    run(main)
    portal.call(int)
    assert begun == []


def test_call_async_awaits_a_result_of_another_loop(portal: BlockingPortal, run: Run) -> None:
    async def thread() -> int:
        await anyio.lowlevel.checkpoint()
        return threading.get_ident()

    async def main() -> None:
        assert await call_async(portal, thread) == portals
        assert portals != threading.get_ident()
        assert await call_async(portal, len, "four") == 4
        with pytest.raises(ZeroDivisionError):
            await call_async(portal, divmod, 1, 0)

    portals = portal.call(thread)
    run(main)


def test_call_async_sees_the_callers_context(portal: BlockingPortal, run: Run) -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def read() -> str:
        return variable.get()

    async def main() -> str:
        variable.set("the caller's")
        return await call_async(portal, read)

    assert run(main) == "the caller's"


@pytest.mark.parametrize("abandon", [True, False])
def test_cancelling_call_async_cancels_the_call(
    portal: BlockingPortal, run: Run, abandon: bool
) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    async def call() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(may_end.wait, 10)
            ended.set()

    async def main() -> None:
        left = anyio.Event()

        async def leave() -> None:
            try:
                await call_async(portal, call, abandon_on_cancel=abandon)
            finally:
                left.set()

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            assert await to_thread.run_sync(begun.wait, 10)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.move_on_after(0.05):
                await left.wait()
            assert left.is_set() is abandon
            may_end.set()
        assert left.is_set()
        assert ended.wait(10)

    run(main)


def test_cancelling_call_async_twice_changes_nothing(portal: BlockingPortal) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    async def call() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(may_end.wait, 10)
            ended.set()

    async def main() -> None:
        task = asyncio.create_task(call_async(portal, call))
        assert await to_thread.run_sync(begun.wait, 10)
        for _ in range(2):
            task.cancel()
            assert not (await asyncio.wait([task], timeout=0.02))[0]
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())


def test_an_error_while_being_cancelled_reaches_the_caller(
    portal: BlockingPortal, run: Run
) -> None:
    begun = threading.Event()

    async def call() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        async def one() -> None:
            with pytest.raises(ZeroDivisionError):
                await call_async(portal, call)
            raised.append(True)

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            assert await to_thread.run_sync(begun.wait, 10)
            group.cancel_scope.cancel()

    raised: list[bool] = []
    run(main)
    assert raised == [True]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_provider_gives_all_its_users_one_portal_and_then_ends_it(backend: Any) -> None:
    provider = BlockingPortalProvider(backend)
    inside = threading.Barrier(3)

    def thread_of_portal() -> threading.Thread:
        with provider as portal:
            inside.wait(10)
            return portal.call(threading.current_thread)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(thread_of_portal) for _ in range(3)]
        threads = {future.result(10) for future in futures}
    assert len(threads) == 1
    assert not threads.pop().is_alive()
    with provider as first, provider as second:
        assert first is second
    with pytest.raises(RuntimeError, match="not been entered"):
        provider.__exit__(None, None, None)
