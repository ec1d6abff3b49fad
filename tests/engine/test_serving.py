"""The loop of a server, and the threads of the program that send their coroutines to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bridgekit import PortalClosedError, async_to_sync
from bridgekit.engine.portal import call_on_loop, portal_loop
from bridgekit.engine.serving import serving_loop, start_serving, stop_serving


async def own_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


async def where_a_loose_thread_runs() -> asyncio.AbstractEventLoop:
    found: asyncio.Future[asyncio.AbstractEventLoop] = asyncio.get_running_loop().create_future()

    def work() -> None:
        loop = async_to_sync(own_loop)()
        found.get_loop().call_soon_threadsafe(found.set_result, loop)

    in_a_thread(work)
    return await asyncio.wait_for(found, 10)


def test_loose_threads_use_the_loop_that_serves() -> None:
    async def serve() -> None:
        here = asyncio.get_running_loop()
        assert await where_a_loose_thread_runs() is portal_loop().loop
        start_serving()
        try:
            assert serving_loop() is here
            assert await where_a_loose_thread_runs() is here
        finally:
            stop_serving()
        assert serving_loop() is None
        assert await where_a_loose_thread_runs() is portal_loop().loop

    asyncio.run(serve())


def test_a_loop_that_ended_without_notice_is_passed_over() -> None:
    async def serve() -> None:
        start_serving()

    asyncio.run(serve())
    assert serving_loop() is None
    assert async_to_sync(own_loop)() is portal_loop().loop


def test_the_latest_of_several_serves() -> None:
    async def outer() -> None:
        start_serving()
        inner_loop = await asyncio.get_running_loop().run_in_executor(None, asyncio.run, inner())
        assert inner_loop is not asyncio.get_running_loop()
        assert serving_loop() is asyncio.get_running_loop()
        stop_serving()

    async def inner() -> asyncio.AbstractEventLoop:
        start_serving()
        assert serving_loop() is asyncio.get_running_loop()
        return asyncio.get_running_loop()

    asyncio.run(outer())


def test_stopping_what_does_not_serve_is_allowed() -> None:
    async def serve() -> None:
        stop_serving()

    asyncio.run(serve())
    assert serving_loop() is None


def test_a_call_that_a_loop_never_begins_fails_when_the_loop_is_closed() -> None:
    posted = threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: object, **kwargs: object) -> asyncio.Handle:
            handle = super().call_soon_threadsafe(*args, **kwargs)  # type: ignore[arg-type]
            posted.set()
            return handle

    loop = Loop()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            call_on_loop(loop, own_loop)
        except BaseException as error:
            errors.append(error)

    thread = in_a_thread(work)
    assert posted.wait(10)
    loop.close()
    thread.join(10)

    assert not thread.is_alive()
    (error,) = errors
    assert isinstance(error, PortalClosedError)
    assert "closed before the call began" in str(error)


def test_a_closed_loop_takes_no_call() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(PortalClosedError):
        call_on_loop(loop, own_loop)
