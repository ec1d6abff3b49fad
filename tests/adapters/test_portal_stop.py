"""Stopping a portal: what was accepted before is cancelled or waited for, and always ends."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from bridgekit import BlockingPortal, from_thread, to_thread

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
