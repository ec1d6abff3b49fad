"""What type checkers have to see of bridgekit's public names. Checked, never run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, assert_type

from bridgekit import (
    BlockingPortal,
    CapacityLimiter,
    ProxyRules,
    ThreadSensitiveContext,
    async_context_manager,
    async_iterator,
    async_proxy,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    sync_context_manager,
    sync_iterator,
    sync_proxy,
    sync_to_async,
    to_thread,
    unwrap,
)

# ---- functions of every kind


def fetch(url: str, *, retries: int = 3) -> bytes:
    return b""


async def send(url: str, body: bytes | None = None) -> int:
    return 0


@sync_to_async
def bare(x: int) -> str:
    return str(x)


@sync_to_async(thread_sensitive=True, limiter=CapacityLimiter(3))
def with_options(x: int, /, *, y: str = "") -> list[int]:
    return [x]


@async_to_sync
async def waiting(x: int) -> str:
    return str(x)


@async_to_sync()
async def waiting_called(x: int) -> str:
    return str(x)


class Service:
    @sync_to_async
    def method(self, n: int) -> str:
        return ""

    @sync_to_async(affinity="context")
    def method_with_options(self, n: int) -> str:
        return ""

    @classmethod
    @sync_to_async
    def build(cls, n: int) -> int:
        return n

    @staticmethod
    @sync_to_async
    def helper(n: int) -> float:
        return n

    @async_to_sync
    async def wait(self, n: int) -> bytes:
        return b""


class Fetch(Protocol):
    """A callback that a caller may ask for: names and defaults of parameters are kept."""

    def __call__(self, url: str, *, retries: int = 3) -> Coroutine[Any, Any, bytes]: ...


async def functions() -> None:
    turned: Fetch = sync_to_async(fetch)
    assert_type(await turned("u", retries=2), bytes)
    assert_type(await sync_to_async(fetch)("u", retries=1), bytes)
    assert_type(await sync_to_async(fetch, affinity="main")("u"), bytes)
    assert_type(await sync_to_async(fetch, executor=ThreadPoolExecutor())("u"), bytes)
    await sync_to_async(fetch)(1)  # type: ignore[arg-type]
    await sync_to_async(fetch)("u", retry=1)  # type: ignore[call-arg]
    await sync_to_async(fetch, affinity="nowhere")("u")  # type: ignore[call-overload]

    assert_type(await bare(1), str)
    assert_type(await with_options(1, y="a"), list[int])
    await with_options(x=1)  # type: ignore[call-arg]

    service = Service()
    assert_type(await service.method(1), str)
    assert_type(await service.method_with_options(1), str)
    assert_type(await Service.build(1), int)
    assert_type(await service.helper(1), float)
    assert_type(service.wait(1), bytes)
    await service.method("a")  # type: ignore[arg-type]


def waits() -> None:
    assert_type(async_to_sync(send)("u", body=b""), int)
    assert_type(waiting(1), str)
    assert_type(waiting_called(1), str)
    async_to_sync(send)(1)  # type: ignore[arg-type]
    async_to_sync(fetch)("u")  # type: ignore[arg-type]


# ---- threads and portals


async def threads() -> None:
    assert_type(await to_thread.run_sync(fetch, "u"), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", retries=2), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", limiter=CapacityLimiter(1)), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", affinity="context"), bytes)
    assert_type(await to_thread.run_sync(len, [1]), int)
    # The exact form of a call with options: the wrapper knows the function's parameters.
    limited = sync_to_async(fetch, limiter=CapacityLimiter(1), abandon_on_cancel=True)
    assert_type(await limited("u", retries=2), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", timeout=1.5, retries=1), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", cancel_grace=2, on_abandoned=print), bytes)
    assert_type(await to_thread.run_sync(fetch, "u", context="share"), bytes)
    await to_thread.run_sync(fetch, 1)  # type: ignore[call-overload]
    await to_thread.run_sync(fetch, "u", retry=1)  # type: ignore[call-arg]
    await to_thread.run_sync(fetch, "u", affinity="nowhere")  # type: ignore[call-arg]
    async with ThreadSensitiveContext() as context:
        assert_type(context, ThreadSensitiveContext)


def worker() -> None:
    assert_type(from_thread.run(send, "u"), int)
    assert_type(from_thread.run(send, "u", body=None), int)
    assert_type(from_thread.run_sync(fetch, "u"), bytes)
    assert_type(from_thread.check_cancelled(), None)


@contextlib.asynccontextmanager
async def session(url: str) -> AsyncIterator[bytes]:
    yield b""


@contextlib.contextmanager
def transaction(name: str) -> Iterator[int]:
    yield 1


def portals() -> None:
    with start_blocking_portal() as portal:
        assert_type(portal, BlockingPortal)
        assert_type(portal.start_task_soon(fetch, "u"), Future[bytes])
        assert_type(portal.start_task_soon(send, "u", name="send"), Future[int])
        with portal.wrap_async_context_manager(session("u")) as inner:
            assert_type(inner, bytes)
    assert_type(default_portal(), BlockingPortal)
    assert_type(default_portal().call(fetch, "u"), bytes)
    assert_type(default_portal().call(send, "u"), int)
    default_portal().call(send, 1)  # type: ignore[call-overload]
    with start_blocking_portal(loop_factory=asyncio.new_event_loop):
        pass


# ---- context managers and iterators


async def managers_and_items() -> None:
    async with async_context_manager(transaction)("t") as number:
        assert_type(number, int)
    async with async_context_manager(transaction("t")) as number:
        assert_type(number, int)
    async_context_manager(transaction)(3)  # type: ignore[arg-type]
    async for item in async_iterator([1, 2]):
        assert_type(item, int)
    async for part in async_iterator(numbers)("a"):
        assert_type(part, float)
    async_iterator(numbers)(3)  # type: ignore[arg-type]


def numbers(of: str) -> Generator[float, None, None]:
    yield 1.0


async def numbers_async(of: str) -> AsyncIterator[float]:
    yield 1.0


def managers_and_items_here() -> None:
    with sync_context_manager(session)("u") as body:
        assert_type(body, bytes)
    with sync_context_manager(session("u")) as body:
        assert_type(body, bytes)
    for number in sync_iterator(numbers_async)("a"):
        assert_type(number, float)
    for number in sync_iterator(numbers_async("a")):
        assert_type(number, float)
    sync_context_manager(session)(3)  # type: ignore[arg-type]


# ---- proxies: exact through a stub (see ``bridgekit stubs``), untyped without


def proxies() -> None:
    assert_type(async_proxy(Service), Any)
    assert_type(sync_proxy(Service(), plain={"helper"}), Any)
    assert_type(unwrap(Service()), Any)
    rules = ProxyRules(plain=frozenset({"a"}), wrap=frozenset({Service}))
    assert_type(rules.plain, frozenset[str])
    async_proxy(Service, plan={"a"})  # type: ignore[call-arg]


callback: Callable[[str], Coroutine[Any, Any, bytes]] = sync_to_async(fetch)
