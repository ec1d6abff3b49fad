"""timeout, cancel_grace, on_abandoned and context="share", under asyncio, uvloop and trio."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from bridgekit import (
    CapacityLimiter,
    DeadlockError,
    async_to_sync,
    from_thread,
    sync_to_async,
    to_thread,
)

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

Run = Callable[..., Any]

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
WAIT = 10.0
ENOUGH_TO_BEGIN = 0.3  # seconds, for a thread on a busy machine


@pytest.fixture(params=BACKENDS)
def run(request: pytest.FixtureRequest) -> Run:
    def run(func: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return anyio.run(func, *args, **BACKENDS[request.param])

    return run


class Blocked:
    """A function that blocks until it is released, and says what has become of it."""

    def __init__(self) -> None:
        self.begun, self.release, self.ended = (threading.Event() for _ in range(3))
        self.abandoned = threading.Event()
        self.outcome: tuple[Any, BaseException | None] | None = None

    def __call__(self) -> str:
        self.begun.set()
        assert self.release.wait(WAIT)
        self.ended.set()
        return "late"

    def on_abandoned(self, result: Any, error: BaseException | None) -> None:
        self.outcome = result, error
        self.abandoned.set()


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    blocked = Blocked()
    yield blocked
    blocked.release.set()


async def until(event: threading.Event) -> None:
    """Let the loop run until a thread has set the event."""
    with anyio.fail_after(WAIT):
        while not event.is_set():  # noqa: ASYNC110 (a thread sets it)
            await anyio.sleep(0.001)


@asynccontextmanager
async def cancelled_once_begun(blocked: Blocked) -> AsyncIterator[None]:
    """Cancel the block when the function runs on its thread."""
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            await until(blocked.begun)
            scope.cancel()

        with anyio.CancelScope() as scope:
            group.start_soon(cancel)
            yield
    assert scope.cancelled_caught


def test_a_timeout_waits_for_the_function_to_end(run: Run, blocked: Blocked) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                with pytest.raises(TimeoutError):
                    await to_thread.run_sync(blocked_until_cancelled, timeout=ENOUGH_TO_BEGIN)
                assert blocked.ended.is_set()

            group.start_soon(call)

    def blocked_until_cancelled() -> None:
        try:
            while True:
                from_thread.check_cancelled()
                threading.Event().wait(0.001)
        finally:
            blocked.ended.set()

    run(main)


def test_a_call_in_time_is_not_touched_by_its_timeout(run: Run) -> None:
    async def main() -> None:
        assert await to_thread.run_sync(int, "7", timeout=WAIT) == 7
        with pytest.raises(ZeroDivisionError):
            await sync_to_async(lambda: 1 / 0, timeout=WAIT)()
        await anyio.lowlevel.checkpoint()

    run(main)


def test_the_wait_for_a_token_counts_towards_the_timeout(run: Run, blocked: Blocked) -> None:
    limiter = CapacityLimiter(1)
    ran: list[int] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def hold() -> None:
                await to_thread.run_sync(blocked, limiter=limiter)

            group.start_soon(hold)
            await until(blocked.begun)
            with pytest.raises(TimeoutError):
                await to_thread.run_sync(ran.append, 1, limiter=limiter, timeout=0.02)
            blocked.release.set()
        assert limiter.borrowed_tokens == 0
        assert ran == []

    run(main)


def test_a_timeout_that_abandons_leaves_at_once_and_reports_the_late_result(
    run: Run, blocked: Blocked
) -> None:
    limiter = CapacityLimiter(1)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await to_thread.run_sync(
                blocked,
                timeout=ENOUGH_TO_BEGIN,
                abandon_on_cancel=True,
                on_abandoned=blocked.on_abandoned,
                limiter=limiter,
            )
        assert not blocked.ended.is_set()
        assert limiter.borrowed_tokens == 1
        blocked.release.set()
        await until(blocked.abandoned)
        assert blocked.outcome == ("late", None)
        assert limiter.borrowed_tokens == 0

    run(main)


def test_on_abandoned_hears_of_an_exception_too(run: Run, blocked: Blocked) -> None:
    error = ValueError("late")

    def fail() -> None:
        blocked()
        raise error

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await to_thread.run_sync(
                fail,
                timeout=ENOUGH_TO_BEGIN,
                abandon_on_cancel=True,
                on_abandoned=blocked.on_abandoned,
            )
        blocked.release.set()
        await until(blocked.abandoned)

    run(main)
    assert blocked.outcome == (None, error)


def test_on_abandoned_is_not_called_for_a_call_that_was_waited_for(
    run: Run, blocked: Blocked
) -> None:
    async def main() -> None:
        quick = sync_to_async(int, cancel_grace=WAIT, on_abandoned=blocked.on_abandoned)
        assert await quick("5") == 5

    run(main)
    assert blocked.outcome is None


def test_after_the_grace_the_function_is_left_behind_with_a_warning(
    run: Run, blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with cancelled_once_begun(blocked):
            await to_thread.run_sync(blocked, cancel_grace=0.03, on_abandoned=blocked.on_abandoned)
        assert not blocked.ended.is_set()
        blocked.release.set()
        await until(blocked.abandoned)

    with caplog.at_level(logging.WARNING, "bridgekit"):
        run(main)
    assert blocked.outcome == ("late", None)
    (record,) = caplog.records
    assert "Blocked" in record.getMessage()
    assert "0.03 s" in record.getMessage()


def test_a_function_that_ends_within_the_grace_is_waited_for(
    run: Run, blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def release() -> None:
                await until(blocked.begun)
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                    blocked.release.set()

            group.start_soon(release)
            await to_thread.run_sync(blocked, cancel_grace=WAIT)
        assert blocked.ended.is_set()

    run(main)
    assert caplog.records == []


def test_the_grace_covers_a_function_that_goes_on_asking_for_coroutines(
    run: Run, blocked: Blocked
) -> None:
    refused: list[str] = []

    async def nothing() -> None:
        await anyio.lowlevel.cancel_shielded_checkpoint()

    def stubborn() -> None:
        blocked.begun.set()
        while not blocked.release.is_set():
            try:
                async_to_sync(nothing)()
            except BaseException as error:
                refused.append(type(error).__name__)
        blocked.ended.set()

    async def main() -> None:
        async with cancelled_once_begun(blocked):
            await to_thread.run_sync(stubborn, cancel_grace=0.03)
        assert not blocked.ended.is_set()
        blocked.release.set()
        await until(blocked.ended)

    run(main)


def test_an_executor_takes_the_place_of_the_pool(run: Run) -> None:
    async def native() -> str:
        await anyio.lowlevel.checkpoint()
        return threading.current_thread().name

    def names() -> tuple[str, str]:
        return threading.current_thread().name, async_to_sync(native)()

    async def main() -> None:
        with ThreadPoolExecutor(1, "mine") as executor:
            assert await to_thread.run_sync(names, executor=executor) == ("mine_0", "MainThread")
            limited = sync_to_async(names, executor=executor, limiter=CapacityLimiter(1))
            assert await limited() == ("mine_0", "MainThread")

    run(main)


def test_native_cancellation_during_the_grace_keeps_its_count(blocked: Blocked) -> None:
    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(blocked, cancel_grace=0.02))
        await until(blocked.begun)
        task.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert task.cancelling() == 2
        assert not blocked.ended.is_set()

    asyncio.run(main())


def test_a_shared_context_lets_a_token_be_used_in_a_later_call(run: Run) -> None:
    shared = sync_to_async(var.set, context="share")

    async def main() -> None:
        token = await shared("inner")
        assert var.get() == "inner"
        await to_thread.run_sync(var.reset, token, context="share")
        assert var.get() == "unset"
        propagated = await to_thread.run_sync(var.set, "copy")
        with pytest.raises(ValueError, match="different Context"):
            await to_thread.run_sync(var.reset, propagated)

    run(main)


def test_many_calls_share_a_context_while_other_tasks_run(run: Run) -> None:
    async def one(name: str) -> None:
        for step in range(50):
            token = await to_thread.run_sync(var.set, f"{name}{step}", context="share")
            assert var.get() == f"{name}{step}"
            await to_thread.run_sync(var.reset, token, context="share")
        assert var.get() == "unset"

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for name in "abcdefgh":
                group.start_soon(one, name)

    run(main)


def test_a_function_in_a_shared_context_may_not_ask_for_a_coroutine(run: Run) -> None:
    called: list[int] = []

    async def native() -> None:
        called.append(1)

    async def main() -> None:
        with pytest.raises(DeadlockError, match='context="share"'):
            await to_thread.run_sync(async_to_sync(native), context="share")
        with pytest.raises(DeadlockError, match='context="share"'):
            await to_thread.run_sync(from_thread.run, native, context="share")

    run(main)
    assert called == []


def test_a_shared_call_that_is_cancelled_is_waited_for(run: Run, blocked: Blocked) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await to_thread.run_sync(blocked, context="share")

            group.start_soon(call)
            await until(blocked.begun)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                assert not blocked.ended.is_set()
                blocked.release.set()
        assert blocked.ended.is_set()

    run(main)


def test_a_shared_call_works_in_a_task_that_starts_eagerly() -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("tasks start eagerly from Python 3.12 on")

    async def call() -> str:
        token = await to_thread.run_sync(var.set, "eager", context="share")
        assert var.get() == "eager"
        await to_thread.run_sync(var.reset, token, context="share")
        return var.get()

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        assert await asyncio.gather(call(), call()) == ["unset", "unset"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"affinity": "thread"}, "affinity must be"),
        ({"context": "copy"}, "context must be"),
        ({"timeout": -1}, "timeout must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"cancel_grace": -0.5}, "cancel_grace must be"),
        ({"executor": ThreadPoolExecutor(1), "affinity": "context"}, "excludes an affinity"),
        ({"on_abandoned": print}, "on_abandoned needs"),
        ({"context": "share", "cancel_grace": 1}, "excludes"),
        ({"context": "share", "abandon_on_cancel": True}, "excludes"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sync_to_async(int, **options)

    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            await to_thread.run_sync(int, **options)

    asyncio.run(main())


def test_under_its_caller_s_token_a_call_keeps_its_affinity() -> None:
    limiter = CapacityLimiter(1)
    running = most = 0
    lock = threading.Lock()

    def ident() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1
        return threading.get_ident()

    async def children() -> list[int]:
        main = sync_to_async(ident, affinity="main", limiter=limiter)
        context = sync_to_async(ident, affinity="context", limiter=limiter)
        chain = sync_to_async(ident, limiter=limiter)
        return await asyncio.gather(main(), context(), chain(), main())

    async def root() -> list[int]:
        # This call holds the only token while its thread waits for the children.
        return await to_thread.run_sync(async_to_sync(children), limiter=limiter)

    threads = async_to_sync(root)()
    assert threads[0] == threads[3] == threading.main_thread().ident
    assert most == 1
    assert limiter.borrowed_tokens == 0
