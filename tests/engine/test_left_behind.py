"""A thread that ends in the moment in which its task leaves it behind: one of them settles it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from bridgekit import ThreadSensitiveContext, to_thread
from bridgekit.engine import affinity
from bridgekit.engine.call import left_behind
from bridgekit.engine.hosts import current_host
from bridgekit.engine.work import Work

pytestmark = pytest.mark.timeout(30)


class Planned(Exception):
    pass


def fail() -> None:
    raise Planned


class Abandonable(Work):
    """Counts what it reports, and lets the test in at the two steps that may coincide."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(current_host(), fail)
        self.abandon = True
        self.departure = [None]
        self.reports: list[BaseException | None] = []
        self.on_abandoned = lambda result, error: self.reports.append(error)
        self._ticket = []  # a thread has it
        self.thread = threading.Thread(target=self.go_on)

    def go_on(self) -> None:
        """On that thread: the rest of the call."""
        self._ticket = [None]
        self.run()


def test_the_thread_ends_and_reports_first() -> None:
    class Here(Abandonable):
        __slots__ = ()

        def _leave_behind(self) -> None:
            super()._leave_behind()
            self.thread.start()
            self.thread.join(10)  # it has ended, has seen that it was left, and has reported

    async def main() -> None:
        work = Here()
        assert work.may_leave_on_cancel()
        assert [type(error) for error in work.reports] == [Planned]
        assert work not in left_behind

    asyncio.run(main())


def test_the_task_takes_its_leave_back_first() -> None:
    """The thread's error must not be lost then, nor reported as abandoned."""
    looks, taken_back = threading.Event(), threading.Event()
    task_thread = threading.get_ident()

    class Here(Abandonable):
        __slots__ = ()

        def _leave_behind(self) -> None:
            super()._leave_behind()
            self.thread.start()
            assert looks.wait(10)  # the thread has ended and has seen that it was left

        def _settle(self) -> bool:
            if threading.get_ident() != task_thread:
                looks.set()
                assert taken_back.wait(10)
                return super()._settle()
            settled = super()._settle()
            taken_back.set()
            return settled

    async def main() -> None:
        work = Here()
        assert not work.may_leave_on_cancel()
        work.thread.join(10)
        assert work.reports == []
        assert work not in left_behind
        with pytest.raises(Planned):
            work.finish()

    asyncio.run(main())


# -- calls that are dropped on their way to a thread ---------------------------------------------


@pytest.mark.parametrize("how", ["shut down", "broken", "forgotten"])
def test_an_executor_that_drops_the_call_fails_it(how: str) -> None:
    class Forgetful(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(None)
            return future

    def breaks() -> None:
        raise Planned

    async def main() -> None:
        release = threading.Event()
        executor: Executor
        if how == "forgotten":
            executor = Forgetful()
        elif how == "broken":
            executor = ThreadPoolExecutor(1, initializer=breaks)
        else:
            executor = ThreadPoolExecutor(1)
            executor.submit(release.wait, 10)
        task = asyncio.ensure_future(to_thread.run_sync(int, executor=executor))
        await asyncio.sleep(0)
        if how == "shut down":
            executor.shutdown(wait=False, cancel_futures=True)
        release.set()
        expected = CancelledError if how == "shut down" else RuntimeError
        async with asyncio.timeout(10):
            with pytest.raises(expected):
                await task
        executor.shutdown()

    asyncio.run(main())


def test_a_shared_call_that_is_cancelled_at_once_gives_its_thread_back() -> None:
    async def main() -> None:
        async with ThreadSensitiveContext() as context:
            call = to_thread.run_sync(int, affinity="context", context="share")
            task = asyncio.ensure_future(call)
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            binding = context._binding
        assert isinstance(binding, affinity.ThreadBinding)
        assert (binding._running, binding._holders, binding._thread) == (0, 0, None)

    asyncio.run(main())
