"""Stopping a portal: what was accepted before is cancelled or waited for, and always ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future

import pytest

from bridgekit import (
    BlockingPortal,
    PortalClosedError,
    from_thread,
    start_blocking_portal,
    to_thread,
)

pytestmark = pytest.mark.timeout(60)


def test_a_task_accepted_just_before_the_stop_is_cancelled_by_it() -> None:
    async def main() -> Future[None]:
        async with BlockingPortal() as portal:
            accepted = asyncio.Event()

            def in_thread() -> Future[None]:
                future = portal.start_task_soon(asyncio.sleep, 3, None)
                from_thread.run_sync(accepted.set)
                return future

            thread = asyncio.create_task(to_thread.run_sync(in_thread))
            await accepted.wait()
            await portal.stop(cancel_remaining=True)
            return await thread

    for _ in range(20):
        future = asyncio.run(main())
        assert future.done()
        assert future.cancelled()


def test_stop_does_not_wait_for_what_is_under_way() -> None:
    with start_blocking_portal(name="named") as portal:
        assert portal.call(lambda: threading.current_thread().name) == "named"
        future = portal.start_task_soon(asyncio.sleep, 60)
        portal.call(portal.stop)
        assert not future.done()
        with pytest.raises(PortalClosedError):
            portal.start_task_soon(asyncio.sleep, 0)
        with pytest.raises(PortalClosedError):
            portal.call(asyncio.sleep, 0)
        assert future.cancel()


def test_a_task_of_the_portal_can_stop_it() -> None:
    async def main() -> list[str]:
        async with asyncio.timeout(20), BlockingPortal() as portal:

            async def stop() -> str:
                await portal.stop(cancel_remaining=True)
                return "stopped"

            def in_thread() -> list[str]:
                other = portal.start_task_soon(asyncio.sleep, 60)
                answers = [portal.call(stop)]
                with pytest.raises(CancelledError):
                    other.result(10)
                return answers

            return await to_thread.run_sync(in_thread)
        raise AssertionError

    assert asyncio.run(main()) == ["stopped"]


def test_leaving_the_block_after_a_stop_waits() -> None:
    ended = threading.Event()

    async def slow() -> None:
        await asyncio.sleep(0.05)
        ended.set()

    with start_blocking_portal() as portal:
        portal.start_task_soon(slow)
        portal.call(portal.stop)
    assert ended.is_set()
