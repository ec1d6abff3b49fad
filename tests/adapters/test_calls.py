"""sync_to_async, async_to_sync, to_thread and from_thread: what crosses, and how."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import re
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from bridgekit import (
    CapacityLimiter,
    DeadlockError,
    LoopThreadError,
    async_to_sync,
    default_portal,
    from_thread,
    sync_to_async,
    to_thread,
)

var: contextvars.ContextVar[Any] = contextvars.ContextVar("var")
other: contextvars.ContextVar[Any] = contextvars.ContextVar("other", default=0)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``asyncio.run`` on either loop; every test that uses it runs on both."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def run(main: Any) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(main, 30))

    return run


@pytest.fixture
def one_worker() -> Iterator[None]:
    before = to_thread.get_max_workers()
    to_thread.set_max_workers(1)
    yield
    to_thread.set_max_workers(before)


async def current() -> tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]:
    await asyncio.sleep(0)
    return asyncio.get_running_loop(), asyncio.current_task()


# -- results, exceptions, tracebacks ---------------------------------------------------------------


def test_arguments_and_result(run: Callable[..., Any]) -> None:
    def join(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs, threading.current_thread() is not threading.main_thread()

    async def main() -> None:
        assert await to_thread.run_sync(join, 1, x=2) == ((1,), {"x": 2}, True)
        assert await sync_to_async(join)(1, func=2) == ((1,), {"func": 2}, True)

    run(main())


@pytest.mark.parametrize("error", [ValueError("x"), KeyError(1), asyncio.CancelledError("mine")])
def test_exceptions_cross_both_ways_unchanged(
    run: Callable[..., Any], error: BaseException
) -> None:
    def fail_in_thread() -> None:
        raise error

    async def fail_on_loop() -> None:
        await asyncio.sleep(0)
        raise error

    async def main() -> None:
        with pytest.raises(type(error)) as caught:
            await to_thread.run_sync(fail_in_thread)
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            await to_thread.run_sync(async_to_sync(fail_on_loop))
        assert caught.value is error

    run(main())
    with pytest.raises(type(error)) as caught:
        async_to_sync(fail_on_loop)()
    assert caught.value is error


def test_the_traceback_shows_both_sides(run: Callable[..., Any]) -> None:
    async def innermost() -> None:
        raise ValueError("deep")

    def middle() -> None:
        async_to_sync(innermost)()

    async def main() -> None:
        await to_thread.run_sync(middle)

    with pytest.raises(ValueError, match="deep") as caught:
        run(main())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert [name for name in names if name in {"main", "middle", "innermost"}] == [
        "main",
        "middle",
        "innermost",
    ]


@pytest.mark.parametrize("direction", ["to_thread", "nested", "portal"])
@pytest.mark.parametrize("fails", [False, True])
def test_no_reference_outlives_the_call(
    run: Callable[..., Any], direction: str, fails: bool
) -> None:
    class Payload:
        pass

    def sync(payload: Payload) -> None:
        if fails:
            raise ValueError

    async def native(payload: Payload) -> None:
        await asyncio.sleep(0)
        if fails:
            raise ValueError

    async def main() -> weakref.ref[Payload]:
        payload = Payload()
        reference = weakref.ref(payload)
        try:
            if direction == "to_thread":
                await to_thread.run_sync(sync, payload)
            else:
                await to_thread.run_sync(async_to_sync(native), payload)
        except ValueError:
            assert fails
        del payload
        # The worker drops its last reference after it has reported; another call comes after that.
        await to_thread.run_sync(int)
        await asyncio.sleep(0)
        assert reference() is None
        return reference

    def outside() -> None:
        payload = Payload()
        reference = weakref.ref(payload)
        try:
            async_to_sync(native)(payload)
        except ValueError:
            assert fails
        del payload
        async_to_sync(asyncio.sleep)(0)
        assert reference() is None

    gc.collect()
    gc.disable()
    try:
        outside() if direction == "portal" else run(main())
    finally:
        gc.enable()


def test_stop_iteration_becomes_a_runtime_error(run: Callable[..., Any]) -> None:
    def stop() -> None:
        raise StopIteration(7)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await to_thread.run_sync(stop)
        assert isinstance(caught.value.__cause__, StopIteration)

    run(main())


# -- context variables -----------------------------------------------------------------------------


def test_context_variables_cross_both_ways(run: Callable[..., Any]) -> None:
    async def native() -> str:
        await asyncio.sleep(0)
        seen: str = var.get()
        var.set(seen + "c")
        return seen

    def sync() -> str:
        seen: str = var.get()
        var.set(seen + "b")
        assert async_to_sync(native)() == "ab"
        var.set(var.get() + "d")
        return seen

    async def main() -> None:
        var.set("a")
        assert await to_thread.run_sync(sync) == "a"
        assert var.get() == "abcd"

    run(main())

    def outside() -> None:
        var.set("ab")
        assert async_to_sync(native)() == "ab"
        assert var.get() == "abc"

    contextvars.copy_context().run(outside)


def test_a_variable_that_the_thread_resets_is_unset_again(run: Callable[..., Any]) -> None:
    async def look() -> str:
        return str(var.get("unset"))

    def sync() -> list[str]:
        token = var.set("set")
        first = async_to_sync(look)()
        var.reset(token)
        return [first, async_to_sync(look)()]

    async def main() -> None:
        assert await to_thread.run_sync(sync) == ["set", "unset"]
        assert var.get("unset") == "unset"

    run(main())


def test_calls_side_by_side_in_one_context_lose_no_update() -> None:
    async def main() -> None:
        var.set(1)
        other.set(2)
        context = contextvars.copy_context()
        both = threading.Barrier(2, timeout=10)

        def change(variable: contextvars.ContextVar[Any], value: int) -> None:
            both.wait()
            variable.set(value)
            both.wait()

        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(to_thread.run_sync(change, variable, value), context=context)
            for variable, value in ((var, 11), (other, 22))
        ]
        await asyncio.gather(*tasks)
        assert (context[var], context[other]) == (11, 22)

    asyncio.run(main())


def test_equality_of_values_is_never_asked_for() -> None:
    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = None  # type: ignore[assignment]

    async def main() -> None:
        first, second = Touchy(), Touchy()
        var.set(first)
        await to_thread.run_sync(var.set, second)
        assert var.get() is second

    asyncio.run(main())


# -- which loop, which task, which thread ----------------------------------------------------------


def test_a_coroutine_wanted_by_a_worker_runs_in_the_awaiting_task(run: Callable[..., Any]) -> None:
    async def main() -> None:
        here = (asyncio.get_running_loop(), asyncio.current_task())
        assert await to_thread.run_sync(async_to_sync(current)) == here
        assert await to_thread.run_sync(from_thread.run, current) == here
        assert await to_thread.run_sync(from_thread.run_sync, asyncio.current_task) is here[1]

    run(main())


def test_plain_threads_share_the_portal_loop() -> None:
    def ask(loops: list[Any]) -> None:
        loops.append(async_to_sync(current)()[0])

    loops: list[Any] = []
    threads = [threading.Thread(target=ask, args=(loops,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    ask(loops)
    assert len(loops) == 6
    assert len(set(loops)) == 1
    assert loops[0] is default_portal().call(asyncio.get_running_loop)


@pytest.mark.usefixtures("one_worker")
def test_nesting_is_as_deep_as_one_likes_with_one_worker(run: Callable[..., Any]) -> None:
    def sync(depth: int) -> set[int]:
        here = {threading.get_ident()}
        return here | async_to_sync(native)(depth - 1) if depth else here

    async def native(depth: int) -> set[int]:
        return await to_thread.run_sync(sync, depth)

    async def main() -> None:
        assert len(await native(60)) == 1
        results = await asyncio.gather(*(native(5) for _ in range(60)))
        assert len(set.union(*results)) == 1

    run(main())
    assert async_to_sync(native)(60) == {threading.get_ident()}


@pytest.mark.usefixtures("one_worker")
def test_a_fan_out_below_a_parked_thread_needs_no_second_one(run: Callable[..., Any]) -> None:
    async def fan_out(depth: int) -> int:
        if not depth:
            return 1
        return sum(
            await asyncio.gather(
                *(to_thread.run_sync(async_to_sync(fan_out), depth - 1) for _ in range(3))
            )
        )

    async def main() -> None:
        assert await fan_out(4) == 81

    run(main())
    assert async_to_sync(fan_out)(4) == 81


def test_siblings_below_a_parked_thread_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)

    async def native() -> None:
        await asyncio.gather(to_thread.run_sync(both.wait), to_thread.run_sync(both.wait))

    async_to_sync(native)()


def test_a_task_that_outlives_its_bridge_uses_the_pool() -> None:
    tasks: list[asyncio.Task[int]] = []
    go = asyncio.Event()

    async def later() -> int:
        await go.wait()
        return await to_thread.run_sync(threading.get_ident)

    async def native() -> None:
        tasks.append(asyncio.create_task(later()))

    async_to_sync(native)()
    default_portal().call(go.set)

    async def join() -> int:
        return await tasks[0]

    assert async_to_sync(join)() != threading.get_ident()


def test_work_left_in_a_lane_that_closes_is_handed_on(run: Callable[..., Any]) -> None:
    release = threading.Event()

    async def native() -> asyncio.Task[Any]:
        # The first call keeps the parked thread busy, the second waits in its lane.
        first = asyncio.create_task(to_thread.run_sync(release.wait, 10))
        await asyncio.sleep(0)
        second = asyncio.create_task(to_thread.run_sync(threading.get_ident, affinity="context"))
        await asyncio.sleep(0)
        release.set()
        await first
        return second

    async def join(task: asyncio.Task[Any]) -> Any:
        return await task

    assert isinstance(async_to_sync(join)(async_to_sync(native)()), int)


def test_main_affinity() -> None:
    async def native() -> int:
        return await to_thread.run_sync(threading.get_ident, affinity="main")

    assert async_to_sync(native)() == threading.get_ident()
    with pytest.raises(DeadlockError, match="main thread"):
        asyncio.run(native())


@pytest.mark.parametrize("affinity", ["none", None])
def test_an_unknown_affinity_is_refused(affinity: Any) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="affinity"):
            await to_thread.run_sync(int, affinity=affinity)

    asyncio.run(main())


def test_an_executor_of_the_users(run: Callable[..., Any]) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:

        @sync_to_async(executor=executor)
        def name() -> str:
            assert async_to_sync(current)()[0] is not None
            return threading.current_thread().name

        async def main() -> str:
            return await name()

        assert run(main()).startswith("mine")


# -- misuse ----------------------------------------------------------------------------------------


def test_waiting_on_the_loop_thread_is_refused_by_name_and_line() -> None:
    called: list[int] = []

    async def native() -> None:
        called.append(1)

    async def main() -> int:
        frame = inspect.currentframe()
        assert frame is not None
        line = frame.f_lineno + 2
        with pytest.raises(LoopThreadError) as caught:
            async_to_sync(native)()
        message = str(caught.value)
        assert "native" in message
        assert re.search(rf"{re.escape(__file__)}:{line}\b", message)
        assert "to_thread.run_sync" in message
        assert "'the-task'" in message
        return 1

    async def named() -> int:
        return await asyncio.create_task(main(), name="the-task")

    assert asyncio.run(named()) == 1
    assert called == []
    assert issubclass(LoopThreadError, DeadlockError)
    assert issubclass(DeadlockError, RuntimeError)


def test_the_portal_refuses_any_loop_thread() -> None:
    portal = default_portal()

    async def main() -> None:
        with pytest.raises(LoopThreadError):
            portal.call(current)

    asyncio.run(main())


@pytest.mark.parametrize(
    "call", [from_thread.check_cancelled, lambda: from_thread.run(current)], ids=["check", "run"]
)
def test_from_thread_outside_a_worker(call: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="no task"):
        call()


def test_options_that_exclude_each_other() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="executor"):
        sync_to_async(int, executor=executor, affinity="chain")
    with pytest.raises(ValueError, match="thread_sensitive"):
        sync_to_async(int, thread_sensitive=True, affinity="chain")
    with pytest.raises(TypeError, match="asynchronous already"):
        sync_to_async(current)


# -- what the wrappers look like -------------------------------------------------------------------


class Service:
    """Each kind of method, bridged in place."""

    factor = 3

    @sync_to_async
    def method(self, x: int) -> int:
        return self.factor * x

    @sync_to_async
    @staticmethod
    def static(x: int) -> int:
        return x

    @sync_to_async
    @classmethod
    def of_class(cls, x: int) -> int:
        return cls.factor * x

    @async_to_sync
    async def amethod(self, x: int) -> int:
        return self.factor * x

    @async_to_sync
    @staticmethod
    async def astatic(x: int) -> int:
        return x

    @staticmethod
    @async_to_sync
    async def inner_static(x: int) -> int:
        return x


def test_methods() -> None:
    async def main() -> list[int]:
        service = Service()
        return [await service.method(2), await Service.static(2), await Service.of_class(2)]

    assert asyncio.run(main()) == [6, 2, 6]
    assert (Service().amethod(2), Service.astatic(2), Service.inner_static(2)) == (6, 2, 2)
    assert Service.amethod(Service(), 2) == 6


def test_wrappers_look_like_what_they_wrap() -> None:
    def sync(x: int, *, y: str = "") -> bytes:
        """Doc."""
        return b""

    async def native(x: int, *, y: str = "") -> bytes:
        """Doc."""
        return b""

    for wrapper, wrapped in ((sync_to_async(sync), sync), (async_to_sync(native), native)):
        assert wrapper.__name__ == wrapped.__name__
        assert wrapper.__doc__ == "Doc."
        assert wrapper.__wrapped__ is wrapped  # type: ignore[attr-defined]
        assert inspect.signature(wrapper) == inspect.signature(wrapped)
    assert inspect.iscoroutinefunction(sync_to_async(sync))
    assert not inspect.iscoroutinefunction(async_to_sync(native))


def test_a_coroutine_mark_does_not_survive_async_to_sync() -> None:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction

    def returns_coroutine(x: int) -> Any:
        async def call() -> int:
            return x

        return call()

    marked = markcoroutinefunction(returns_coroutine)
    assert iscoroutinefunction(marked)
    assert not iscoroutinefunction(async_to_sync(marked))
    assert iscoroutinefunction(sync_to_async(int))
    assert async_to_sync(marked)(4) == 4


def test_partials_and_callable_objects() -> None:
    class Adder:
        async def __call__(self, x: int) -> int:
            return x + 1

    async def add(x: int, y: int) -> int:
        return x + y

    assert async_to_sync(functools.partial(add, 1))(2) == 3
    assert async_to_sync(Adder())(2) == 3

    async def main() -> int:
        return await sync_to_async(functools.partial(pow, 2))(5)

    assert asyncio.run(main()) == 32


def test_limiter_bounds_and_nested_use_needs_no_second_token(run: Callable[..., Any]) -> None:
    limiter = CapacityLimiter(2)
    lock = threading.Lock()
    running = 0
    most = 0

    def work(depth: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        if depth:
            async_to_sync(nested)(depth - 1)

    async def nested(depth: int) -> None:
        await asyncio.gather(*(to_thread.run_sync(work, depth, limiter=limiter) for _ in range(2)))

    async def main() -> None:
        await asyncio.gather(*(nested(3) for _ in range(4)))
        assert limiter.borrowed_tokens == 0

    run(main())
    assert 1 <= most <= 2
