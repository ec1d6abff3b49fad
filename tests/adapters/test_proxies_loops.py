"""Proxies under trio, across threads and after a fork."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import trio

from bridgekit import to_thread
from bridgekit.adapters.proxies import async_proxy, classes, proxying, sync_proxy, unwrap


class Client:
    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def call(self, x: int) -> int:
        assert threading.get_ident() != self.thread
        return x + 1

    def numbers(self) -> Iterator[int]:
        yield from range(3)

    @contextmanager
    def block(self) -> Iterator[int]:
        thread = threading.get_ident()
        yield 5
        assert threading.get_ident() == thread

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


def test_under_trio() -> None:
    async def main() -> None:
        client = async_proxy(Client())
        with trio.fail_after(30):
            assert await client.call(1) == 2
            assert [n async for n in client.numbers()] == [0, 1, 2]
            async with client.block() as value:
                assert value == 5
            async with client as entered:
                assert entered is client

    trio.run(main)


class Loop:
    async def call(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


def test_all_threads_share_one_loop_one_proxy_and_one_class() -> None:
    target = Loop()
    barrier = threading.Barrier(8)

    def use() -> tuple[Any, Any, Any]:
        barrier.wait(30)
        proxy = sync_proxy(target)
        return proxy, type(proxy), proxy.call()

    with ThreadPoolExecutor(8) as pool:
        found = [future.result(30) for future in [pool.submit(use) for _ in range(8)]]
    for position in range(3):
        assert len({id(row[position]) for row in found}) == 1


def test_cancelling_reaches_the_call_and_the_block_is_left() -> None:
    entered, release = threading.Event(), threading.Event()
    left: list[int] = []

    class Slow:
        def __enter__(self) -> Slow:
            self.thread = threading.get_ident()
            return self

        def __exit__(self, *exc: object) -> None:
            left.append(self.thread - threading.get_ident())

        def wait(self) -> None:
            entered.set()
            assert release.wait(30)

    async def main() -> None:
        slow = async_proxy(Slow())

        async def use() -> None:
            async with slow:
                await slow.wait()

        task = asyncio.create_task(use())
        assert await to_thread.run_sync(entered.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()  # not before the thread has ended
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert left == [0]


@contextmanager
def held_elsewhere(*locks: Any) -> Iterator[None]:
    """Another thread holds the locks meanwhile."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            over.wait()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait()
        try:
            yield
        finally:
            over.set()
            holding.result()


def in_child(main: Callable[[], object]) -> int:
    """The exit code of a forked child that does nothing else; 20 seconds are enough for it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            main()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_uses_proxies_of_its_parent() -> None:
    client = async_proxy(Client())
    asyncio.run(client.call(1))

    def main() -> None:
        unwrap(client).thread = 0
        fresh = async_proxy(Client, serialized=True)
        assert asyncio.run(client.call(1)) == 2
        assert asyncio.run(fresh().call(1)) == 2

    assert in_child(main) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_makes_proxies_though_its_parent_was_making_one() -> None:
    with held_elsewhere(classes._lock, proxying._lock):
        code = in_child(lambda: asyncio.run(async_proxy(Client)().numbers().__anext__()))
    assert code == 0
