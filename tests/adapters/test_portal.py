"""Portals: the process's own, one in a new thread, one on a running loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from bridgekit import (
    BlockingPortal,
    PortalClosedError,
    async_to_sync,
    default_portal,
    start_blocking_portal,
    to_thread,
)


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop])
def test_a_portal_in_a_new_thread(factory: object) -> None:
    events: list[str] = []

    async def close() -> None:
        await asyncio.sleep(0)
        events.append("closed")

    with start_blocking_portal(loop_factory=factory) as portal:  # type: ignore[arg-type]
        assert portal.call(double, 2) == 4
        assert portal.call(threading.get_ident) != threading.get_ident()
        portal.at_close(close)
        future = portal.start_task_soon(double, 4)
        assert future.result(10) == 8
        assert events == []
    assert events == ["closed"]
    with pytest.raises(PortalClosedError):
        portal.call(double, 1)


def test_leaving_waits_for_tasks_or_cancels_them() -> None:
    with start_blocking_portal() as portal:
        waiting = portal.start_task_soon(double, 4)
    assert waiting.result(0) == 8

    class Leave(Exception):
        pass

    def leave() -> Any:
        nonlocal forever
        with start_blocking_portal() as portal:
            forever = portal.start_task_soon(asyncio.Event().wait)
            raise Leave

    forever: Any = None
    with pytest.raises(Leave):
        leave()
    with pytest.raises(CancelledError):
        forever.result(0)


def test_cancelling_the_future_cancels_the_task() -> None:
    ended = threading.Event()
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    future = default_portal().start_task_soon(wait)
    assert begun.wait(10)
    assert future.cancel()
    assert ended.wait(10)


def test_exceptions_of_tasks_arrive_at_the_future() -> None:
    async def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        default_portal().start_task_soon(fail).result(10)


def test_context_managers_run_in_one_task() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        try:
            yield "value"
        except KeyError:
            tasks.append("handled")
        tasks.append(asyncio.current_task())

    with default_portal().wrap_async_context_manager(manager()) as value:
        assert value == "value"
        raise KeyError
    assert tasks[0] is tasks[2]
    assert tasks[1] == "handled"

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise LookupError("no")
        yield

    with (
        pytest.raises(LookupError, match="no"),
        default_portal().wrap_async_context_manager(broken()),
    ):
        pytest.fail("entered")


def test_a_portal_on_a_running_loop() -> None:
    async def main() -> None:
        async with BlockingPortal() as portal:
            loop = asyncio.get_running_loop()

            def from_foreign_thread() -> None:
                results.append(portal.call(double, 3))
                results.append(portal.call(asyncio.get_running_loop) is loop)

            results: list[object] = []
            thread = threading.Thread(target=from_foreign_thread)
            thread.start()
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
            assert results == [6, True]
        with pytest.raises(PortalClosedError):
            await to_thread.run_sync(portal.call, double, 3)

    asyncio.run(main())


def test_the_portal_survives_an_exit_request_of_a_task() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        async_to_sync(leave)()

    async def spawn() -> None:
        task = asyncio.create_task(leave())
        with pytest.raises(SystemExit):
            await task

    async_to_sync(spawn)()  # a task of its own raises it through the loop
    assert async_to_sync(double)(5) == 10


def test_calls_open_when_a_portal_closes_are_answered() -> None:
    begun = threading.Event()
    outcome: list[BaseException] = []

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            portal.call(wait)
        except BaseException as error:
            outcome.append(error)

    with start_blocking_portal() as portal:
        thread = threading.Thread(target=call)
        thread.start()
        assert begun.wait(10)
    thread.join(10)
    assert [type(error) for error in outcome] == [asyncio.CancelledError]
