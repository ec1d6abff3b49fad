"""Portals: the process's own, one in a new thread, one on a running loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import uvloop

from bridgekit import (
    BlockingPortal,
    PortalClosedError,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.adapters import suspending

pytestmark = pytest.mark.timeout(60)

Start = Callable[[], AbstractContextManager[BlockingPortal]]


async def double(x: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * x


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def start(request: pytest.FixtureRequest) -> Start:
    """Starts a portal in a new thread."""
    if request.param == "uvloop":
        return partial(start_blocking_portal, loop_factory=uvloop.new_event_loop)
    return partial(start_blocking_portal, request.param)


@pytest.fixture(name="portal", params=["process", "asyncio", "trio"])
def started_portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    if request.param == "process":
        yield default_portal()
    else:
        with start_blocking_portal(request.param) as portal:
            yield portal


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return partial(anyio.run, backend=request.param)


def test_a_portal_in_a_new_thread(start: Start) -> None:
    events: list[str] = []

    async def close() -> None:
        await anyio.lowlevel.checkpoint()
        events.append("closed")

    with start() as portal:
        assert portal.call(double, 2) == 4
        assert portal.call(threading.get_ident) != threading.get_ident()
        portal.at_close(close)
        future = portal.start_task_soon(double, 4)
        assert future.result(10) == 8
        assert events == []
    assert events == ["closed"]
    with pytest.raises(PortalClosedError):
        portal.call(double, 1)


def test_leaving_waits_for_tasks_or_cancels_them(start: Start) -> None:
    with start() as portal:
        waiting = portal.start_task_soon(double, 4)
    assert waiting.result(0) == 8

    class Leave(Exception):
        pass

    forever: Any = None

    def leave() -> Any:
        nonlocal forever
        with start() as portal:
            forever = portal.start_task_soon(anyio.sleep_forever)
            raise Leave

    with pytest.raises(Leave):
        leave()
    with pytest.raises(CancelledError):
        forever.result(0)


def test_cancelling_the_future_cancels_the_task(portal: BlockingPortal) -> None:
    ended = threading.Event()
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    future = portal.start_task_soon(wait)
    assert begun.wait(10)
    assert future.cancel()
    assert ended.wait(10)


def test_exceptions_of_tasks_arrive_at_the_future(portal: BlockingPortal) -> None:
    async def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        portal.start_task_soon(fail).result(10)
    with pytest.raises(ValueError, match="x"):
        portal.call(fail)
    assert portal.call(double, 1) == 2  # and disturb nothing else


def test_context_managers_run_in_one_task(portal: BlockingPortal) -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncIterator[str]:
        tasks.append(anyio.get_current_task().id)
        try:
            yield "value"
        except KeyError:
            tasks.append("handled")
        tasks.append(anyio.get_current_task().id)

    with portal.wrap_async_context_manager(manager()) as value:
        assert value == "value"
        raise KeyError
    assert tasks[0] == tasks[2]
    assert tasks[1] == "handled"

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise LookupError("no")
        yield

    with (
        pytest.raises(LookupError, match="no"),
        portal.wrap_async_context_manager(broken()),
    ):
        pytest.fail("entered")


def test_a_portal_on_a_running_loop(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with BlockingPortal() as portal:
            with pytest.raises(RuntimeError, match="bound to an event loop already"):
                await portal.__aenter__()

            def from_foreign_thread() -> None:
                results.append(portal.call(double, 3))
                results.append(portal.call(threading.get_ident))

            results: list[object] = []
            thread = threading.Thread(target=from_foreign_thread)
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
            assert results == [6, threading.get_ident()]
        with pytest.raises(PortalClosedError):
            await to_thread.run_sync(portal.call, double, 3)
        with pytest.raises(PortalClosedError):
            portal.start_task_soon(double, 3)

    run(main)


def test_an_exception_leaves_the_block_as_it_is(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with BlockingPortal() as portal:
            future = await to_thread.run_sync(portal.start_task_soon, anyio.sleep_forever)
            try:
                raise KeyError("mine")
            finally:
                futures.append(future)

    futures: list[Any] = []
    with pytest.raises(KeyError, match="mine"):
        run(main)
    assert futures[0].cancelled()


def test_cancelling_the_block_cancels_its_tasks(run: Callable[..., Any]) -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("task")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with BlockingPortal() as portal:
                await to_thread.run_sync(portal.start_task_soon, wait)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    run(main)
    assert ended == ["task"]


def test_a_cancelled_call_raises_the_same_on_every_loop(run: Callable[..., Any]) -> None:
    async def main() -> None:
        raised: list[BaseException] = []

        def call(portal: BlockingPortal) -> None:
            try:
                portal.call(anyio.sleep_forever)
            except BaseException as error:
                raised.append(error)

        async with BlockingPortal() as portal:
            thread = threading.Thread(target=call, args=(portal,))
            thread.start()
            await anyio.sleep(0.02)
            await portal.stop(cancel_remaining=True)
            await anyio.to_thread.run_sync(thread.join)
        assert [type(error) for error in raised] == [asyncio.CancelledError]

    run(main)


def test_calls_below_a_call_run_on_the_thread_that_waits(portal: BlockingPortal) -> None:
    async def down(depth: int) -> set[int]:
        return await to_thread.run_sync(up, depth) if depth else set()

    def up(depth: int) -> set[int]:
        return {threading.get_ident(), *from_thread.run(down, depth - 1)}

    assert portal.call(down, 20) == {threading.get_ident()}


var: ContextVar[str] = ContextVar("var", default="unset")


def test_context_variables_of_a_call_cross_both_ways(portal: BlockingPortal) -> None:
    async def change() -> str:
        before = var.get()
        await anyio.lowlevel.checkpoint()
        var.set("the coroutine's")
        return before

    token = var.set("the caller's")
    try:
        assert portal.call(change) == "the caller's"
        assert var.get() == "the coroutine's"
        assert portal.start_task_soon(change).result(10) == "the coroutine's"
    finally:
        var.reset(token)


def test_a_suspended_stack_calls_into_a_portal(
    run: Callable[..., Any], portal: BlockingPortal
) -> None:
    def work() -> int:
        return portal.call(double, 4) + portal.call(len, "four")

    async def main() -> None:
        assert await suspending.run_sync(work) == 12

    run(main)


class _Probe:
    pass


def test_a_failed_call_keeps_nothing(portal: BlockingPortal) -> None:
    async def fail(probe: _Probe) -> None:
        await anyio.lowlevel.checkpoint()
        raise KeyError

    gc.collect()
    gc.disable()
    try:
        for begin in (portal.call, lambda *call: portal.start_task_soon(*call).result(10)):
            probe = _Probe()
            alive = weakref.ref(probe)
            try:
                begin(fail, probe)
            except KeyError:
                pass
            else:
                pytest.fail("not raised")
            del probe
            portal.call(int)  # by now the task has ended wholly
            assert alive() is None
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_call_its_parents_portal(start: Start) -> None:
    with start() as portal:
        assert portal.call(double, 1) == 2
        child = os.fork()
        if child == 0:
            status = 1
            try:
                portal.call(double, 1)
            except PortalClosedError:
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert portal.call(double, 2) == 4


def test_many_threads_at_once(start: Start) -> None:
    with start() as portal:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.extend(portal.call(double, n) for n in range(50)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(found) == sorted([2 * n for n in range(50)] * 8)


def test_calls_that_race_with_the_end_of_the_block(run: Callable[..., Any]) -> None:
    """Each is answered: it is served, or it is refused."""

    def call_on(portal: BlockingPortal, begun: threading.Event) -> None:
        while True:
            try:
                assert portal.call(double, 2) == 4
                future = portal.start_task_soon(double, 2)
                begun.set()
                assert future.result(30) == 4
            except PortalClosedError:
                return

    async def main() -> list[threading.Thread]:
        threads = []
        async with BlockingPortal() as portal:
            for _ in range(4):
                begun = threading.Event()
                thread = threading.Thread(target=call_on, args=(portal, begun))
                thread.start()
                threads.append(thread)
                assert await to_thread.run_sync(begun.wait, 10)
        return threads

    for _ in range(5):
        for thread in run(main):
            thread.join(30)
            assert not thread.is_alive()


def test_an_exit_request_of_a_task_leaves_a_trio_portal_in_working_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with start_blocking_portal("trio") as portal:
        with pytest.raises(SystemExit):
            portal.call(leave)
        with pytest.raises(SystemExit):
            portal.start_task_soon(leave).result(10)
        assert portal.call(double, 5) == 10
    assert "raised an exit request" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_an_exit_request_of_a_task_ends_the_block_under_trio() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def main() -> None:
        async with BlockingPortal() as portal:
            await to_thread.run_sync(portal.start_task_soon, leave)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as raised:
        trio.run(main)
    assert raised.group_contains(SystemExit)


def test_a_deadline_around_the_block_holds_for_its_tasks_under_trio() -> None:
    async def main() -> None:
        with trio.move_on_after(0.02) as scope:
            async with BlockingPortal() as portal:
                future = await to_thread.run_sync(portal.start_task_soon, trio.sleep_forever)
        assert scope.cancelled_caught or scope.cancel_called
        assert future.cancelled()

    trio.run(main)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("curio",), "not 'curio'"), (("trio",), "loop_factory makes loops of asyncio")],
)
def test_a_backend_that_cannot_be_had_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        start_blocking_portal(*arguments, loop_factory=asyncio.new_event_loop)


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


def test_calls_open_when_a_portal_closes_are_answered(start: Start) -> None:
    begun = threading.Event()
    outcome: list[BaseException] = []

    async def wait() -> None:
        begun.set()
        await anyio.sleep_forever()

    def call() -> None:
        try:
            portal.call(wait)
        except BaseException as error:
            outcome.append(error)

    with start() as portal:
        thread = threading.Thread(target=call)
        thread.start()
        assert begun.wait(10)
    thread.join(10)
    assert [type(error) for error in outcome] == [asyncio.CancelledError]


def test_a_portal_of_asyncio_is_no_place_of_trios_for_who_asks(portal: BlockingPortal) -> None:
    """The name of the library is a context variable, set by ``anyio.run``; those cross."""

    def work() -> int:
        return portal.call(double, 2)

    async def main() -> None:
        assert await to_thread.run_sync(work) == 4
        assert portal.start_task_soon(double, 3).result(10) == 6

    anyio.run(main, backend="trio")
