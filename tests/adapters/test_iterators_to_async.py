"""async_iterator: synchronous iterators and generators consumed with ``async for``."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sqlite3
import threading
import warnings
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Any

import anyio.lowlevel
import pytest
import trio
import trio.lowlevel
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgekit import CapacityLimiter, ThreadSensitiveContext, async_to_sync, from_thread, to_thread
from bridgekit.adapters.iterators import sync_source
from bridgekit.adapters.iterators.to_async import async_iterator

var: contextvars.ContextVar[Any] = contextvars.ContextVar("var")
other: contextvars.ContextVar[Any] = contextvars.ContextVar("other", default=0)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def run(main: Any) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(main, 30))

    return run


@pytest.fixture(params=[True, False], ids=["strict", "batched"])
def strict(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Recorder:
    """A generator that says what happens to it, and on which thread."""

    def __init__(self, length: int = 10_000) -> None:
        self.length = length
        self.made = 0
        self.closed_on: int | None = None
        self.caught: list[BaseException] = []
        self.begun = threading.Event()
        self.closed = threading.Event()

    def __call__(self) -> Generator[int, Any, str]:
        try:
            for number in range(self.length):
                self.made += 1
                self.begun.set()
                try:
                    yield number
                except ValueError as error:
                    self.caught.append(error)
            return "the value"
        finally:
            self.closed_on = threading.get_ident()
            self.closed.set()

    @property
    def was_closed_on_another_thread(self) -> bool:
        return self.closed_on not in (None, threading.get_ident())


# -- items, values, exceptions ---------------------------------------------------------------------


def test_items_value_and_threads(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder(5000)
    threads = set()

    def numbers() -> Generator[int, Any, str]:
        for number in range(5000):
            threads.add(threading.get_ident())
            yield number
        return (yield from source())

    async def main() -> None:
        items = async_iterator(numbers(), strict=strict)
        assert items.value is None
        assert [item async for item in items] == [*range(5000), *range(5000)]
        assert items.value == "the value"
        assert [item async for item in items] == []

    run(main())
    assert threading.get_ident() not in threads
    assert source.was_closed_on_another_thread


def test_iterables_iterators_and_functions(run: Callable[..., Any], strict: bool) -> None:
    def generator(*args: int, extra: int) -> Iterator[int]:
        yield from args
        yield extra

    def function(*args: int) -> list[int]:
        assert threading.current_thread() is not threading.main_thread()
        return list(args)

    class Class:
        @async_iterator(strict=strict)
        def method(self, number: int) -> Iterator[tuple[object, int]]:
            yield self, number

        @async_iterator
        @staticmethod
        def static(number: int) -> Iterator[int]:
            yield number

        @async_iterator
        @classmethod
        def of_class(cls, number: int) -> Iterator[tuple[type, int]]:
            yield cls, number

    async def main() -> None:
        assert [item async for item in async_iterator([1, 2, 3], strict=strict)] == [1, 2, 3]
        assert [item async for item in async_iterator(iter("abc"), strict=strict)] == [
            "a",
            "b",
            "c",
        ]
        adapted = async_iterator(generator, strict=strict)
        assert adapted.__name__ == "generator"
        assert adapted.__wrapped__ is generator  # type: ignore[attr-defined]
        assert [item async for item in adapted(1, 2, extra=3)] == [1, 2, 3]
        with pytest.raises(TypeError, match="extra"):
            adapted(1)  # type: ignore[call-arg]
        assert [item async for item in async_iterator(function)(1, 2)] == [1, 2]
        thing = Class()
        assert [item async for item in thing.method(1)] == [(thing, 1)]
        assert [item async for item in Class.static(1)] == [1]
        assert [item async for item in Class.of_class(1)] == [(Class, 1)]

    run(main())


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError("mine"), SystemExit(3)])
def test_an_exception_comes_after_the_items_before_it(
    run: Callable[..., Any], strict: bool, error: BaseException
) -> None:
    def fail() -> Iterator[int]:
        yield from range(100)
        raise error

    async def main() -> None:
        items = async_iterator(fail(), strict=strict)
        assert [await anext(items) for _ in range(100)] == list(range(100))
        with pytest.raises(type(error)) as caught:
            await anext(items)
        assert caught.value is error
        assert [item async for item in items] == []

    run(main())


def test_errors_of_opening_and_stop_iteration(run: Callable[..., Any], strict: bool) -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise StopIteration("from __iter__")

    def function() -> list[int]:
        raise LookupError("from the function")

    async def main() -> None:
        with pytest.raises(RuntimeError) as caught:
            await anext(async_iterator(Broken(), strict=strict))
        assert isinstance(caught.value.__cause__, StopIteration)
        with pytest.raises(LookupError):
            await anext(async_iterator(function, strict=strict)())

    run(main())


def test_what_is_refused() -> None:
    async def asynchronous() -> Any:
        yield 1

    with pytest.raises(TypeError, match="asynchronous already"):
        async_iterator(asynchronous)
    with pytest.raises(TypeError, match="asynchronous already"):
        async_iterator(asynchronous())
    with pytest.raises(TypeError, match="not iterable"):
        async_iterator(3)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="at least 1"):
        async_iterator(range(3), batch=0)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="executor"):
        async_iterator(range(3), executor=executor, affinity="context")


# -- batches ---------------------------------------------------------------------------------------


def test_strict_computes_nothing_ahead(run: Callable[..., Any]) -> None:
    source = Recorder()

    async def main() -> None:
        async with aclosing(async_iterator(source(), strict=True)) as items:
            for count in range(1, 20):
                assert await anext(items) == count - 1
                assert source.made == count

    run(main())


def test_batches_begin_with_one_double_and_are_bounded(run: Callable[..., Any]) -> None:
    source = Recorder()
    ahead = []

    async def main() -> None:
        async with async_iterator(source(), batch=64, budget=60) as items:
            async for item in items:
                ahead.append(source.made - item)
                if item == 500:
                    break

    run(main())
    starts = [index for index in range(1, len(ahead)) if ahead[index] > ahead[index - 1]]
    assert ahead[0] == 1
    assert [ahead[index] for index in starts] == [2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64]


def test_no_item_is_begun_after_the_budget(run: Callable[..., Any]) -> None:
    source = Recorder()

    async def main() -> None:
        async with async_iterator(source(), budget=0) as items:
            for count in range(1, 20):
                await anext(items)
                assert source.made == count

    run(main())


def test_after_a_long_wait_items_come_singly(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(sync_source, "perf_counter", lambda: clock[0])
    made = []

    def events() -> Iterator[int]:
        for number in range(1000):
            if number == 100:
                clock[0] += 0.2
            made.append(number)
            yield number

    async def main() -> None:
        async for number in async_iterator(events()):
            if 101 <= number < 300:  # the wait ended a batch, and lasted 200 milliseconds
                assert made[-1] == number
        assert made[-1] == 999

    run(main())


def test_the_source_rests_while_the_consumer_works(run: Callable[..., Any], strict: bool) -> None:
    running = threading.Lock()

    def numbers() -> Iterator[int]:
        for number in range(300):
            with running:
                pass
            yield number

    async def main() -> None:
        async for _ in async_iterator(numbers(), strict=strict):
            with running:
                await asyncio.sleep(0)

    run(main())


# -- send, throw, close ----------------------------------------------------------------------------


def test_send_needs_strict_and_leaves_the_generator_usable(run: Callable[..., Any]) -> None:
    def echo() -> Generator[Any, Any, None]:
        answer = None
        while True:
            answer = yield answer

    async def main() -> None:
        async with async_iterator(echo(), strict=True) as items:
            assert await items.asend(None) is None
            assert await items.asend(1) == 1
            assert await anext(items) is None
            assert await items.asend("x") == "x"
        async with async_iterator(echo()) as items:
            assert await anext(items) is None
            with pytest.raises(RuntimeError, match="strict=True"):
                await items.asend(1)
            assert await anext(items) is None

    run(main())


def test_an_exception_is_thrown_into_the_generator(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        async with async_iterator(source(), strict=strict, budget=60) as items:
            for _ in range(10):
                last = await anext(items)
            made = source.made
            assert last == 9
            error = ValueError("thrown")
            assert await items.athrow(error) == made  # what was ahead has been discarded
            assert source.caught == [error]
            assert source.closed_on is None
            with pytest.raises(LookupError):
                await items.athrow(LookupError)
            assert source.was_closed_on_another_thread

    run(main())


def test_throwing_into_an_iterator_that_takes_none(run: Callable[..., Any], strict: bool) -> None:
    async def main() -> None:
        items = async_iterator(iter(range(10)), strict=strict)
        assert await anext(items) == 0
        with pytest.raises(LookupError):
            await items.athrow(LookupError())
        assert [item async for item in items] == []

    run(main())


def test_closing_runs_finally_on_a_worker_thread(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        items = async_iterator(source(), strict=strict)
        await anext(items)
        await items.aclose()
        assert source.was_closed_on_another_thread
        await items.aclose()

    run(main())


def test_closing_before_the_first_item_closes_a_generator_too(run: Callable[..., Any]) -> None:
    generator = Recorder()()

    async def main() -> None:
        await async_iterator(generator).aclose()

    run(main())
    assert list(generator) == []


def test_finally_may_fail_and_may_refuse(run: Callable[..., Any], strict: bool) -> None:
    def fails() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise LookupError("in finally")

    def refuses() -> Iterator[int]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2

    async def main() -> None:
        items = async_iterator(fails(), strict=strict)
        await anext(items)
        with pytest.raises(LookupError):
            await items.aclose()
        items = async_iterator(refuses(), strict=strict)
        await anext(items)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            await items.aclose()

    run(main())


def test_an_abandoned_iterator_closes_its_generator(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        async for _ in async_iterator(source(), strict=strict):
            break
        gc.collect()
        await to_thread.run_sync(source.closed.wait, 10)
        assert source.was_closed_on_another_thread

    run(main())


def test_the_end_of_the_loop_closes_the_generator(run: Callable[..., Any]) -> None:
    source = Recorder()
    kept = []

    async def main() -> None:
        kept.append(async_iterator(source()))
        await anext(kept[0])

    run(main())
    assert source.was_closed_on_another_thread


# -- cancellation ----------------------------------------------------------------------------------


def test_cancelled_during_a_step(run: Callable[..., Any], strict: bool) -> None:
    started, go_on = threading.Event(), threading.Event()
    closed = []

    def slow() -> Iterator[int]:
        try:
            started.set()
            go_on.wait(10)
            yield 1
        finally:
            closed.append(threading.get_ident())

    async def main() -> None:
        async def consume() -> None:
            async for _ in async_iterator(slow(), strict=strict):
                pytest.fail("the item of a cancelled step")

        task = asyncio.create_task(consume())
        await to_thread.run_sync(started.wait)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed
        assert closed != [threading.get_ident()]

    run(main())


def test_cancelled_in_the_loop_body(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        async def consume() -> None:
            async with aclosing(async_iterator(source(), strict=strict)) as items:
                async for _ in items:
                    await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(consume())
        await to_thread.run_sync(source.begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.was_closed_on_another_thread

    run(main())


def test_closing_is_done_even_if_cancelled_before_a_thread_has_it(run: Callable[..., Any]) -> None:
    source = Recorder()
    limiter = CapacityLimiter(1)

    async def main() -> None:
        items = async_iterator(source(), limiter=limiter)
        await anext(items)
        await limiter.acquire()  # no thread can take the closing now
        task = asyncio.create_task(items.aclose())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert source.closed_on is None
        limiter.release()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.was_closed_on_another_thread

    run(main())


def test_cancel_scopes_that_repeat_themselves(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with aclosing(async_iterator(source(), strict=strict)) as items:
                async for _ in items:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert source.was_closed_on_another_thread

    run(main())


def test_the_generator_can_ask_whether_it_is_cancelled(run: Callable[..., Any]) -> None:
    started = threading.Event()
    closed = []

    def patient() -> Iterator[int]:
        try:
            while True:
                started.set()
                from_thread.check_cancelled()
        finally:
            closed.append(True)
        yield 1

    async def main() -> None:
        task = asyncio.create_task(anext(async_iterator(patient())))
        await to_thread.run_sync(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed == [True]

    run(main())


@settings(max_examples=60, deadline=None)
@given(ticks=st.integers(0, 40), strict=st.booleans())
def test_cancelled_at_any_tick_leaves_nothing(ticks: int, strict: bool) -> None:
    source = Recorder(200)

    async def consume(items: Any) -> None:
        async with aclosing(items):
            async for _ in items:
                await asyncio.sleep(0)

    async def main() -> None:
        before = asyncio.all_tasks()
        task = asyncio.create_task(consume(async_iterator(source(), strict=strict)))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 30))
    assert (source.made == 0) or source.was_closed_on_another_thread


# -- contexts, threads, re-entry -------------------------------------------------------------------


def test_one_context_for_all_steps(run: Callable[..., Any], strict: bool) -> None:
    seen = []

    def numbers() -> Iterator[int]:
        token = var.set("generator")
        try:
            for number in range(100):
                seen.append(other.get())
                yield number
        finally:
            var.reset(token)

    async def main() -> None:
        async for number in async_iterator(numbers(), strict=strict):
            assert var.get() == "generator"
            other.set(number + 1)
        assert var.get("unset") == "unset"

    run(main())
    assert seen[0] == 0
    if strict:
        assert seen == list(range(100))
    else:
        assert seen == sorted(seen)


def test_a_batch_ends_where_a_variable_changes(run: Callable[..., Any], strict: bool) -> None:
    def numbers() -> Iterator[int]:
        for number in range(300):
            if number % 50 == 0:
                var.set(number)
            yield number

    async def main() -> None:
        async for number in async_iterator(numbers(), strict=strict):
            assert var.get() == number // 50 * 50

    run(main())


def test_consumers_of_different_tasks(run: Callable[..., Any]) -> None:
    def numbers() -> Iterator[Any]:
        var.set("mine")
        for _ in range(10):
            yield var.get()

    async def main() -> None:
        async with async_iterator(numbers(), strict=True) as items:
            assert await asyncio.create_task(anext(items)) == "mine"
            assert await asyncio.create_task(anext(items)) == "mine"

    run(main())


def test_affinity_limiter_and_executor(run: Callable[..., Any], strict: bool) -> None:
    with closing(sqlite3.connect(":memory:")) as main_connection:
        assert main_connection.execute("select 1").fetchone() == (1,)

    def rows() -> Iterator[Any]:
        connection = sqlite3.connect(":memory:")
        try:
            yield from connection.execute("values (1), (2), (3), (4), (5), (6)")
        finally:
            connection.close()

    def name() -> Iterator[str]:
        for _ in range(20):
            assert limiter.borrowed_tokens == 1
            yield threading.current_thread().name

    limiter = CapacityLimiter(1)

    async def main() -> None:
        async with ThreadSensitiveContext():
            for _ in range(5):
                items = async_iterator(rows(), strict=strict, affinity="context")
                assert [row async for (row,) in items] == [1, 2, 3, 4, 5, 6]
        async for _ in async_iterator(name(), limiter=limiter, strict=strict):
            assert limiter.borrowed_tokens == 0
        with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
            async for thread in async_iterator(
                lambda: [threading.current_thread().name], executor=executor
            )():
                assert thread.startswith("mine")

    run(main())


def test_coroutines_wanted_by_the_generator_run_in_the_consumer_s_task(
    run: Callable[..., Any], strict: bool
) -> None:
    async def current() -> Any:
        await asyncio.sleep(0)
        var.set(var.get(0) + 1)
        return asyncio.current_task()

    def tasks() -> Iterator[Any]:
        for _ in range(20):
            yield async_to_sync(current)()

    async def main() -> None:
        count = 0
        async for task in async_iterator(tasks(), strict=strict):
            count += 1
            assert task is asyncio.current_task()
            assert var.get() == count

    before = to_thread.get_max_workers()
    to_thread.set_max_workers(1)
    try:
        run(main())
    finally:
        to_thread.set_max_workers(before)


def test_under_trio(strict: bool) -> None:
    source = Recorder(3000)
    abandoned = Recorder()

    async def main() -> None:
        assert [item async for item in async_iterator(source(), strict=strict)] == [*range(3000)]
        assert source.was_closed_on_another_thread
        cancelled = Recorder()
        with trio.CancelScope() as scope:
            async with async_iterator(cancelled(), strict=strict) as items:
                async for _ in items:
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert cancelled.was_closed_on_another_thread
        async for _ in async_iterator(abandoned(), strict=strict):
            break

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # trio's, for the abandoned one
        trio.run(main)
    assert abandoned.was_closed_on_another_thread


# -- nothing is left -------------------------------------------------------------------------------


def test_nothing_is_left(run: Callable[..., Any], strict: bool) -> None:
    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    def make() -> Iterator[Thing]:
        for _ in range(10):
            thing = Thing()
            things.append(weakref.ref(thing))
            yield thing
            del thing
        raise LookupError

    async def main() -> None:
        before = asyncio.all_tasks()
        items = async_iterator(make(), strict=strict)
        for _ in range(10):
            await anext(items)
        with pytest.raises(LookupError):
            await anext(items)
        await to_thread.run_sync(int)  # the worker's last job is another one
        assert asyncio.all_tasks() == before

    gc.collect()
    gc.disable()
    try:
        run(main())
        assert [thing() for thing in things] == [None] * 10
    finally:
        gc.enable()


# -- against the plain generator -------------------------------------------------------------------

Operation = tuple[str, int]
operations = st.lists(
    st.tuples(
        st.sampled_from(["next", "send", "throw", "throw_other", "close"]), st.integers(1, 9)
    ),
    max_size=12,
)


def talkative(length: int, log: list[Any]) -> Generator[Any, Any, str]:
    """Answers to what is sent and thrown, and ends in different ways."""
    answer: Any = "start"
    try:
        for number in range(length):
            try:
                received = yield (number, answer)
                log.append(("received", received))
                answer = received
                if received == 9:
                    return "nine"
            except ValueError as error:
                log.append(("caught", error.args))
                if error.args == (8,):
                    raise LookupError(8) from None
                answer = "caught"
    finally:
        log.append("closed")
    return "end"


def plain(steps: list[Operation], length: int) -> list[Any]:
    log: list[Any] = []
    generator = talkative(length, log)
    for kind, number in steps:
        try:
            if kind == "next":
                log.append(next(generator))
            elif kind == "send":
                log.append(generator.send(number))
            elif kind == "throw":
                log.append(generator.throw(ValueError(number)))
            elif kind == "throw_other":
                log.append(generator.throw(KeyError(number)))
            else:
                generator.close()
        except StopIteration as stop:
            log.append(("stop", stop.value))
        except Exception as error:
            log.append(repr(error))
    generator.close()
    return log


async def bridged(steps: list[Operation], length: int) -> list[Any]:
    log: list[Any] = []
    items = async_iterator(talkative(length, log), strict=True)
    stopped = False
    for kind, number in steps:
        try:
            if kind == "next":
                log.append(await anext(items))
            elif kind == "send":
                log.append(await items.asend(number))
            elif kind == "throw":
                log.append(await items.athrow(ValueError(number)))
            elif kind == "throw_other":
                log.append(await items.athrow(KeyError(number)))
            else:
                await items.aclose()
        except StopAsyncIteration:
            log.append(("stop", None if stopped else items.value))
            stopped = True
        except Exception as error:
            log.append(repr(error))
    await items.aclose()
    return log


@settings(max_examples=150, deadline=None)
@given(steps=operations, length=st.integers(0, 6))
def test_strict_is_the_plain_generator(steps: list[Operation], length: int) -> None:
    expected = plain(steps, length)
    got = asyncio.run(bridged(steps, length))
    assert [str(entry).replace("async generator", "generator") for entry in got] == [
        str(entry) for entry in expected
    ]


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.integers(), max_size=200),
    fails=st.booleans(),
    batch=st.integers(1, 70),
    budget=st.sampled_from([0.0, 0.001, 60.0]),
)
def test_any_batch_gives_the_same_items(
    items: list[int], fails: bool, batch: int, budget: float
) -> None:
    def source() -> Iterator[int]:
        yield from items
        if fails:
            raise LookupError

    async def main() -> tuple[list[int], bool]:
        seen = []
        try:
            async for item in async_iterator(source(), batch=batch, budget=budget):
                seen.append(item)
        except LookupError:
            return seen, True
        return seen, False

    assert asyncio.run(main()) == (items, fails)
