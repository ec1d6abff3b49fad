"""What the detector reads off tasks and timers of asyncio and uvloop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.futures import awaiting_task, coroutine_frames, explain_future

try:
    import uvloop
except ImportError:
    FACTORIES = [asyncio.new_event_loop]
else:
    FACTORIES = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=FACTORIES, ids=lambda factory: factory.__module__)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def run_on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main)

    return run_on_loop


Run = Callable[[Coroutine[Any, Any, None]], None]


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def started(awaitable: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(awaitable)
    await settle()
    return task


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def needs_of(task: asyncio.Task[Any]) -> Any:
    future = task._fut_waiter  # type: ignore[attr-defined]
    if future in asyncio.all_tasks():
        return ((future,),)
    return explain_future(future)


def test_the_task_that_awaits_a_future(run: Run) -> None:
    async def main() -> None:
        task = await started(forever())
        future = task._fut_waiter  # type: ignore[attr-defined]
        assert awaiting_task(future) is task
        assert explain_future(future) is None
        await end(task)
        assert awaiting_task(future) is None

    run(main())


@pytest.mark.parametrize("collect", [False, True])
def test_gather(run: Run, collect: bool) -> None:
    async def main() -> None:
        a, b = await started(forever()), await started(forever())
        done = await started(asyncio.sleep(0))

        async def gathering() -> None:
            await asyncio.gather(a, b, done, return_exceptions=collect)

        task = await started(gathering())
        assert needs_of(task) == (((a,), (b,)) if collect else ((a, b),))
        await end(task, a, b)

    run(main())


def test_shield(run: Run) -> None:
    async def main() -> None:
        inner = await started(forever())

        async def shielding() -> None:
            await asyncio.shield(inner)

        task = await started(shielding())
        assert needs_of(task) == ((inner,),)
        await end(task, inner)

    run(main())


@pytest.mark.parametrize("return_when", [asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED])
def test_wait(run: Run, return_when: str) -> None:
    async def main() -> None:
        a, b = await started(forever()), await started(forever())

        async def waiting(timeout: float | None = None) -> None:
            await asyncio.wait([a, b], return_when=return_when, timeout=timeout)

        task = await started(waiting())
        every = return_when == asyncio.ALL_COMPLETED
        groups = {frozenset(group) for group in needs_of(task)}
        assert groups == ({frozenset([a]), frozenset([b])} if every else {frozenset([a, b])})
        limited = await started(waiting(60))
        assert needs_of(limited) is None
        await end(task, limited, a, b)

    run(main())


@pytest.mark.parametrize("groups", [asyncio.TaskGroup, anyio.create_task_group])
def test_task_groups(run: Run, groups: Callable[[], Any]) -> None:
    async def main() -> None:
        async def grouping() -> None:
            async with groups() as group:
                if isinstance(group, asyncio.TaskGroup):
                    group.create_task(forever(), name="child")
                else:
                    group.start_soon(forever, name="child")

        async def generating() -> AsyncIterator[None]:
            await grouping()
            yield

        async def iterating() -> None:
            async for _ in generating():
                raise AssertionError("nothing comes")

        for body in (grouping, iterating):
            task = await started(body())
            children = {task for task in asyncio.all_tasks() if task.get_name() == "child"}
            assert len(children) == 1
            assert needs_of(task) == (tuple(children),)
            await end(task)

    run(main())


def test_frames_of_a_suspended_task(run: Run) -> None:
    async def main() -> None:
        async def outer() -> None:
            await forever()

        task = await started(outer())
        names = [frame.f_code.co_name for frame in coroutine_frames(task.get_coro())]
        assert names == ["outer", "forever"]
        await end(task)

    run(main())


async def with_timeout() -> None:
    async with asyncio.timeout(60):
        await forever()


async def with_wait_for() -> None:
    await asyncio.wait_for(forever(), 60)


async def with_scope() -> None:
    with anyio.fail_after(60):
        await forever()


async def with_wait() -> None:
    inner = asyncio.create_task(forever(), name="inner")
    try:
        await asyncio.wait({inner}, timeout=60)
    finally:
        await end(inner)


async def with_timer() -> None:
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(60, task.cancel)
    try:
        await forever()
    finally:
        timer.cancel()


async def with_sleeping_watch() -> None:
    inner = asyncio.create_task(forever(), name="inner")
    try:
        await asyncio.sleep(60)
    finally:
        await end(inner)


async def with_group_under_timeout() -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(forever(), name="inner")


async def with_group_in_scope() -> None:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(forever, name="inner")


async def with_gather_under_timeout() -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(asyncio.create_task(forever(), name="inner"))


@pytest.mark.parametrize(
    "body",
    [
        with_timeout,
        with_wait_for,
        with_scope,
        with_wait,
        with_timer,
        with_sleeping_watch,
        with_group_under_timeout,
        with_group_in_scope,
        with_gather_under_timeout,
    ],
)
def test_deadlines_are_seen(run: Run, body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async def call() -> None:
            await body()

        other = await started(forever())
        task = await started(call())
        found = Deadlines().tasks(asyncio.get_running_loop())
        assert found is not None
        assert task in found
        inner = {task for task in asyncio.all_tasks() if task.get_name() == "inner"}
        assert inner <= found
        assert other not in found
        await end(task, other)

    run(main())


def test_a_deadline_is_gone_with_its_block(run: Run) -> None:
    async def main() -> None:
        async def body() -> None:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            await forever()

        task = await started(body())
        found = Deadlines().tasks(asyncio.get_running_loop())
        assert found is not None
        assert task not in found
        await end(task)

    run(main())


def test_the_timers_of_a_connection_do_not_lead_to_every_request(run: Run) -> None:
    class Server:
        def __init__(self) -> None:
            self.tasks: set[asyncio.Task[Any]] = set()

    class Connection:
        def __init__(self, server: Server) -> None:
            self.server = server
            self.tasks = server.tasks

        def close_idle(self) -> None:
            raise AssertionError("the timer is cancelled")

    async def main() -> None:
        server = Server()
        request = await started(forever())
        server.tasks.add(request)
        connection = Connection(server)
        timer = asyncio.get_running_loop().call_later(5, connection.close_idle)
        found = Deadlines().tasks(asyncio.get_running_loop())
        assert found is not None
        assert request not in found
        timer.cancel()
        await end(request)

    run(main())


def test_a_task_that_wakes_and_sleeps_again_only_polls(run: Run) -> None:
    async def main() -> None:
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        task = await started(forever())
        naps: list[asyncio.Future[None]] = []

        async def poll() -> None:
            held = [task]
            while held:
                naps.append(loop.create_future())
                timer = loop.call_later(60, naps[-1].set_result, None)
                await naps[-1]
                timer.cancel()

        poller = await started(poll())
        for _ in range(2):  # still the same sleep
            assert (deadlines.tasks(loop) or set()) >= {task, poller}
        naps[0].set_result(None)
        await settle()
        for _ in range(2):
            found = deadlines.tasks(loop) or set()
            assert poller in found
            assert task not in found
        await end(task, poller)

    run(main())


def test_a_loop_whose_timers_cannot_be_seen() -> None:
    class UnknownLoop(asyncio.AbstractEventLoop):
        pass

    assert Deadlines().tasks(UnknownLoop()) is None


def test_objects_of_the_program_are_not_asked_for_anything(run: Run) -> None:
    class Proxy:
        """Stands for werkzeug's LocalProxy, which fails outside of a request."""

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    async def main() -> None:
        async def body(self: Any, held: Any) -> None:
            await asyncio.sleep(60)

        proxy = Proxy()
        task = await started(body(proxy, [proxy]))
        timer = asyncio.get_running_loop().call_later(60, print, proxy)
        assert task in (Deadlines().tasks(asyncio.get_running_loop()) or ())
        assert needs_of(task) is None
        timer.cancel()
        await end(task)

    run(main())
