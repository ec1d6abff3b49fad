"""The drop-in and the original in one process, as after an `install` that came late.

Each case runs in a process of its own: what goes wrong here is a wait without end.
"""

import subprocess
import sys
from textwrap import dedent

import pytest

pytest.importorskip("asgiref.sync")

PRELUDE = """
import asyncio, contextvars, faulthandler, os, random, threading
from asgiref import sync as theirs
from asgiref.local import Local as TheirLocal
from bridgekit.integrations.asgiref import sync as ours

faulthandler.dump_traceback_later(15, exit=True)
assert ours.SyncToAsync is not theirs.SyncToAsync
here = threading.current_thread

def alternate(sides, leaf):
    '''sides[0] runs a sync function that runs a coroutine through sides[1], and so on.'''
    async def step(left, threads):
        if not left:
            return await leaf(threads)
        outer, inner, *rest = left
        def sync_part():
            threads.append(here())
            return inner.async_to_sync(step)(rest, threads)
        return await outer.sync_to_async(sync_part)()
    return lambda: step(list(sides), [])

async def all_threads(threads):
    return threads
"""


def run(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(body) + "\nos._exit(0)\n"],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "sides",
    ["ours, theirs, ours, ours", "theirs, ours, theirs, theirs", "ours, ours, theirs, theirs"],
)
def test_thread_sensitive_calls_inside_the_other_side_keep_their_thread(sides: str) -> None:
    run(
        f"""
        async def leaf(threads):
            threads.append(await ours.sync_to_async(here)())
            threads.append(await theirs.sync_to_async(here)())
            return threads

        threads = asyncio.run(alternate([{sides}], leaf)())
        assert len(threads) == 4 and len(set(threads)) == 1, threads
        """
    )


@pytest.mark.parametrize("outermost", ["ours", "theirs"])
def test_from_plain_code_all_of_it_runs_on_the_calling_thread(outermost: str) -> None:
    run(
        f"""
        async def leaf(threads):
            threads.append(await ours.sync_to_async(here)())
            threads.append(await theirs.sync_to_async(here)())
            return threads

        for seed in range(6):
            sides = random.Random(seed).choices([ours, theirs], k=8)
            threads = {outermost}.async_to_sync(alternate(sides, leaf))()
            assert set(threads) == {{here()}}, (seed, threads)
        """
    )


def test_each_side_honours_its_context_inside_the_other() -> None:
    run(
        """
        async def contexts(threads):
            async with theirs.ThreadSensitiveContext():
                async with ours.ThreadSensitiveContext():
                    return [await ours.sync_to_async(here)(), await theirs.sync_to_async(here)()]

        first, second = asyncio.run(alternate([ours, theirs], contexts)())
        assert first is second  # a parked thread comes before a context
        async def alone():
            async with ours.ThreadSensitiveContext():
                outer = await ours.sync_to_async(here)()
                nested = await alternate([theirs, ours], all_threads)()
                return outer, nested
        asyncio.run(alone())
        """
    )


def test_concurrent_chains_through_both_sides_come_to_an_end() -> None:
    run(
        """
        async def main():
            generator = random.Random(5)
            calls = []
            for _ in range(40):
                sides = generator.choices([ours, theirs], k=2 * generator.randint(1, 4))
                calls.append(alternate(sides, all_threads)())
            done = await asyncio.gather(*calls)
            assert len(done) == 40

        asyncio.run(main())
        """
    )


def test_a_task_that_outlives_the_other_sides_call_still_finds_a_thread() -> None:
    run(
        """
        async def leave_a_task():
            async def later():
                await asyncio.sleep(0.05)
                return await theirs.sync_to_async(here)()
            return asyncio.create_task(later())

        async def main():
            def through_both():
                return theirs.async_to_sync(leave_a_task)()
            task = await ours.sync_to_async(through_both)()
            return await task

        thread = ours.async_to_sync(main)()
        assert thread is here(), thread
        """
    )


def test_values_of_the_originals_local_cross_our_bridges_and_come_back() -> None:
    run(
        """
        local = TheirLocal()
        local.value = ["set on the thread"]

        async def coroutine():
            assert local.value == ["set on the thread"]
            def on_thread():
                assert local.value == ["set on the thread"]
                local.value = ["set in the call"]
            await ours.sync_to_async(on_thread, thread_sensitive=False)()
            assert local.value == ["set in the call"]
            local.other = 1

        ours.async_to_sync(coroutine)()
        assert local.value == ["set in the call"] and local.other == 1

        async def siblings():
            first, second = TheirLocal(), TheirLocal()
            first.value = second.value = 0
            both = threading.Barrier(2)
            def change(which):
                both.wait()
                which.value += 1
            bridged = ours.sync_to_async(change, thread_sensitive=False)
            await asyncio.gather(bridged(first), bridged(second))
            return 0

        asyncio.run(siblings())
        """
    )
