"""sync_iterator: asynchronous iterators and generators consumed with ``for``."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import anyio
import asgiref.sync
import pytest
import trio
import trio.lowlevel
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgekit import (
    LoopThreadError,
    PortalClosedError,
    async_to_sync,
    default_portal,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)
from bridgekit.adapters.iterators import async_source
from bridgekit.adapters.iterators.to_async import async_iterator
from bridgekit.adapters.iterators.to_sync import sync_iterator

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


def tasks_of(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """The tasks that are left on a portal's loop but for the one that looks."""

    async def look() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]

    return asyncio.run_coroutine_threadsafe(look(), loop).result(10)


@pytest.fixture(autouse=True)
def _nothing_is_left_on_the_portal() -> Iterator[None]:
    loop = default_portal().call(asyncio.get_running_loop)
    before = tasks_of(loop)
    yield
    assert tasks_of(loop) <= before


class Recorder:
    """An asynchronous generator that says what happens to it, and where."""

    def __init__(self, length: int = 10_000, *, suspend: bool = False) -> None:
        self.length = length
        self.suspend = suspend
        self.made = 0
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self.caught: list[BaseException] = []
        self.closed = threading.Event()

    async def __call__(self) -> AsyncGenerator[int, Any]:
        try:
            for number in range(self.length):
                self.made += 1
                self.tasks.add(asyncio.current_task())
                if self.suspend:
                    await asyncio.sleep(0)
                try:
                    yield number
                except ValueError as error:
                    self.caught.append(error)
        finally:
            await asyncio.sleep(0)
            self.tasks.add(asyncio.current_task())
            self.closed.set()


# -- items, exceptions, threads --------------------------------------------------------------------


@pytest.mark.parametrize("suspend", [True, False])
def test_items_come_from_one_task(strict: bool, suspend: bool) -> None:
    source = Recorder(2000, suspend=suspend)
    assert list(sync_iterator(source(), strict=strict)) == list(range(2000))
    assert len(source.tasks) == 1
    assert source.closed.is_set()


def test_iterables_iterators_and_functions(strict: bool) -> None:
    class Iterable:
        def __aiter__(self) -> AsyncIterator[int]:
            return self.numbers()

        async def numbers(self) -> AsyncIterator[int]:
            yield 1
            yield 2

    async def generator(*args: int, extra: int) -> AsyncIterator[int]:
        for arg in args:
            yield arg
        yield extra

    async def coroutine(number: int) -> Iterable:
        await asyncio.sleep(0)
        return Iterable()

    class Class:
        @sync_iterator(strict=strict)
        async def method(self, number: int) -> AsyncIterator[tuple[object, int]]:
            yield self, number

        @sync_iterator
        @staticmethod
        async def static(number: int) -> AsyncIterator[int]:
            yield number

    assert list(sync_iterator(Iterable(), strict=strict)) == [1, 2]
    adapted = sync_iterator(generator, strict=strict)
    assert adapted.__name__ == "generator"
    assert list(adapted(1, 2, extra=3)) == [1, 2, 3]
    with pytest.raises(TypeError, match="extra"):
        adapted(1)
    assert list(sync_iterator(coroutine, strict=strict)(1)) == [1, 2]
    thing = Class()
    assert list(thing.method(1)) == [(thing, 1)]
    assert list(Class.static(1)) == [1]


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="synchronous already"):
        sync_iterator([1])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not iterable"):
        sync_iterator(3)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="at least 1"):
        sync_iterator(Recorder()(), batch=0)


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError("mine"), SystemExit(3)])
def test_an_exception_comes_after_the_items_before_it(strict: bool, error: BaseException) -> None:
    async def fail() -> AsyncIterator[int]:
        for number in range(100):
            yield number
        raise error

    items = sync_iterator(fail(), strict=strict)
    assert [next(items) for _ in range(100)] == list(range(100))
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == []


def test_from_every_kind_of_thread(run: Callable[..., Any], strict: bool) -> None:
    def consume() -> tuple[list[int], asyncio.AbstractEventLoop]:
        source = Recorder(50, suspend=True)
        items = list(sync_iterator(source(), strict=strict))
        (task,) = source.tasks
        assert task is not None
        return items, task.get_loop()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        expected = list(range(50)), loop
        assert await to_thread.run_sync(consume) == expected
        assert await anyio.to_thread.run_sync(consume) == expected
        assert await asgiref.sync.sync_to_async(consume)() == expected
        items, elsewhere = await asyncio.to_thread(consume)  # a thread that nobody knows
        assert items == expected[0]
        assert elsewhere is portal

    portal = default_portal().call(asyncio.get_running_loop)
    run(main())
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(consume).result() == (list(range(50)), portal)


def test_refused_on_the_loop_s_thread(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        with pytest.raises(LoopThreadError, match="sync_iterator"):
            next(sync_iterator(source, strict=strict)())

    run(main())
    assert source.made == 0


def test_begun_on_one_thread_and_continued_on_others(run: Callable[..., Any]) -> None:
    source = Recorder(2000, suspend=True)

    async def main() -> None:
        items = sync_iterator(source(), strict=True)
        seen = [await to_thread.run_sync(next, items) for _ in range(10)]
        seen += [item async for item in async_iterator(items)]
        assert seen == list(range(2000))
        assert len(source.tasks) == 1

    run(main())
    items = sync_iterator(Recorder(10)(), strict=True)
    assert next(items) == 0

    async def elsewhere() -> list[int]:
        return await to_thread.run_sync(list, items)

    assert run(elsewhere()) == list(range(1, 10))


# -- batches ---------------------------------------------------------------------------------------


def test_strict_computes_nothing_ahead() -> None:
    source = Recorder()
    with closing(sync_iterator(source(), strict=True)) as items:
        for count in range(1, 20):
            assert next(items) == count - 1
            assert source.made == count


def test_batches_begin_with_one_double_and_are_bounded() -> None:
    source = Recorder()
    with sync_iterator(source(), batch=64, budget=60) as items:
        ahead = [-next(items) + source.made for _ in range(500)]
    starts = [ahead[index] for index in range(1, 500) if ahead[index] > ahead[index - 1]]
    assert ahead[0] == 1
    assert starts == [2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64]


def test_no_item_is_begun_after_the_budget() -> None:
    source = Recorder()
    with sync_iterator(source(), budget=0) as items:
        for count in range(1, 20):
            next(items)
            assert source.made == count


def test_after_a_long_wait_items_come_singly(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(async_source, "perf_counter", lambda: clock[0])
    made = []

    async def events() -> AsyncIterator[int]:
        for number in range(1000):
            if number == 100:
                clock[0] += 0.2
            made.append(number)
            yield number

    for number in sync_iterator(events()):
        if 101 <= number < 300:
            assert made[-1] == number
    assert made[-1] == 999


# -- send, throw, close ----------------------------------------------------------------------------


def test_send_needs_strict_and_leaves_the_generator_usable() -> None:
    async def echo() -> AsyncGenerator[Any, Any]:
        answer = None
        while True:
            answer = yield answer

    with sync_iterator(echo(), strict=True) as items:
        assert items.send(None) is None
        assert items.send(1) == 1
        assert next(items) is None
    with sync_iterator(echo()) as items:
        assert next(items) is None
        with pytest.raises(RuntimeError, match="strict=True"):
            items.send(1)
        assert next(items) is None


def test_an_exception_is_thrown_into_the_generator(strict: bool) -> None:
    source = Recorder()
    with sync_iterator(source(), strict=strict, budget=60) as items:
        for _ in range(10):
            last = next(items)
        made = source.made
        assert last == 9
        error = ValueError("thrown")
        assert items.throw(error) == made  # what was ahead has been discarded
        assert source.caught == [error]
        with pytest.raises(LookupError):
            items.throw(LookupError)
        assert source.closed.is_set()
    assert len(source.tasks) == 1


def test_closing_runs_finally_in_the_task(strict: bool) -> None:
    source = Recorder()
    items = sync_iterator(source(), strict=strict)
    next(items)
    items.close()
    assert source.closed.is_set()
    assert len(source.tasks) == 1
    items.close()
    assert list(items) == []


def test_closing_before_the_first_item_closes_the_generator_too() -> None:
    generator = Recorder()()
    sync_iterator(generator).close()
    assert list(sync_iterator(generator)) == []


def test_breaking_out_of_a_loop_closes_at_once(strict: bool) -> None:
    source = Recorder()
    for _ in sync_iterator(source(), strict=strict):
        break
    assert source.closed.is_set()


def test_an_exception_in_the_loop_body_closes(strict: bool) -> None:
    source = Recorder()

    def consume() -> None:
        for _ in sync_iterator(source(), strict=strict):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    gc.collect()
    assert source.closed.wait(10)


def test_the_garbage_collector_does_not_wait(strict: bool) -> None:
    source = Recorder()
    items = sync_iterator(source(), strict=strict)
    next(items)
    cycle: list[Any] = [items]
    cycle.append(cycle)
    del items, cycle
    gc.collect()
    assert source.closed.wait(10)


def test_the_garbage_collector_may_strike_with_a_lock_held() -> None:
    lock = threading.Lock()
    log: list[str] = []
    closed = threading.Event()

    async def needs_lock() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append("got it" if lock.acquire(timeout=20) else "never got it")
            closed.set()

    items = sync_iterator(needs_lock(), strict=True)
    next(items)
    cycle: list[Any] = [items]
    cycle.append(cycle)
    del items, cycle
    with lock:
        gc.collect()
        log.append("collected")
    assert closed.wait(10)
    assert log == ["collected", "got it"]


def test_dropped_on_the_loop_s_thread(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()

    async def main() -> None:
        items = sync_iterator(source(), strict=strict)
        await to_thread.run_sync(next, items)
        del items
        await to_thread.run_sync(source.closed.wait, 10)
        assert source.closed.is_set()

    run(main())


def test_finally_may_fail_and_may_refuse(strict: bool) -> None:
    async def fails() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise LookupError("in finally")

    async def refuses() -> AsyncIterator[int]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2

    items = sync_iterator(fails(), strict=strict)
    next(items)
    with pytest.raises(LookupError):
        items.close()
    items = sync_iterator(refuses(), strict=strict)
    next(items)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        items.close()


# -- timeouts, cancellation, signals, the end of the loop ------------------------------------------


@pytest.mark.parametrize("library", ["asyncio", "anyio"])
def test_a_timeout_across_yields(strict: bool, library: str) -> None:
    timed_out = []

    async def impatient() -> AsyncIterator[str]:
        timeout = asyncio.timeout(None) if library == "asyncio" else anyio.fail_after(None)
        try:
            async with _entered(timeout) as scope:
                yield "first"
                if library == "asyncio":
                    scope.reschedule(0)
                else:
                    scope.deadline = 0
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            timed_out.append(True)
        yield "late"

    assert list(sync_iterator(impatient(), strict=strict)) == ["first", "late"]
    assert timed_out == [True]


class _entered:
    """``async with`` over either kind of manager."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager

    async def __aenter__(self) -> Any:
        if hasattr(self.manager, "__aenter__"):
            return await self.manager.__aenter__()
        return self.manager.__enter__()

    async def __aexit__(self, *info: Any) -> Any:
        if hasattr(self.manager, "__aexit__"):
            return await self.manager.__aexit__(*info)
        return self.manager.__exit__(*info)


def test_a_timeout_that_strikes_between_two_steps(strict: bool) -> None:
    expired = threading.Event()

    async def impatient() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(0):
                yield "first"
        except TimeoutError:
            expired.set()
            yield "late"
        yield "last"

    items = sync_iterator(impatient(), strict=True)
    assert next(items) == "first"
    assert expired.wait(10)
    assert list(items) == ["late", "last"]


def test_cancelling_the_host_reaches_the_generator(run: Callable[..., Any], strict: bool) -> None:
    waiting = threading.Event()
    log: list[Any] = []

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            waiting.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            log.append("closed")

    def consume() -> None:
        for item in sync_iterator(endless(), strict=strict):
            log.append(item)

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(consume))
        await to_thread.run_sync(waiting.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())
    assert log == [1, "cancelled", "closed"]


def test_a_generator_that_swallows_a_cancellation_goes_on(run: Callable[..., Any]) -> None:
    waiting = threading.Event()

    async def stubborn() -> AsyncIterator[Any]:
        waiting.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            yield "swallowed"
        task = asyncio.current_task()
        assert task is not None
        yield task.cancelling()

    def consume() -> list[Any]:
        return list(sync_iterator(stubborn(), strict=True))

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(consume))
        await to_thread.run_sync(waiting.wait)
        task.cancel()
        assert await task == ["swallowed", 0]

    run(main())


def test_the_end_of_the_loop_is_not_swallowed(run: Callable[..., Any]) -> None:
    log: list[str] = []
    kept: list[Any] = []

    async def stubborn() -> AsyncIterator[int]:
        try:
            while True:
                try:
                    yield 1
                except asyncio.CancelledError:
                    log.append("cancelled")
        finally:
            log.append("closed")

    async def main() -> None:
        kept.append(sync_iterator(stubborn(), strict=True))
        await to_thread.run_sync(next, kept[0])

    run(main())
    assert log == ["cancelled", "closed"]
    with pytest.raises(asyncio.CancelledError):
        next(kept[0])


@pytest.mark.parametrize("how", ["break", "close"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_cancelled_around_leaving_early(run: Callable[..., Any], how: str, when: str) -> None:
    """The generator is closed all the same, and the cancellation is not lost."""
    inside, cancelled = threading.Event(), threading.Event()
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(1000):
                yield number
        finally:
            try:
                if when == "during":
                    inside.set()
                    await to_thread.run_sync(cancelled.wait, 10)
            finally:
                log.append("closed")

    def consume() -> None:
        items = sync_iterator(numbers(), strict=True)
        for _ in items:
            if when == "before":
                inside.set()
                cancelled.wait(10)
            if how == "close":
                items.close()
            break
        del items
        log.append("went on")
        async_to_sync(asyncio.sleep)(0)
        log.append("not cancelled")

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(consume))
        await to_thread.run_sync(inside.wait)
        task.cancel()
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())
    # An explicit call raises the cancellation; leaving the loop cannot, and what comes next does.
    assert log == (["closed", "went on"] if how == "break" else ["closed"])


@settings(max_examples=60, deadline=None)
@given(ticks=st.integers(0, 60), strict=st.booleans())
def test_cancelled_at_any_tick_leaves_nothing(ticks: int, strict: bool) -> None:
    source = Recorder(200, suspend=True)

    async def main() -> None:
        before = asyncio.all_tasks()
        task = asyncio.create_task(
            to_thread.run_sync(lambda: list(sync_iterator(source(), strict=strict)))
        )
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 30))
    assert source.made == 0 or source.closed.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="pthread_kill")
def test_ctrl_c_while_waiting_cancels_the_step(strict: bool) -> None:
    log: list[Any] = []
    main_thread = threading.get_ident()

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            signal.pthread_kill(main_thread, signal.SIGINT)
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    items = sync_iterator(endless(), strict=True)
    assert next(items) == 1
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert log == ["closed"]


def test_the_end_of_the_loop_closes_the_generator(run: Callable[..., Any], strict: bool) -> None:
    source = Recorder()
    kept: list[Any] = []

    async def main() -> None:
        kept.append(sync_iterator(source(), strict=strict, batch=4))
        assert await to_thread.run_sync(next, kept[0]) == 0

    run(main())
    assert source.closed.is_set()
    with pytest.raises((asyncio.CancelledError, PortalClosedError)):
        list(kept[0])
    kept[0].close()


def test_a_portal_that_is_closed_ends_the_iteration(strict: bool) -> None:
    source = Recorder()
    with start_blocking_portal() as portal:
        items = portal.call(_first_in_worker, source, strict)
    assert source.closed.is_set()
    items.close()


async def _first_in_worker(source: Recorder, strict: bool) -> Any:
    items = sync_iterator(source(), strict=strict)
    await to_thread.run_sync(next, items)
    return items


# -- contexts, re-entry ----------------------------------------------------------------------------


def test_one_context_for_all_steps(run: Callable[..., Any], strict: bool) -> None:
    seen = []

    async def numbers() -> AsyncIterator[int]:
        token = var.set("generator")
        try:
            for number in range(100):
                seen.append(other.get())
                yield number
        finally:
            var.reset(token)

    def consume() -> None:
        for number in sync_iterator(numbers(), strict=strict):
            assert var.get() == "generator"
            other.set(number + 1)
        assert var.get("unset") == "unset"

    async def main() -> None:
        await to_thread.run_sync(consume)
        assert other.get() == 100
        other.set(0)

    contextvars.copy_context().run(consume)
    contextvars.copy_context().run(run, main())
    for part in (seen[:100], seen[100:]):
        assert part[0] == 0
        assert part == (list(range(100)) if strict else sorted(part))


def test_a_batch_ends_where_a_variable_changes(strict: bool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(300):
            if number % 50 == 0:
                var.set(number)
            yield number

    def consume() -> None:
        for number in sync_iterator(numbers(), strict=strict):
            assert var.get() == number // 50 * 50

    contextvars.copy_context().run(consume)


def test_a_pool_of_one_thread_is_enough(run: Callable[..., Any], strict: bool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for _ in range(20):
            await sync_to_async(threading.get_ident)()
            yield await sync_to_async(threading.get_ident, thread_sensitive=True)()

    def consume() -> set[int]:
        return {*sync_iterator(numbers(), strict=strict)}

    before = to_thread.get_max_workers()
    to_thread.set_max_workers(1)
    try:
        assert consume() == {threading.get_ident()}

        async def main() -> None:
            await to_thread.run_sync(consume)

        run(main())
    finally:
        to_thread.set_max_workers(before)


def test_under_trio(strict: bool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(100):
            await trio.lowlevel.checkpoint()
            yield number

    def consume() -> list[int]:
        return list(sync_iterator(numbers(), strict=strict))

    assert trio.run(to_thread.run_sync, consume) == list(range(100))


# -- nothing is left -------------------------------------------------------------------------------


def test_nothing_is_left(strict: bool) -> None:
    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    async def make() -> AsyncIterator[Thing]:
        for _ in range(10):
            thing = Thing()
            things.append(weakref.ref(thing))
            yield thing
            del thing
        raise LookupError

    def consume() -> None:
        items = sync_iterator(make(), strict=strict)
        for _ in range(10):
            next(items)
        with pytest.raises(LookupError):
            next(items)

    gc.collect()
    gc.disable()
    try:
        consume()
        default_portal().call(asyncio.sleep, 0)
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


async def talkative(length: int, log: list[Any]) -> AsyncGenerator[Any, Any]:
    """Answers to what is sent and thrown, and ends in different ways."""
    answer: Any = "start"
    try:
        for number in range(length):
            if number % 2:
                await asyncio.sleep(0)
            try:
                received = yield (number, answer)
                log.append(("received", received))
                answer = received
                if received == 9:
                    return
            except ValueError as error:
                log.append(("caught", error.args))
                if error.args == (8,):
                    raise LookupError(8) from None
                answer = "caught"
    finally:
        await asyncio.sleep(0)
        log.append("closed")


async def plain(steps: list[Operation], length: int) -> list[Any]:
    log: list[Any] = []
    generator = talkative(length, log)
    ended = False
    for kind, number in steps:
        error = ValueError(number) if kind == "throw" else KeyError(number)
        try:
            if kind == "next":
                log.append(await anext(generator))
            elif kind == "send":
                log.append(await generator.asend(number))
            elif kind == "close":
                await generator.aclose()
                ended = True
            elif ended:
                raise error  # where an asynchronous generator says nothing
            else:
                log.append(await generator.athrow(error))
        except StopAsyncIteration:
            log.append("stop")
            ended = True
        except Exception as failure:
            log.append(repr(failure))
            ended = ended or kind.startswith("throw") or "just-started" not in repr(failure)
    await generator.aclose()
    return log


def bridged(steps: list[Operation], length: int) -> list[Any]:
    log: list[Any] = []
    items = sync_iterator(talkative(length, log), strict=True)
    for kind, number in steps:
        try:
            if kind == "next":
                log.append(next(items))
            elif kind == "send":
                log.append(items.send(number))
            elif kind == "throw":
                log.append(items.throw(ValueError(number)))
            elif kind == "throw_other":
                log.append(items.throw(KeyError(number)))
            else:
                items.close()
        except StopIteration:
            log.append("stop")
        except Exception as failure:
            log.append(repr(failure))
    items.close()
    return log


@settings(max_examples=150, deadline=None)
@given(steps=operations, length=st.integers(0, 6))
def test_strict_is_the_plain_generator(steps: list[Operation], length: int) -> None:
    expected = asyncio.run(plain(steps, length))
    got = bridged(steps, length)
    assert [str(entry) for entry in got] == [
        str(entry).replace("async generator", "generator") for entry in expected
    ]


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.integers(), max_size=200),
    suspends=st.sets(st.integers(0, 200)),
    fails=st.booleans(),
    batch=st.integers(1, 70),
    budget=st.sampled_from([0.0, 0.001, 60.0]),
)
def test_any_batch_gives_the_same_items(
    items: list[int], suspends: set[int], fails: bool, batch: int, budget: float
) -> None:
    async def source() -> AsyncIterator[int]:
        for index, item in enumerate(items):
            if index in suspends:
                await asyncio.sleep(0)
            yield item
        if fails:
            raise LookupError

    seen = []
    failed = False
    try:
        for item in sync_iterator(source(), batch=batch, budget=budget):
            seen.append(item)
    except LookupError:
        failed = True
    assert (seen, failed) == (items, fails)


# -- processes -------------------------------------------------------------------------------------

_PROGRAM = """
import asyncio, os, sys
from bridgekit.adapters.iterators.to_sync import sync_iterator

async def numbers():
    try:
        for number in range(100_000):
            yield number
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)

items = sync_iterator(numbers(), strict=True)
next(items)
if sys.argv[1] == "fork":
    child = os.fork()
    if child == 0:
        try:
            list(items)
        except RuntimeError as error:
            print(type(error).__name__, flush=True)
        items.close()
        with sync_iterator(numbers()) as others:
            print(next(others), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(next(items), flush=True)
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [("exit", ["closed"]), ("fork", ["PortalClosedError", "0", "closed", "1", "closed"])],
)
def test_the_end_and_the_fork_of_a_process(how: str, expected: list[str]) -> None:
    if how == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout.split(), done.returncode) == (expected, 0), done.stderr
