"""Faults of the native adapters beside the original asgiref, each in the smallest program."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest

pytest.importorskip("asgiref.sync")

PRELUDE = """
import asyncio, faulthandler, os, signal
import asgiref.sync as theirs
import bridgekit

faulthandler.dump_traceback_later(4, exit=True)

def sensitive(func):
    return bridgekit.sync_to_async(func, thread_sensitive=True)
"""


def run(body: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(body) + "\nos._exit(0)\n"],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_forked_in_a_worker_of_asgiref_can_call_async_code() -> None:
    run(
        """
        async def five():
            return 5

        def fork():
            child = os.fork()
            if child == 0:
                signal.alarm(3)
                os._exit(bridgekit.async_to_sync(five)())
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert asyncio.run(theirs.sync_to_async(fork)()) == 5
        """
    )


def test_a_context_call_inside_asgirefs_bridge_finds_its_parked_thread() -> None:
    run(
        """
        async def inner():
            return await sensitive(int)()

        assert asyncio.run(sensitive(theirs.async_to_sync(inner))()) == 0
        """
    )


def test_a_context_call_from_a_loop_on_the_contexts_own_thread_is_refused() -> None:
    run(
        """
        async def inner():
            return await sensitive(int)()

        try:
            asyncio.run(sensitive(lambda: asyncio.run(inner()))())
        except bridgekit.DeadlockError:
            pass
        else:
            raise AssertionError("not refused")
        """
    )


def test_a_context_call_in_asgirefs_bridge_inside_a_lane_finds_the_users_thread() -> None:
    run(
        """
        import threading

        async def inner():
            return await sensitive(threading.get_ident)()

        async def outer():
            return await sensitive(theirs.async_to_sync(inner))()

        assert bridgekit.async_to_sync(outer)() == threading.get_ident()
        """
    )


def test_a_context_call_from_a_loop_on_the_users_own_thread_is_refused() -> None:
    run(
        """
        async def inner():
            return await sensitive(int)()

        async def outer():
            return await sensitive(lambda: asyncio.run(inner()))()

        try:
            bridgekit.async_to_sync(outer)()
        except bridgekit.DeadlockError:
            pass
        else:
            raise AssertionError("not refused")
        """
    )


def test_a_call_for_the_main_thread_from_a_loop_on_it_is_refused() -> None:
    run(
        """
        async def inner():
            return await bridgekit.to_thread.run_sync(int, affinity="main")

        async def outer():
            return await bridgekit.to_thread.run_sync(lambda: asyncio.run(inner()), affinity="main")

        try:
            bridgekit.async_to_sync(outer)()
        except bridgekit.DeadlockError:
            pass
        else:
            raise AssertionError("not refused")
        """
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_child_forked_in_a_worker_of_anyio_can_call_async_code(
    backend: str, loaded: bool
) -> None:
    pytest.importorskip("anyio")
    pytest.importorskip(backend)
    run(
        f"""
        import anyio.to_thread
        if {loaded}:
            import bridgekit.engine.foreign

        async def five():
            return 5

        def fork():
            child = os.fork()
            if child == 0:
                signal.alarm(3)
                os._exit(bridgekit.async_to_sync(five)())
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert anyio.run(anyio.to_thread.run_sync, fork, backend="{backend}") == 5
        """
    )
