"""Stopping a portal: what was accepted before is cancelled or waited for, and always ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

import anyio
import pytest

from bridgekit import (
    BlockingPortal,
    PortalClosedError,
    from_thread,
    start_blocking_portal,
    to_thread,
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def run(backend: Any) -> Callable[..., Any]:
    return partial(anyio.run, backend=backend)


def test_a_task_accepted_just_before_the_stop_is_cancelled_by_it(run: Callable[..., Any]) -> None:
    async def main() -> Future[None]:
        futures: list[Future[None]] = []
        async with BlockingPortal() as portal, anyio.create_task_group() as group:
            accepted = anyio.Event()

            def in_thread() -> None:
                futures.append(portal.start_task_soon(anyio.sleep, 3))
                from_thread.run_sync(accepted.set)

            group.start_soon(to_thread.run_sync, in_thread)
            await accepted.wait()
            await portal.stop(cancel_remaining=True)
        return futures[0]

    for _ in range(20):
        future = run(main)
        assert future.done()
        assert future.cancelled()


def test_stop_does_not_wait_for_what_is_under_way(backend: Any) -> None:
    with start_blocking_portal(backend, name="named") as portal:
        assert portal.call(lambda: threading.current_thread().name) == "named"
        future = portal.start_task_soon(anyio.sleep, 60)
        portal.call(portal.stop)
        assert not future.done()
        with pytest.raises(PortalClosedError):
            portal.start_task_soon(anyio.sleep, 0)
        with pytest.raises(PortalClosedError):
            portal.call(anyio.sleep, 0)
        portal.call(portal.stop)  # once more does no harm
        assert future.cancel()


def test_a_task_of_the_portal_can_stop_it(run: Callable[..., Any]) -> None:
    async def main() -> list[str]:
        with anyio.fail_after(20):
            return await stopped()

    async def stopped() -> list[str]:
        async with BlockingPortal() as portal:

            async def stop() -> str:
                await portal.stop(cancel_remaining=True)
                return "stopped"

            def in_thread() -> list[str]:
                other = portal.start_task_soon(anyio.sleep, 60)
                answers = [portal.call(stop)]
                with pytest.raises(CancelledError):
                    other.result(10)
                return answers

            return await to_thread.run_sync(in_thread)
        raise AssertionError

    assert run(main) == ["stopped"]


def test_leaving_the_block_after_a_stop_waits(backend: Any) -> None:
    ended = threading.Event()

    async def slow() -> None:
        await anyio.sleep(0.05)
        ended.set()

    with start_blocking_portal(backend) as portal:
        portal.start_task_soon(slow)
        portal.call(portal.stop)
    assert ended.is_set()
