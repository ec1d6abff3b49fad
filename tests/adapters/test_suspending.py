"""Synchronous call stacks that are suspended on the loop's own thread while coroutines run."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import subprocess
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import greenlet
import pytest
import uvloop
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from bridgekit import (
    BlockingPortal,
    LoopThreadError,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    to_thread,
)
from bridgekit.adapters import suspending

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return run


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def current_task() -> asyncio.Task[Any] | None:
    await asyncio.sleep(0)
    return asyncio.current_task()


# -- results, other tasks, the host ----------------------------------------------------------------


def test_other_tasks_run_while_the_stack_waits(run: Run) -> None:
    async def main() -> list[str]:
        order: list[str] = []
        here, there = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            await here.wait()
            order.append("other")
            there.set()

        def caller() -> str:
            order.append("before")
            here.set()
            async_to_sync(there.wait)()
            order.append("after")
            return "done"

        task = asyncio.create_task(other())
        assert await suspending.run_sync(caller) == "done"
        await task
        return order

    assert run(main()) == ["before", "other", "after"]


def test_the_coroutine_runs_in_the_task_that_awaits_the_stack_on_its_thread(run: Run) -> None:
    def caller() -> list[Any]:
        return [
            async_to_sync(current_task)(),
            from_thread.run(current_task),
            from_thread.run_sync(asyncio.current_task),
            threading.get_ident(),
        ]

    async def main() -> None:
        host = asyncio.current_task()
        assert await suspending.run_sync(caller) == [host, host, host, threading.get_ident()]

    run(main())


def test_arguments_pass_through_the_decorator(run: Run) -> None:
    @suspending.suspendable
    def caller(a: int, *rest: int, func: int = 0) -> tuple[Any, ...]:
        """Documented."""
        return a, rest, func, async_to_sync(asyncio.sleep)(0, "slept")

    assert asyncio.iscoroutinefunction(caller)
    assert caller.__doc__ == "Documented."
    assert run(caller(1, 2, func=3)) == (1, (2,), 3, "slept")
    with pytest.raises(TypeError, match="current_task is asynchronous already"):
        suspending.suspendable(current_task)


def test_many_stacks_take_turns(run: Run) -> None:
    async def tick(number: int) -> int:
        await asyncio.sleep(0)
        return number

    def caller(number: int) -> int:
        return sum(async_to_sync(tick)(number) for _ in range(10))

    async def main() -> list[int]:
        return await asyncio.gather(*(suspending.run_sync(caller, n) for n in range(200)))

    assert run(main()) == [n * 10 for n in range(200)]


def test_a_synchronous_generator_waits_between_its_items(run: Run) -> None:
    def numbers() -> Iterator[int]:
        for number in range(5):
            yield async_to_sync(asyncio.sleep)(0, number)

    def caller() -> list[int]:
        source = numbers()
        return [next(source), *(async_to_sync(asyncio.sleep)(0, n * 10) for n in source)]

    assert run(suspending.run_sync(caller)) == [0, 10, 20, 30, 40]


def test_awaitables_that_are_no_coroutines(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, 5)
        assert await suspending.run_sync(async_to_sync(lambda: future)) == 5
        task = asyncio.create_task(asyncio.sleep(0, 6))
        assert await suspending.run_sync(async_to_sync(lambda: task)) == 6

    run(main())


# -- where it is not possible ----------------------------------------------------------------------


def test_outside_a_stack_the_error_names_the_mode() -> None:
    async def main() -> None:
        with pytest.raises(LoopThreadError, match=r"await suspending\.run_sync\(caller"):
            async_to_sync(current_task)()

    asyncio.run(main())


def test_without_greenlet_the_error_does_not_name_the_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    async def main() -> None:
        with pytest.raises(LoopThreadError, match=r"await to_thread\.run_sync") as caught:
            async_to_sync(current_task)()
        assert "suspending.run_sync" not in str(caught.value)

    asyncio.run(main())


def test_a_task_started_in_the_stack_cannot_suspend_it(run: Run) -> None:
    """It may outlive the stack, and it is not the task that would be woken."""

    async def child() -> str:
        try:
            async_to_sync(current_task)()
        except LoopThreadError:
            return "refused"
        return "suspended"

    async def spawn() -> str:
        return await asyncio.create_task(child())

    def caller() -> tuple[str, Any]:
        return async_to_sync(spawn)(), async_to_sync(current_task)()

    async def main() -> None:
        assert await suspending.run_sync(caller) == ("refused", asyncio.current_task())

    run(main())


def test_another_task_that_is_current_inside_the_stack_cannot_suspend_it() -> None:
    """As while a task starts eagerly (3.12): it runs in the stack before it ever waits."""

    async def other() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        loop, host = asyncio.get_running_loop(), asyncio.current_task()
        task = asyncio.create_task(other())

        def caller() -> None:
            asyncio.tasks._leave_task(loop, host)
            asyncio.tasks._enter_task(loop, task)
            try:
                with pytest.raises(LoopThreadError):
                    async_to_sync(current_task)()
            finally:
                asyncio.tasks._leave_task(loop, task)
                asyncio.tasks._enter_task(loop, host)
            assert async_to_sync(current_task)() is host

        await suspending.run_sync(caller)
        task.cancel()

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_a_task_that_starts_eagerly_in_a_stack() -> None:
    def caller() -> list[Any]:
        return [async_to_sync(current_task)(), async_to_sync(current_task)()]

    async def inner() -> list[Any]:
        with pytest.raises(LoopThreadError):
            async_to_sync(current_task)()
        return await suspending.run_sync(caller)

    async def outer() -> None:
        task = asyncio.create_task(inner())
        assert not task.done()
        assert await task == [task, task]

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await suspending.run_sync(async_to_sync(outer))

    asyncio.run(main())


def test_without_greenlet_the_error_says_what_to_install() -> None:
    code = """
import asyncio, sys
sys.modules["greenlet"] = None
from bridgekit import LoopThreadError, async_to_sync
from bridgekit.adapters import suspending
async def main():
    try:
        await suspending.run_sync(int)
    except ModuleNotFoundError as error:
        print(error)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == (
        "suspending call stacks needs greenlet: install bridgekit-async[greenlet]\n"
    )


def test_the_runtime_does_not_load_greenlet() -> None:
    code = "import sys, bridgekit.adapters.suspending; print('greenlet' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


# -- exceptions ------------------------------------------------------------------------------------


class Planned(Exception):
    pass


def test_exceptions_cross_unchanged_and_show_both_sides(run: Run) -> None:
    error = Planned("x")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise error

    def caller() -> None:
        async_to_sync(fails)()

    async def main() -> None:
        with pytest.raises(Planned) as caught:
            await suspending.run_sync(caller)
        assert caught.value is error
        assert error.__context__ is None
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert [name for name in frames if name in ("main", "caller", "fails")] == [
            "main",
            "caller",
            "fails",
        ]

    run(main())


def test_an_exception_caught_in_the_stack_stays_there(run: Run) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise Planned

    def caller() -> str:
        try:
            async_to_sync(fails)()
        except Planned:
            return async_to_sync(asyncio.sleep)(0, "handled")
        return "missed"

    assert run(suspending.run_sync(caller)) == "handled"


@pytest.mark.parametrize("error", [StopIteration(3), StopAsyncIteration(4)], ids=repr)
def test_stop_iteration_never_ends_the_wrong_thing(run: Run, error: Exception) -> None:
    def raises() -> None:
        raise error

    async def main() -> None:
        with pytest.raises((RuntimeError, StopAsyncIteration)) as caught:
            await suspending.run_sync(raises)
        assert error in (caught.value, caught.value.__cause__)

    run(main())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, greenlet.GreenletExit])
def test_exceptions_that_are_no_errors(kind: type[BaseException]) -> None:
    def raises() -> None:
        raise kind

    async def main() -> str:
        try:
            await suspending.run_sync(raises)
        except kind:
            return "raised"
        return "lost"

    assert asyncio.run(main()) == "raised"


class Probe:
    pass


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_after_the_call(run: Run, fails: bool) -> None:
    async def wait(probe: Probe) -> None:
        await asyncio.sleep(0)
        if fails:
            raise Planned

    def caller(probe: Probe) -> None:
        async_to_sync(wait)(probe)

    async def main() -> None:
        probe = Probe()
        alive = weakref.ref(probe)
        try:
            await suspending.run_sync(caller, probe)
        except Planned:
            assert fails
        del probe
        await asyncio.sleep(0)
        assert alive() is None

    with no_collector():
        run(main())


# -- cancellation ----------------------------------------------------------------------------------


def test_a_timeout_arrives_in_the_coroutine_and_then_in_the_synchronous_code(run: Run) -> None:
    log: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("coroutine")
            raise

    def caller() -> None:
        try:
            async_to_sync(wait)()
        except asyncio.CancelledError:
            log.append("caller")
            async_to_sync(asyncio.sleep)(0)
            log.append("cleaned up")
            raise

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await suspending.run_sync(caller)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())
    assert log == ["coroutine", "caller", "cleaned up"]


def test_a_timeout_inside_the_stack(run: Run) -> None:
    async def wait() -> str:
        try:
            async with asyncio.timeout(0.02):
                await asyncio.sleep(60)
        except TimeoutError:
            return "timeout"
        return "none"

    assert run(suspending.run_sync(async_to_sync(wait))) == "timeout"


def test_a_failing_sibling_of_a_task_group_cancels_the_stack(run: Run) -> None:
    log: list[str] = []

    async def main() -> None:
        entered = asyncio.Event()

        async def fail() -> None:
            await entered.wait()
            raise Planned

        def caller() -> None:
            entered.set()
            try:
                async_to_sync(asyncio.sleep)(60)
            finally:
                log.append("left")

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(suspending.run_sync(caller))
                group.create_task(fail())

        with pytest.raises(ExceptionGroup) as caught:
            await both()
        assert [type(error) for error in caught.value.exceptions] == [Planned]

    run(main())
    assert log == ["left"]


def test_a_cancellation_that_the_code_swallows_is_swallowed(run: Run) -> None:
    def caller() -> str:
        try:
            async_to_sync(asyncio.sleep)(60)
        except asyncio.CancelledError:
            return "swallowed"
        return "slept"

    async def main() -> None:
        task = asyncio.create_task(suspending.run_sync(caller))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "swallowed"

    run(main())


def test_synchronous_code_can_ask_whether_it_is_cancelled(run: Run) -> None:
    def caller() -> str:
        from_thread.check_cancelled()
        task = from_thread.run_sync(asyncio.current_task)
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            from_thread.check_cancelled()
        with pytest.raises(asyncio.CancelledError):
            from_thread.check_cancelled()
        return async_to_sync(asyncio.sleep)(0, "cleaned up")

    assert run(suspending.run_sync(caller)) == "cleaned up"


# -- context variables -----------------------------------------------------------------------------


def test_context_variables_are_those_of_a_plain_call(run: Run) -> None:
    async def change() -> contextvars.Token[str]:
        assert var.get() == "caller"
        await asyncio.sleep(0)
        assert var.get() == "caller"
        return var.set("coroutine")

    def caller() -> None:
        assert var.get() == "task"
        outer = var.set("caller")
        inner = async_to_sync(change)()
        assert var.get() == "coroutine"
        var.reset(inner)
        assert var.get() == "caller"
        var.reset(outer)
        assert var.get() == "task"
        var.set("left by caller")

    async def main() -> None:
        token = var.set("task")
        await suspending.run_sync(caller)
        assert var.get() == "left by caller"
        var.reset(token)
        assert var.get() == "unset"

    run(main())


def test_the_coroutine_sees_the_context_that_the_stack_runs_in(run: Run) -> None:
    async def look() -> str:
        await asyncio.sleep(0)
        seen = var.get()
        var.set("coroutine")
        return seen

    def caller() -> list[str]:
        context = contextvars.copy_context()
        context.run(var.set, "inner context")
        return [context.run(async_to_sync(look)), context[var], var.get()]

    async def main() -> None:
        var.set("task")
        assert await suspending.run_sync(caller) == ["inner context", "coroutine", "task"]
        assert var.get() == "task"

    run(main())


def test_siblings_keep_their_own_context(run: Run) -> None:
    def caller(value: str) -> str:
        var.set(value)
        async_to_sync(asyncio.sleep)(0)
        return var.get()

    async def main() -> None:
        calls = (suspending.run_sync(caller, str(n)) for n in range(20))
        assert await asyncio.gather(*calls) == [str(n) for n in range(20)]
        assert var.get() == "unset"

    run(main())


def test_without_any_context_yet() -> None:
    """In a fresh thread, driven by hand, there is no context object to share until one is made."""
    seen: list[str] = []

    def target() -> None:
        coroutine = suspending.run_sync(var.set, "set in the stack")
        with pytest.raises(StopIteration):
            coroutine.send(None)
        seen.append(var.get())

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert seen == ["set in the stack"]


# -- mixed with the rest of the bridge -------------------------------------------------------------


def test_a_stack_within_a_stack(run: Run) -> None:
    async def deeper(depth: int) -> list[Any]:
        await asyncio.sleep(0)
        if not depth:
            return [asyncio.current_task()]
        return [var.get(), *await suspending.run_sync(caller, depth - 1)]

    def caller(depth: int) -> list[Any]:
        var.set(f"depth {depth}")
        return async_to_sync(deeper)(depth)

    async def main() -> None:
        found = await suspending.run_sync(caller, 3)
        assert found == ["depth 3", "depth 2", "depth 1", asyncio.current_task()]
        assert var.get() == "depth 0"

    run(main())


def test_threads_below_a_stack_come_back_to_its_task(run: Run) -> None:
    def in_thread() -> tuple[bool, Any]:
        other = threading.current_thread() is not threading.main_thread()
        return other, async_to_sync(current_task)()

    async def crosses() -> tuple[bool, Any]:
        await asyncio.sleep(0)
        return await to_thread.run_sync(in_thread)

    async def main() -> None:
        host = asyncio.current_task()
        assert await suspending.run_sync(async_to_sync(crosses)) == (True, host)

    run(main())


def test_a_stack_below_a_thread(run: Run) -> None:
    async def crosses() -> Any:
        return await suspending.run_sync(async_to_sync(current_task))

    async def main() -> None:
        assert await to_thread.run_sync(async_to_sync(crosses)) is asyncio.current_task()

    run(main())


def test_a_synchronous_call_below_an_awaited_coroutine_suspends_too(run: Run) -> None:
    """As when a library's asynchronous function calls a synchronous hook."""

    async def library() -> str:
        await asyncio.sleep(0)
        return hook()

    def hook() -> str:
        return async_to_sync(asyncio.sleep)(0, "hooked")

    assert run(suspending.run_sync(async_to_sync(library))) == "hooked"


def test_a_loop_of_its_own_on_a_worker_thread() -> None:
    """The stack belongs to the loop that runs on its thread, not to the one that started it."""

    async def inner() -> bool:
        return await suspending.run_sync(async_to_sync(current_task)) is asyncio.current_task()

    async def main() -> bool:
        return await to_thread.run_sync(lambda: asyncio.run(inner()))

    assert asyncio.run(main())


# -- portals ---------------------------------------------------------------------------------------


def test_a_portal_to_the_same_loop(run: Run) -> None:
    async def change(value: str) -> Any:
        await asyncio.sleep(0)
        assert var.get() == "caller"
        var.set(value)
        return asyncio.current_task()

    def caller(portal: BlockingPortal) -> Any:
        var.set("caller")
        task = portal.call(change, "changed")
        assert var.get() == "changed"
        assert portal.call(int, "5") == 5
        return task

    async def main() -> None:
        async with BlockingPortal() as portal:
            task = await suspending.run_sync(caller, portal)
            assert task is not asyncio.current_task()

    run(main())


def test_a_portal_to_another_loop_does_not_block_this_one(run: Run) -> None:
    async def main() -> None:
        woken = threading.Event()
        loop = asyncio.get_running_loop()

        async def wait() -> str:
            return await asyncio.to_thread(lambda: str(woken.wait(30)))

        def caller(portal: BlockingPortal) -> str:
            loop.call_soon(woken.set)  # it only can if this loop goes on
            return portal.call(wait)

        with start_blocking_portal() as portal:
            assert await suspending.run_sync(caller, portal) == "True"
        assert await suspending.run_sync(caller, default_portal()) == "True"

    run(main())


def test_a_cancelled_portal_call_is_waited_for(run: Run) -> None:
    log: list[str] = []

    async def wait(started: Callable[[], Any]) -> None:
        try:
            started()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            log.append("ended")

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel = functools.partial(loop.call_soon_threadsafe, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await suspending.run_sync(default_portal().call, wait, cancel)
        log.append("raised")

    run(main())
    assert log == ["ended", "raised"]


def test_errors_of_a_portal_call(run: Run) -> None:
    async def fails(probe: Probe) -> None:
        raise Planned

    async def main() -> None:
        probe = Probe()
        alive = weakref.ref(probe)
        try:
            await suspending.run_sync(default_portal().call, fails, probe)
        except Planned:
            pass
        else:
            pytest.fail("not raised")
        del probe
        await suspending.run_sync(default_portal().call, int)  # the loop lets go of the first
        assert alive() is None

    with no_collector():
        run(main())


def test_a_portal_that_ends_before_the_call_begins() -> None:
    from bridgekit import PortalClosedError

    async def main() -> None:
        loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve() -> None:
            loop.call_soon(started.set)
            loop.call_later(0.05, loop.stop)
            loop.run_forever()

        from bridgekit.adapters.loop_to_loop import await_on_loop

        async def never() -> None:
            raise AssertionError

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        waiting = asyncio.ensure_future(await_on_loop(loop, never))
        await asyncio.sleep(0)
        loop.close()
        with pytest.raises(PortalClosedError):
            await waiting
        with pytest.raises(PortalClosedError):
            await await_on_loop(loop, never)

    asyncio.run(main())


# -- together with SQLAlchemy's greenlets ----------------------------------------------------------


def test_its_await_works_in_a_stack(run: Run) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise Planned

    def caller() -> list[Any]:
        with pytest.raises(Planned):
            await_only(fails())
        return [await_only(current_task()), async_to_sync(current_task)()]

    async def main() -> None:
        host = asyncio.current_task()
        assert await suspending.run_sync(caller) == [host, host]

    run(main())


def test_a_stack_inside_its_greenlet(run: Run) -> None:
    def innermost() -> list[Any]:
        return [async_to_sync(current_task)(), await_only(current_task())]

    def theirs() -> list[Any]:
        found = await_only(suspending.run_sync(innermost))
        return [*found, await_only(current_task())]

    async def main() -> None:
        host = asyncio.current_task()
        assert await greenlet_spawn(theirs) == [host] * 3

    run(main())


def test_its_greenlet_inside_a_stack(run: Run) -> None:
    def innermost() -> list[Any]:
        var.set("innermost")
        return [await_only(current_task()), async_to_sync(current_task)()]

    async def theirs() -> list[Any]:
        return await greenlet_spawn(innermost)

    def ours() -> list[Any]:
        found = async_to_sync(theirs)()
        assert var.get() == "innermost"
        return [*found, async_to_sync(current_task)()]

    async def main() -> None:
        host = asyncio.current_task()
        assert await suspending.run_sync(ours) == [host] * 3

    run(main())


def test_cancellation_through_its_greenlet_inside_a_stack(run: Run) -> None:
    log: list[str] = []

    def innermost() -> None:
        try:
            async_to_sync(asyncio.sleep)(60)
        finally:
            await_only(asyncio.sleep(0))
            log.append("innermost")

    def ours() -> None:
        try:
            async_to_sync(greenlet_spawn)(innermost)
        finally:
            log.append("ours")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await suspending.run_sync(ours)

    run(main())
    assert log == ["innermost", "ours"]


def test_a_session_in_a_stack() -> None:
    numbers = Table("numbers", MetaData(), Column("n", Integer))

    async def main() -> int | None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.begin() as connection:
            await connection.run_sync(numbers.metadata.create_all)

        async def count(session: AsyncSession) -> int | None:
            return await session.scalar(select(func.count()).select_from(numbers))

        def work(session: AsyncSession) -> int | None:
            # The same session from plain synchronous code, and from a coroutine.
            session.sync_session.execute(insert(numbers), [{"n": 1}, {"n": 2}])
            return async_to_sync(count)(session)

        async with AsyncSession(engine) as session:
            found = await suspending.run_sync(work, session)
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 2


# -- thrown away -----------------------------------------------------------------------------------


class Held:
    """A stack that holds something while it waits, and says when it has been unwound."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.probe: weakref.ref[Probe] | None = None

    def __call__(self) -> None:
        probe = Probe()
        self.probe = weakref.ref(probe)
        try:
            async_to_sync(self.wait)()
        except BaseException as error:
            self.log.append(f"stack {type(error).__name__}")
            raise

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            self.log.append(f"coroutine {type(error).__name__}")
            raise

    def check(self) -> None:
        assert self.log == ["coroutine GeneratorExit", "stack GeneratorExit"]
        assert self.probe is not None
        assert self.probe() is None


@pytest.mark.parametrize("nested", [0, 1, 2])
def test_closing_the_coroutine_unwinds_the_stack(nested: int) -> None:
    held = Held()

    async def main() -> None:
        call: Callable[[], Any] = held
        for _ in range(nested):
            call = async_to_sync(suspending.suspendable(call))
        coroutine = suspending.run_sync(call)
        coroutine.send(None)
        coroutine.close()
        held.check()

    with no_collector():
        asyncio.run(main())


def test_a_task_that_is_collected_unwinds_its_stack() -> None:
    held = Held()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed"
        task = loop.create_task(suspending.run_sync(held))
        await asyncio.sleep(0)
        del task
        gc.collect()
        held.check()

    asyncio.run(main())


def test_a_stack_closed_on_another_thread_is_unwound_on_its_own() -> None:
    held = Held()
    threads: list[int] = []

    def call() -> None:
        try:
            held()
        finally:
            threads.append(threading.get_ident())

    async def main() -> None:
        coroutine = suspending.run_sync(call)
        coroutine.send(None)
        closer = threading.Thread(target=coroutine.close)
        closer.start()
        closer.join()
        assert held.log == ["coroutine GeneratorExit"]
        del coroutine
        await suspending.run_sync(int)
        assert threads == [threading.get_ident()]
        assert held.log == ["coroutine GeneratorExit", "stack GreenletExit"]
        assert held.probe is not None
        assert held.probe() is None

    with no_collector():
        asyncio.run(main())


def test_a_closed_stack_cannot_wait_again() -> None:
    log: list[str] = []

    def call() -> None:
        try:
            async_to_sync(asyncio.sleep)(60)
        finally:
            async_to_sync(current_result)()  # does not wait
            log.append("did not wait")
            try:
                async_to_sync(asyncio.sleep)(60)
            except GeneratorExit:
                log.append("refused to wait")

    async def current_result() -> None:
        pass

    async def main() -> None:
        coroutine = suspending.run_sync(call)
        coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    assert log == ["did not wait", "refused to wait"]


def test_a_coroutine_that_ignores_being_closed_is_told_so() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except BaseException:
                continue

    async def main() -> None:
        coroutine = suspending.run_sync(async_to_sync(stubborn))
        coroutine.send(None)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            coroutine.close()

    asyncio.run(main())


def test_its_await_in_a_closed_stack_is_told_so() -> None:
    def stubborn() -> None:
        try:
            await_only(asyncio.sleep(60))
        finally:
            await_only(asyncio.sleep(60))

    async def main() -> None:
        coroutine = suspending.run_sync(stubborn)
        coroutine.send(None)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            coroutine.close()

    asyncio.run(main())


def test_a_stack_goes_back_to_whoever_resumed_it() -> None:
    """Not to the greenlet in which it began, which may be waiting for something else."""

    @types.coroutine
    def pause(value: str) -> Generator[str, str, str]:
        return (yield value)

    def caller() -> list[str]:
        return [async_to_sync(pause)("one"), async_to_sync(pause)("two")]

    async def main() -> None:
        here = greenlet.getcurrent()
        coroutine = suspending.run_sync(caller)

        def begin() -> None:
            here.switch(coroutine.send(None))
            pytest.fail("the other greenlet was resumed")

        other = greenlet.greenlet(begin)
        assert other.switch() == "one"
        assert coroutine.send("first") == "two"
        with pytest.raises(StopIteration) as stop:
            coroutine.send("second")
        assert stop.value.value == ["first", "second"]

    asyncio.run(main())


def test_greenlets_do_not_pile_up(run: Run) -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(found, greenlet.greenlet) for found in gc.get_objects())

    def caller(fails: bool) -> None:
        async_to_sync(asyncio.sleep)(0)
        if fails:
            raise Planned

    async def main() -> None:
        before = alive()
        for number in range(200):
            task = asyncio.create_task(suspending.run_sync(caller, number % 2 == 0))
            if number % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
        del task
        assert alive() == before

    run(main())
