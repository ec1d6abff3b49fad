"""Many calls at one time, loops that close, workers that are struck down."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from bridgekit import (
    CapacityLimiter,
    PortalClosedError,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)

pytestmark = pytest.mark.timeout(60)

SECONDS = 30


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def run(coroutine: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(SECONDS):
                return await coroutine

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    return run


@pytest.fixture
def workers() -> Iterator[Callable[[int], None]]:
    before = to_thread.get_max_workers()
    yield to_thread.set_max_workers
    to_thread.set_max_workers(before)


async def started(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 (a thread sets it)
        await asyncio.sleep(0.001)


async def native(value: int) -> int:
    await asyncio.sleep(0)
    return value


# -- many ------------------------------------------------------------------------------------------


def test_ten_thousand_pending_calls(
    run: Callable[..., Any], workers: Callable[[int], None], request: pytest.FixtureRequest
) -> None:
    """Waiting for a thread on one loop, for a token on the other."""
    workers(2)
    limiter = CapacityLimiter(2) if "uvloop" in request.node.name else None
    release = threading.Event()
    threads: set[int] = set()

    def work(number: int) -> int:
        release.wait(SECONDS)
        threads.add(threading.get_ident())
        return number

    async def main() -> None:
        tasks = [
            asyncio.create_task(to_thread.run_sync(work, number, limiter=limiter))
            for number in range(10_000)
        ]
        await asyncio.sleep(0)
        cancelled = tasks[2:10_000:2]
        for task in cancelled:
            task.cancel()
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            if number >= 2 and number % 2 == 0:
                assert isinstance(result, asyncio.CancelledError)
            else:
                assert result == number

    run(main())
    assert len(threads) <= 2
    assert limiter is None or limiter.borrowed_tokens == 0


@pytest.mark.parametrize("limited", [False, True])
def test_sixty_chains_with_a_pool_of_one(
    run: Callable[..., Any], workers: Callable[[int], None], limited: bool
) -> None:
    """Where every peer hangs at the size of its pool (invariant 4)."""
    workers(1)
    limiter = CapacityLimiter(1) if limited else None
    threads: set[int] = set()

    def leaf(number: int) -> int:
        threads.add(threading.get_ident())
        return number

    def chain(number: int, depth: int) -> int:
        threads.add(threading.get_ident())
        return async_to_sync(below)(number, depth)

    async def below(number: int, depth: int) -> int:
        await asyncio.sleep(0)
        if depth:
            return await to_thread.run_sync(chain, number, depth - 1, limiter=limiter)
        values = await asyncio.gather(
            *(to_thread.run_sync(leaf, number, limiter=limiter) for _ in range(3))
        )
        assert values == [number] * 3
        return number

    async def main() -> list[int]:
        return await asyncio.gather(
            *(
                to_thread.run_sync(chain, number, number % 4, limiter=limiter)
                for number in range(60)
            )
        )

    assert run(main()) == list(range(60))
    assert len(threads) == 1
    assert async_to_sync(main)() == list(range(60))


def test_recursion_sixty_deep_takes_one_thread(
    run: Callable[..., Any], workers: Callable[[int], None]
) -> None:
    workers(1)
    threads: set[int] = set()

    def down(depth: int) -> int:
        threads.add(threading.get_ident())
        return 1 + (async_to_sync(up)(depth - 1) if depth else 0)

    async def up(depth: int) -> int:
        return await to_thread.run_sync(down, depth)

    assert run(up(60)) == 61
    assert len(threads) == 1


# -- several loops ---------------------------------------------------------------------------------


def test_nested_loops_in_several_threads(workers: Callable[[int], None]) -> None:
    """Worker -> loop of its own -> worker -> ..., in four threads, all through one pool of two."""
    workers(8)  # each level holds a worker that runs a loop and cannot serve others
    outcome: list[Any] = []

    def inner() -> int:
        async def main() -> int:
            values = await asyncio.gather(
                *(to_thread.run_sync(async_to_sync(native), n) for n in range(3))
            )
            return sum(values)

        return asyncio.run(main())

    def thread() -> None:
        async def main() -> list[int]:
            async with asyncio.timeout(SECONDS):
                return [await to_thread.run_sync(inner) for _ in range(5)]

        outcome.append(asyncio.run(main()))

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS * 2)
    assert outcome == [[3] * 5] * 4


def test_a_limiter_and_a_context_shared_by_loops(workers: Callable[[int], None]) -> None:
    workers(4)
    limiter = CapacityLimiter(2)
    lock = threading.Lock()
    running = highest = 0

    def work() -> None:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        async_to_sync(native)(1)
        with lock:
            running -= 1

    def thread() -> None:
        async def main() -> None:
            async with asyncio.timeout(SECONDS), ThreadSensitiveContext():
                await asyncio.gather(
                    *(to_thread.run_sync(work, limiter=limiter) for _ in range(20)),
                    *(sync_to_async(int, thread_sensitive=True)() for _ in range(20)),
                )

        asyncio.run(main())

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS * 2)
    assert (running, limiter.borrowed_tokens) == (0, 0)
    assert highest <= 2


# -- loops that close ------------------------------------------------------------------------------


def test_a_loop_closed_under_threads_that_wait_for_it(workers: Callable[[int], None]) -> None:
    """Parked in a coroutine, running, queued: every thread gets an answer, and the pool goes on."""
    workers(2)
    release, begun = threading.Event(), threading.Semaphore(0)
    errors: list[BaseException | None] = []

    async def endless() -> None:
        begun.release()
        await asyncio.Event().wait()

    def parked() -> None:
        try:
            async_to_sync(endless)()
        except BaseException as error:
            errors.append(error)
            raise

    def running() -> None:
        begun.release()
        release.wait(SECONDS)
        try:
            async_to_sync(native)(1)
        except BaseException as error:
            errors.append(error)
            raise
        errors.append(None)

    loop = asyncio.new_event_loop()
    tasks = [
        loop.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
        for work in (parked, running, int)
    ]

    async def both_begun() -> None:
        while not begun.acquire(blocking=False):  # noqa: ASYNC110 (a thread releases it)
            await asyncio.sleep(0.001)

    loop.run_until_complete(both_begun())
    loop.run_until_complete(both_begun())
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
    release.set()

    async def pool_is_free() -> list[int]:
        async with asyncio.timeout(SECONDS):
            return await asyncio.gather(
                *(to_thread.run_sync(native_in_thread, n) for n in range(6))
            )

    def native_in_thread(number: int) -> int:
        return async_to_sync(native)(number)

    assert asyncio.run(pool_is_free()) == list(range(6))
    deadline = time.monotonic() + SECONDS
    while len(errors) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(errors) == 2


def test_a_portal_closed_under_threads_that_wait_for_it() -> None:
    outcomes: list[str] = []
    begun = threading.Semaphore(0)

    async def endless() -> None:
        begun.release()
        await asyncio.Event().wait()

    def call(portal: Any) -> None:
        try:
            portal.call(endless)
        except (PortalClosedError, asyncio.CancelledError) as error:
            outcomes.append(type(error).__name__)

    threads: list[threading.Thread] = []
    with contextlib.suppress(ZeroDivisionError), start_blocking_portal() as portal:
        threads += [threading.Thread(target=call, args=(portal,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for _ in threads:
            begun.acquire()
        raise ZeroDivisionError
    for thread in threads:
        thread.join(SECONDS)
    assert len(outcomes) == 5
    for _ in range(2):
        with pytest.raises(PortalClosedError):
            portal.call(native, 1)


def test_shutdown_is_idempotent_and_calls_after_it_raise() -> None:
    with start_blocking_portal() as portal:
        assert portal.call(native, 1) == 1
        portal.call(portal.stop)
        portal.call(portal.stop)
    with pytest.raises(PortalClosedError):
        portal.call(native, 1)
    with pytest.raises(PortalClosedError):
        portal.start_task_soon(native, 1)


# -- workers that are struck down ------------------------------------------------------------------


class Struck(BaseException):
    pass


def strike(ident: int) -> None:
    """Have an exception raised in a thread, wherever it is (as some timeout libraries do)."""
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(ident), ctypes.py_object(Struck)
    )


@pytest.mark.parametrize("affinity", ["chain", "context"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, Struck])
def test_an_exit_request_in_a_worker_is_the_exception_of_its_call(
    workers: Callable[[int], None], error: type[BaseException], affinity: Any
) -> None:
    workers(1)

    def work() -> None:
        raise error

    async def main() -> str:
        try:
            await to_thread.run_sync(work, affinity=affinity)
        except error:
            pass
        else:
            return "no exception"
        return "usable" if await to_thread.run_sync(int, affinity=affinity) == 0 else "broken"

    assert asyncio.run(main()) == "usable"


@pytest.mark.parametrize("affinity", ["chain", "context"])
def test_a_worker_struck_while_it_works(workers: Callable[[int], None], affinity: Any) -> None:
    workers(1)
    begun = threading.Event()

    def work() -> None:
        begun.set()
        while True:
            time.sleep(0.0005)

    async def main() -> None:
        task = asyncio.create_task(
            to_thread.run_sync(
                lambda: (idents.append(threading.get_ident()), work()), affinity=affinity
            )
        )
        await started(begun)
        strike(idents[0])
        with pytest.raises(Struck):
            await task
        assert await to_thread.run_sync(int, affinity=affinity) == 0

    idents: list[int] = []
    asyncio.run(main())


def test_cancelled_in_every_state(run: Callable[..., Any], workers: Callable[[int], None]) -> None:
    """Queued: never runs. Running: waited for. Asked to return: the cancellation still wins."""
    workers(1)
    limiter = CapacityLimiter(2)
    release, begun = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> str:
        begun.set()
        release.wait(SECONDS)
        ran.append("first")
        return "dropped"

    async def main() -> None:
        running = asyncio.create_task(to_thread.run_sync(first, limiter=limiter))
        await started(begun)
        queued = asyncio.create_task(to_thread.run_sync(ran.append, "queued", limiter=limiter))
        waiting = asyncio.create_task(to_thread.run_sync(ran.append, "waiting", limiter=limiter))
        await asyncio.sleep(0)
        assert limiter.statistics().tasks_waiting == 1
        for task in (waiting, queued):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert limiter.borrowed_tokens == 1
        running.cancel()
        await asyncio.sleep(0)
        assert not running.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ran == ["first"]
        assert limiter.borrowed_tokens == 0
        with pytest.raises(RuntimeError, match="no task"):
            from_thread_here()

    def from_thread_here() -> None:
        box: list[BaseException] = []

        def outside() -> None:
            try:
                from_thread.check_cancelled()
            except RuntimeError as error:
                box.append(error)

        thread = threading.Thread(target=outside)
        thread.start()
        thread.join()
        raise box[0]

    run(main())
    assert default_portal().call(native, 1) == 1
