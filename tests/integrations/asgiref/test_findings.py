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
@pytest.mark.xfail(reason="a loop of the parent is taken for running in the child")
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


@pytest.mark.xfail(reason="the thread is parked in asgiref's executor, which is not asked")
def test_a_context_call_inside_asgirefs_bridge_finds_its_parked_thread() -> None:
    run(
        """
        async def inner():
            return await sensitive(int)()

        assert asyncio.run(sensitive(theirs.async_to_sync(inner))()) == 0
        """
    )


@pytest.mark.xfail(reason="a loop that runs on the very thread which the call needs is not seen")
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
