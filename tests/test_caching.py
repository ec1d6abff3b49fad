"""async_lru_cache: results are cached, not coroutines, and concurrent callers share one call."""

from __future__ import annotations

import asyncio
import inspect
from functools import lru_cache
from typing import Any

import pytest

from bridgekit.caching import async_lru_cache


def test_it_caches_like_lru_cache() -> None:
    calls: list[Any] = []

    @async_lru_cache(maxsize=2)
    async def native(x: Any, *, y: int = 0) -> Any:
        calls.append(x)
        await asyncio.sleep(0)
        return x

    @lru_cache(maxsize=2)
    def plain(x: Any, *, y: int = 0) -> Any:
        return x

    async def main() -> None:
        for arguments in (1, 2, 1, 3, 2, 1.0, 1, True, "a", "b", "a"):
            assert await native(arguments) == plain(arguments)
            assert tuple(native.cache_info()) == tuple(plain.cache_info())
        assert await native("a", y=1) == plain("a", y=1)
        assert tuple(native.cache_info()) == tuple(plain.cache_info())
        native.cache_clear()
        plain.cache_clear()
        assert tuple(native.cache_info()) == tuple(plain.cache_info())

    asyncio.run(main())
    assert native.cache_parameters() == {"maxsize": 2, "typed": False}
    assert native.__wrapped__.__name__ == "native"
    assert inspect.iscoroutinefunction(native)


@pytest.mark.parametrize(("maxsize", "calls"), [(None, 3), (0, 6), (-5, 6)])
def test_sizes(maxsize: int | None, calls: int) -> None:
    made: list[int] = []

    @async_lru_cache(maxsize)
    async def native(x: int) -> None:
        made.append(x)

    async def main() -> None:
        for x in (1, 2, 3, 1, 2, 3):
            await native(x)

    asyncio.run(main())
    assert len(made) == calls


def test_typed_and_bare_and_methods() -> None:
    @async_lru_cache(typed=True)
    async def typed(x: float) -> type:
        return type(x)

    @async_lru_cache
    async def bare(x: int) -> object:
        return object()

    class Service:
        @async_lru_cache(maxsize=4)
        async def load(self, x: int) -> tuple[Any, int]:
            return self, x

    async def main() -> None:
        assert await typed(1) is int
        assert await typed(1.0) is float
        assert await bare(1) is await bare(1)
        service = Service()
        assert await service.load(1) is await service.load(1)
        assert (await Service().load(1))[0] is not service
        with pytest.raises(TypeError, match="unhashable"):
            await bare([])  # type: ignore[arg-type]

    asyncio.run(main())


def test_exceptions_are_not_cached() -> None:
    outcomes = [ValueError("first"), "second"]

    @async_lru_cache
    async def native() -> str:
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main() -> None:
        results = await asyncio.gather(native(), native(), return_exceptions=True)
        assert [str(result) for result in results] == ["first", "first"]
        assert await native() == await native() == "second"

    asyncio.run(main())


def test_concurrent_callers_share_a_call_and_survive_each_other_s_cancellation() -> None:
    calls = 0
    cancelled = 0

    async def main() -> None:
        release = asyncio.Event()

        @async_lru_cache
        async def native() -> int:
            nonlocal calls, cancelled
            calls += 1
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise
            return calls

        tasks = [asyncio.create_task(native()) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.sleep(0)
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1:3] == [1, 1]
        assert results[4] == 1
        assert isinstance(results[0], asyncio.CancelledError)
        assert (calls, cancelled) == (1, 0)

        native.cache_clear()
        release.clear()
        tasks = [asyncio.create_task(native()) for _ in range(2)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        late = asyncio.create_task(native())
        await asyncio.gather(*tasks, return_exceptions=True)
        release.set()
        assert await late == calls
        assert all(task.cancelled() for task in tasks)

    asyncio.run(main())


def test_all_callers_cancelled_cancels_the_call() -> None:
    ended: list[str] = []

    @async_lru_cache
    async def native() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def main() -> None:
        task = asyncio.create_task(native())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == ["ended"]
        assert native.cache_info().currsize == 0

    asyncio.run(main())


def test_results_are_shared_by_loops_and_calls_are_not() -> None:
    calls = 0

    @async_lru_cache
    async def native(x: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return x

    async def leave_under_way() -> None:
        task = asyncio.create_task(native(2))
        await asyncio.sleep(0)
        assert not task.done()

    assert asyncio.run(native(1)) == asyncio.run(native(1)) == 1
    assert calls == 1
    asyncio.run(leave_under_way())
    assert asyncio.run(native(2)) == 2


def test_clearing_while_a_call_is_under_way_forgets_its_result() -> None:
    async def main() -> None:
        release = asyncio.Event()
        values = iter(range(10))

        @async_lru_cache
        async def native() -> int:
            value = next(values)
            await release.wait()
            return value

        old = asyncio.create_task(native())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        native.cache_clear()
        new = asyncio.create_task(native())
        await asyncio.sleep(0)
        release.set()
        assert (await old, await new, await native()) == (0, 1, 1)

    asyncio.run(main())
