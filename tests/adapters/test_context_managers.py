"""async_context_manager and sync_context_manager: managers of one colour used from the other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.lowlevel
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgekit import (
    CapacityLimiter,
    LoopThreadError,
    ThreadSensitiveContext,
    async_to_sync,
    sync_to_async,
    to_thread,
)
from bridgekit.adapters import suspending
from bridgekit.adapters.context_managers.to_async import async_context_manager
from bridgekit.adapters.context_managers.to_sync import sync_context_manager
from bridgekit.adapters.iterators.to_sync import sync_iterator

var: contextvars.ContextVar[Any] = contextvars.ContextVar("var")
ident = sync_to_async(threading.get_ident, thread_sensitive=True)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def run(main: Any) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(main, 30))

    return run


class Manager:
    """A synchronous manager that says what happens to it."""

    def __init__(self, *, suppress: bool = False, gate: threading.Event | None = None) -> None:
        self.suppress = suppress
        self.gate = gate
        self.entering = threading.Event()
        self.entered_on: int | None = None
        self.left_on: int | None = None
        self.exits: list[Any] = []

    def __enter__(self) -> int:
        self.entering.set()
        if self.gate is not None:
            self.gate.wait(10)
        self.entered_on = threading.get_ident()
        self.token = var.set("manager")
        return 42

    def __exit__(self, *info: Any) -> bool:
        self.left_on = threading.get_ident()
        self.exits.append(info)
        var.reset(self.token)
        return self.suppress

    def check(self) -> None:
        assert len(self.exits) == (self.entered_on is not None)
        assert self.entered_on == self.left_on
        assert self.entered_on != threading.get_ident()


class AsyncManager:
    """An asynchronous manager that says what happens to it."""

    def __init__(self, *, suppress: bool = False) -> None:
        self.suppress = suppress
        self.entered_in: Any = None
        self.left_in: Any = None
        self.exits: list[Any] = []

    async def __aenter__(self) -> int:
        await asyncio.sleep(0)
        self.entered_in = asyncio.current_task()
        self.token = var.set("manager")
        return 42

    async def __aexit__(self, *info: Any) -> bool:
        self.left_in = asyncio.current_task()
        self.exits.append(info)
        var.reset(self.token)
        await asyncio.sleep(0)
        return self.suppress

    def check(self) -> None:
        assert len(self.exits) == 1
        assert self.entered_in is self.left_in
        assert self.entered_in is not None


# -- synchronous managers in asynchronous code -----------------------------------------------------


def test_enter_and_exit_on_one_thread_in_one_context(run: Callable[..., Any]) -> None:
    manager = Manager()

    async def main() -> None:
        async with async_context_manager(manager) as value:
            assert value == 42
            assert var.get() == "manager"
            assert await ident() == manager.entered_on
            # The pool stays free, and used threads do not matter.
            await asyncio.gather(*(to_thread.run_sync(int) for _ in range(10)))
            var.set("body")
        assert var.get("unset") == "unset"
        assert manager.exits == [(None, None, None)]

    run(main())
    manager.check()


def test_exceptions_are_given_to_the_manager(run: Callable[..., Any]) -> None:
    async def main() -> None:
        error = LookupError("body")
        for suppress in (True, False):
            manager = Manager(suppress=suppress)
            caught = None
            try:
                async with async_context_manager(manager):
                    raise error
            except LookupError as raised:
                caught = raised
            assert caught is (None if suppress else error)
            assert manager.exits[0][:2] == (LookupError, error)
            manager.check()

    run(main())


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration("x"), SystemExit(3)])
def test_generator_based_managers_see_and_replace_exceptions(
    run: Callable[..., Any], error: BaseException
) -> None:
    seen = []

    @async_context_manager
    @contextmanager
    def manager(number: int, *, name: str) -> Iterator[tuple[int, str]]:
        try:
            yield number, name
        except BaseException as caught:
            seen.append(caught)
            raise KeyError("replaced") from caught

    async def body() -> None:
        async with manager(1, name="x") as value:
            assert value == (1, "x")
            raise error

    async def main() -> None:
        assert manager.__name__ == "manager"
        with pytest.raises(KeyError) as caught:
            await body()
        assert caught.value.__cause__ is error
        async with manager(2, name="y"):
            pass

    run(main())
    assert seen == [error]


def test_functions_are_called_on_the_thread(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text", encoding="utf-8")
    threads = []

    def connect(name: str) -> sqlite3.Connection:
        threads.append(threading.get_ident())
        return sqlite3.connect(name)

    async def main() -> None:
        async with async_context_manager(open)(path, encoding="utf-8") as file:
            assert await to_thread.run_sync(file.read) == "text"
        assert file.closed
        async with async_context_manager(connect)(":memory:") as connection:
            execute = sync_to_async(connection.execute, thread_sensitive=True)
            cursor = await execute("select 1")
            assert await sync_to_async(cursor.fetchone, thread_sensitive=True)() == (1,)
            await sync_to_async(connection.close, thread_sensitive=True)()

        class Class:
            @async_context_manager()
            @contextmanager
            def method(self) -> Iterator[Any]:
                yield self

        thing = Class()
        async with thing.method() as value:
            assert value is thing

    # The connection is closed by the block: its own exit, which commits, is to be harmless.
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        run(main())
    assert threading.get_ident() not in threads


def test_the_thread_of_an_open_context_is_used_and_kept(run: Callable[..., Any]) -> None:
    async def main() -> None:
        manager = Manager()
        stack = AsyncExitStack()
        async with ThreadSensitiveContext():
            thread = await ident()
            await stack.enter_async_context(async_context_manager(manager))
            assert manager.entered_on == thread
            assert await ident() == thread
        async with ThreadSensitiveContext():
            assert await ident() != thread
        await stack.aclose()
        manager.check()

    run(main())


def test_affinity_context_is_where_thread_sensitive_calls_run() -> None:
    manager = Manager()

    async def main() -> None:
        async with async_context_manager(manager, affinity="context"):
            assert await ident() == manager.entered_on

    async_to_sync(main)()
    assert manager.entered_on == manager.left_on == threading.get_ident()


def test_executor_and_limiter(run: Callable[..., Any]) -> None:
    limiter = CapacityLimiter(1)
    manager = Manager()

    async def main() -> None:
        with ThreadPoolExecutor(1) as executor:
            async with async_context_manager(manager, executor=executor, limiter=limiter):
                assert limiter.borrowed_tokens == 0
                assert executor.submit(threading.get_ident).result() == manager.entered_on

    run(main())
    manager.check()


def test_what_is_refused(run: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="not a synchronous"):
        async_context_manager(AsyncManager())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not an asynchronous"):
        sync_context_manager(Manager())  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="affinity"):
        async_context_manager(Manager(), affinity="chain")  # type: ignore[call-overload]

    async def main() -> None:
        adapter = async_context_manager(Manager())
        with pytest.raises(RuntimeError, match="not been entered"):
            await adapter.__aexit__(None, None, None)
        async with adapter:
            with pytest.raises(RuntimeError, match="entered already"):
                await adapter.__aenter__()
        async with adapter:  # one after the other is fine if the manager can do it
            pass
        with pytest.raises(LoopThreadError, match="sync_context_manager"):
            sync_context_manager(AsyncManager()).__enter__()

    run(main())


def test_a_manager_that_fails_to_enter(run: Callable[..., Any]) -> None:
    @async_context_manager
    @contextmanager
    def fails() -> Iterator[None]:
        raise LookupError
        yield

    async def main() -> None:
        with pytest.raises(LookupError):
            async with fails():
                pytest.fail("the body of a manager that was not entered")
        assert await ident() == await ident()

    run(main())


def test_cancelled_while_entering(run: Callable[..., Any]) -> None:
    gate = threading.Event()
    manager = Manager(gate=gate)

    async def main() -> None:
        async def enter() -> None:
            async with async_context_manager(manager):
                pytest.fail("cancelled")

        task = asyncio.create_task(enter())
        await to_thread.run_sync(manager.entering.wait)
        task.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert manager.exits[0][0] is asyncio.CancelledError
        manager.check()

    run(main())


def test_cancel_scopes_that_repeat_themselves(run: Callable[..., Any]) -> None:
    manager = Manager()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with async_context_manager(manager):
                scope.cancel()
                await asyncio.get_running_loop().create_future()
        assert scope.cancelled_caught
        manager.check()

    run(main())


@settings(max_examples=60, deadline=None)
@given(ticks=st.integers(0, 40))
def test_cancelled_at_any_tick_is_left_once(ticks: int) -> None:
    manager = Manager()

    async def use() -> None:
        async with async_context_manager(manager):
            for _ in range(3):
                await asyncio.sleep(0)

    async def main() -> None:
        before = asyncio.all_tasks()
        task = asyncio.create_task(use())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 30))
    manager.check()


# -- asynchronous managers in synchronous code -----------------------------------------------------


def test_from_plain_code_enter_and_exit_in_one_task() -> None:
    manager = AsyncManager()

    def use() -> None:
        with sync_context_manager(manager) as value:
            assert value == 42
            assert var.get() == "manager"
            var.set("body")
        assert var.get("unset") == "unset"

    contextvars.copy_context().run(use)
    manager.check()
    assert manager.exits == [(None, None, None)]


def test_on_a_worker_it_is_the_task_that_awaits_it(run: Callable[..., Any]) -> None:
    manager = AsyncManager()

    def use() -> None:
        with sync_context_manager(manager):
            assert var.get() == "manager"
        assert var.get("unset") == "unset"

    async def main() -> None:
        await to_thread.run_sync(use)
        assert manager.entered_in is asyncio.current_task()

    run(main())
    manager.check()


def test_on_a_worker_of_another_library(run: Callable[..., Any]) -> None:
    manager = AsyncManager()

    def use() -> None:
        with sync_context_manager(manager):
            pass

    async def main() -> None:
        await anyio.to_thread.run_sync(use)
        assert manager.entered_in.get_loop() is asyncio.get_running_loop()

    run(main())
    manager.check()


@pytest.mark.parametrize("suppress", [True, False])
@pytest.mark.parametrize("worker", [True, False])
def test_exceptions_are_given_to_the_asynchronous_manager(worker: bool, suppress: bool) -> None:
    error = LookupError("body")
    manager = AsyncManager(suppress=suppress)

    def use() -> BaseException | None:
        try:
            with sync_context_manager(manager):
                raise error
        except LookupError as caught:
            return caught
        return None

    caught = asyncio.run(to_thread.run_sync(use)) if worker else use()
    assert caught is (None if suppress else error)
    assert manager.exits[0][:2] == (LookupError, error)
    manager.check()


@pytest.mark.parametrize("worker", [True, False])
def test_functions_that_make_asynchronous_managers(worker: bool) -> None:
    log: list[Any] = []

    @sync_context_manager
    @asynccontextmanager
    async def manager(number: int) -> AsyncIterator[int]:
        try:
            yield number
        except ValueError as error:
            log.append(error)
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    @sync_context_manager
    async def coroutine() -> AsyncManager:
        await asyncio.sleep(0)
        return AsyncManager()

    error = ValueError()

    def use() -> None:
        with manager(3) as value:
            assert value == 3
            raise error

    def use_other() -> None:
        with coroutine() as value:
            assert value == 42

    for function in (use, use_other):
        if worker:
            asyncio.run(to_thread.run_sync(function))
        else:
            function()
    assert log == [error, "closed"]


@pytest.mark.parametrize("worker", [True, False])
def test_an_asynchronous_manager_that_fails_to_enter(worker: bool) -> None:
    @sync_context_manager
    @asynccontextmanager
    async def fails() -> AsyncIterator[None]:
        raise LookupError
        yield

    def use() -> None:
        with pytest.raises(LookupError), fails():
            pytest.fail("the body of a manager that was not entered")

    if worker:
        asyncio.run(to_thread.run_sync(use))
    else:
        use()


def test_a_timeout_around_the_calls_of_a_block(run: Callable[..., Any]) -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    def use() -> None:
        with pytest.raises(TimeoutError), sync_context_manager(asyncio.timeout)(0.001):
            async_to_sync(forever)()

    async def main() -> None:
        await to_thread.run_sync(use)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_timeout_that_strikes_while_the_thread_works(run: Callable[..., Any]) -> None:
    def use(expired: threading.Event) -> None:
        manager = sync_context_manager(asyncio.timeout)(0)
        with pytest.raises(TimeoutError), manager:
            expired.wait(10)

    async def main() -> None:
        # The loop runs the timeout's callback and this one in order, before the thread goes on.
        expired = threading.Event()
        asyncio.get_running_loop().call_later(0.01, expired.set)
        await to_thread.run_sync(use, expired)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_task_group_around_a_block(run: Callable[..., Any]) -> None:
    log: list[str] = []

    async def child(name: str) -> None:
        await asyncio.sleep(0)
        log.append(name)

    async def start(group: asyncio.TaskGroup, name: str) -> None:
        group.create_task(child(name))

    def use() -> None:
        with sync_context_manager(asyncio.TaskGroup()) as group:
            async_to_sync(start)(group, "one")
            async_to_sync(start)(group, "two")
        assert log == ["one", "two"]

    async def main() -> None:
        await to_thread.run_sync(use)

    run(main())
    log.clear()
    use()


def test_a_task_group_whose_child_fails(run: Callable[..., Any]) -> None:
    async def child() -> None:
        raise LookupError

    async def start(group: asyncio.TaskGroup) -> None:
        group.create_task(child())

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    def run_group() -> None:
        with sync_context_manager(asyncio.TaskGroup()) as group:
            async_to_sync(start)(group)
            if worker:
                async_to_sync(forever)()

    def use() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            run_group()
        assert isinstance(caught.value.exceptions[0], LookupError)

    async def main() -> None:
        await to_thread.run_sync(use)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    worker = True
    run(main())
    worker = False
    use()


def test_cancelled_while_the_block_works_in_its_thread(run: Callable[..., Any]) -> None:
    manager = AsyncManager()
    inside, go_on = threading.Event(), threading.Event()

    def use() -> None:
        with sync_context_manager(manager):
            inside.set()
            go_on.wait(10)

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(use))
        await to_thread.run_sync(inside.wait)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())
    manager.check()
    assert manager.exits[0][0] is asyncio.CancelledError


@settings(max_examples=60, deadline=None)
@given(ticks=st.integers(0, 40))
def test_cancelled_at_any_tick_the_asynchronous_manager_is_left_once(ticks: int) -> None:
    manager = AsyncManager()

    async def call() -> None:
        await asyncio.sleep(0)

    def use() -> None:
        with sync_context_manager(manager):
            async_to_sync(call)()

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(use))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(asyncio.wait_for(main(), 30))
    assert len(manager.exits) == (manager.entered_in is not None)
    assert manager.entered_in is manager.left_in


@pytest.mark.skipif(sys.platform == "win32", reason="pthread_kill")
def test_ctrl_c_while_entering_leaves_what_was_entered_all_the_same() -> None:
    main_thread = threading.get_ident()

    class Stubborn(AsyncManager):
        async def __aenter__(self) -> int:
            signal.pthread_kill(main_thread, signal.SIGINT)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            return await super().__aenter__()

    manager = Stubborn()
    with pytest.raises(KeyboardInterrupt), sync_context_manager(manager):
        pytest.fail("interrupted")
    manager.check()
    assert manager.exits[0][0] is KeyboardInterrupt


def test_entered_in_one_call_and_left_in_another(run: Callable[..., Any]) -> None:
    async def main() -> None:
        manager = AsyncManager()
        adapter = sync_context_manager(manager)
        assert await to_thread.run_sync(adapter.__enter__) == 42
        await to_thread.run_sync(adapter.__exit__, None, None, None)
        assert manager.exits == [(None, None, None)]

    run(main())


def test_a_pool_of_one_thread_is_enough(run: Callable[..., Any]) -> None:
    @sync_context_manager
    @asynccontextmanager
    async def outer() -> AsyncIterator[int]:
        async with async_context_manager(Manager()) as value:
            yield value
            await to_thread.run_sync(int)

    def use() -> None:
        with outer() as value, outer() as other:
            assert value == other == 42

    before = to_thread.get_max_workers()
    to_thread.set_max_workers(1)
    try:
        use()
        run(_in_thread(use))
    finally:
        to_thread.set_max_workers(before)


def test_under_trio() -> None:
    manager = Manager()
    log: list[str] = []

    @sync_context_manager
    @asynccontextmanager
    async def asynchronous() -> AsyncIterator[int]:
        await trio.lowlevel.checkpoint()
        yield 7
        await trio.lowlevel.checkpoint()
        log.append("left")

    def use() -> int:
        with asynchronous() as value:
            return value

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with async_context_manager(manager):
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert await to_thread.run_sync(use) == 7

    trio.run(main)
    manager.check()
    assert log == ["left"]


def test_in_a_call_stack_that_is_suspended(run: Callable[..., Any]) -> None:
    pytest.importorskip("greenlet")
    manager = AsyncManager()

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    def use() -> None:
        with sync_context_manager(manager):
            assert list(sync_iterator(_numbers())) == [0, 1, 2]
        with pytest.raises(TimeoutError), sync_context_manager(asyncio.timeout)(0.001):
            async_to_sync(forever)()

    async def main() -> None:
        await suspending.run_sync(use)
        assert manager.entered_in is asyncio.current_task()

    run(main())
    manager.check()


async def _numbers() -> AsyncIterator[int]:
    for number in range(3):
        await asyncio.sleep(0)
        yield number


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await to_thread.run_sync(function)
