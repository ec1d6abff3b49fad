"""A loop that is closed while threads wait for coroutines on it: none of them waits for ever."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridgekit import BlockingPortal, PortalClosedError, async_to_sync, from_thread, to_thread

pytestmark = [
    pytest.mark.timeout(60),
    # What asyncio says of the tasks that the closed loop has left.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what is left be destroyed, and complained about, within the test."""
    yield
    gc.collect()


def stock() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def uvloops() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


LOOPS = pytest.mark.parametrize("new_loop", [stock, uvloops])


def close_under(
    new_loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[..., Any]
) -> list[BaseException]:
    """Run ``main(asking, ended, errors)`` until a thread waits; close the loop; its errors."""
    asking, ended = threading.Event(), threading.Event()
    errors: list[BaseException] = []
    loop = new_loop()

    async def until_asking() -> Any:
        task = asyncio.ensure_future(main(asking, ended, errors))
        while not asking.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        return task

    kept = loop.run_until_complete(until_asking())
    loop.close()
    assert ended.wait(10), "the thread waits for ever"
    del kept
    return errors


@LOOPS
@pytest.mark.parametrize("ask", [from_thread.run, lambda func: async_to_sync(func)()])
def test_a_worker_is_told(new_loop: Any, ask: Any) -> None:
    async def main(
        asking: threading.Event, ended: threading.Event, errors: list[BaseException]
    ) -> None:
        async def never() -> None:
            asking.set()
            await asyncio.Event().wait()

        def work() -> None:
            try:
                ask(never)
            except BaseException as error:
                errors.append(error)
            ended.set()

        await to_thread.run_sync(work)

    errors = close_under(new_loop, main)
    assert [type(error) for error in errors] == [RuntimeError]
    assert "closed" in str(errors[0])


@LOOPS
def test_a_worker_is_told_though_somebody_keeps_the_frames_of_the_loop(new_loop: Any) -> None:
    kept: list[Any] = []
    asked_for = threading.Event()  # never set

    async def main(
        asking: threading.Event, ended: threading.Event, errors: list[BaseException]
    ) -> None:
        async def keep() -> None:
            # As a profiler does. They hold what their callers have been called with.
            frame: Any = sys._getframe()
            while frame is not None:
                kept.append(frame)
                frame = frame.f_back

        async def never() -> None:
            asking.set()
            await asyncio.Event().wait()

        def work() -> None:
            try:
                while not any(frame.f_code.co_name == "_deliver" for frame in kept):
                    asked_for.wait(0.001)  # so that the task sleeps when it is asked
                    from_thread.run(keep)
                from_thread.run(never)
            except BaseException as error:
                errors.append(error)
            ended.set()

        await to_thread.run_sync(work)

    errors = close_under(new_loop, main)
    assert [type(error) for error in errors] == [RuntimeError]
    kept.clear()


@pytest.mark.parametrize("own", [False, True])
def test_a_loop_keeps_its_own_way_to_be_closed(own: bool) -> None:
    loop = stock()
    closed = []

    def close() -> None:
        closed.append(True)
        asyncio.SelectorEventLoop.close(loop)  # type: ignore[arg-type]

    if own:
        loop.close = close  # type: ignore[method-assign]
    before = dict(vars(loop))
    assert loop.run_until_complete(to_thread.run_sync(lambda: 5)) == 5
    loop.close()
    assert loop.is_closed()
    assert closed == [True] * own
    assert vars(loop).get("close") is before.get("close")


@LOOPS
def test_a_worker_that_is_told_can_go_on(new_loop: Any) -> None:
    async def main(
        asking: threading.Event, ended: threading.Event, errors: list[BaseException]
    ) -> None:
        async def never() -> None:
            asking.set()
            await asyncio.Event().wait()

        async def five() -> int:
            return 5

        def work() -> None:
            try:
                async_to_sync(never)()
            except RuntimeError:
                errors.append(ValueError(async_to_sync(five)()))  # on the portal loop
            ended.set()

        await to_thread.run_sync(work)

    (error,) = close_under(new_loop, main)
    assert error.args == (5,)


@LOOPS
def test_a_thread_that_calls_through_a_portal_is_told(new_loop: Any) -> None:
    async def main(
        asking: threading.Event, ended: threading.Event, errors: list[BaseException]
    ) -> None:
        async def never() -> None:
            asking.set()
            await asyncio.Event().wait()

        def call(portal: BlockingPortal) -> None:
            try:
                portal.call(never)
            except BaseException as error:
                errors.append(error)
            ended.set()

        async with BlockingPortal() as portal:
            threading.Thread(target=call, args=(portal,), daemon=True).start()
            await asyncio.Event().wait()

    errors = close_under(new_loop, main)
    assert [type(error) for error in errors] == [PortalClosedError]


@LOOPS
def test_a_thread_that_serves_another_chain_meanwhile_is_told_when_it_is_back(
    new_loop: Any,
) -> None:
    """The loop of an outer wait is closed while the thread is in an inner one, on another loop."""
    release = threading.Event()
    outer_errors: list[BaseException] = []
    caller_ended = threading.Event()
    loop = new_loop()
    inner_runs = threading.Event()

    async def slow() -> None:
        inner_runs.set()
        while not release.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)

    def job() -> None:
        async_to_sync(asyncio.sleep)(0)
        other = threading.Thread(target=async_to_sync(slow))
        other.start()
        other.join()

    async def outer() -> None:
        await to_thread.run_sync(job, affinity="chain")

    async def main() -> None:
        def call(portal: BlockingPortal) -> None:
            try:
                portal.call(outer)
            except BaseException as error:
                outer_errors.append(error)
            caller_ended.set()

        async with BlockingPortal() as portal:
            threading.Thread(target=call, args=(portal,), daemon=True).start()
            await asyncio.Event().wait()

    async def until_inner() -> Any:
        task = asyncio.ensure_future(main())
        while not inner_runs.is_set():  # noqa: ASYNC110 - another loop sets it
            await asyncio.sleep(0.001)
        return task

    kept = loop.run_until_complete(until_inner())
    loop.close()
    assert not caller_ended.is_set()
    release.set()
    assert caller_ended.wait(10), "the thread waits for ever"
    assert [type(error) for error in outer_errors] == [PortalClosedError]
    del kept


@LOOPS
def test_threads_that_ask_while_the_loop_is_being_closed_are_told(new_loop: Any) -> None:
    async def nothing() -> None:
        return None

    for _ in range(60):
        loop = new_loop()
        ended = threading.Semaphore(0)
        begun = threading.Semaphore(0)

        def work(begun: threading.Semaphore, ended: threading.Semaphore) -> None:
            begun.release()
            try:
                while True:
                    from_thread.run(nothing)
            except RuntimeError:
                ended.release()

        async def main(begun: threading.Semaphore, ended: threading.Semaphore) -> Any:
            tasks = [
                asyncio.ensure_future(to_thread.run_sync(work, begun, ended)) for _ in range(3)
            ]
            while not begun.acquire(blocking=False):  # noqa: ASYNC110 - a thread
                await asyncio.sleep(0)
            return tasks

        kept = loop.run_until_complete(main(begun, ended))
        loop.close()
        # Those of the three that had not begun never do.
        assert ended.acquire(timeout=10), "the thread waits for ever"
        del kept
