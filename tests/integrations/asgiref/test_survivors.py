"""Three promises of asgiref that its own suite does not check: without them it passes all the same.

Each is checked here, against the drop-in, or against the module that the environment names (which
is how scripts/conformance shows that these tests notice the loss of each).
"""

import asyncio
import contextvars
import importlib
import os
import subprocess
import sys
import threading
from typing import Any

MODULE = os.environ.get("BRIDGEKIT_SYNC_MODULE", "bridgekit.integrations.asgiref.sync")
sync: Any = importlib.import_module(MODULE)

WOULD_DEADLOCK = f"""
import asyncio, importlib, os
sync = importlib.import_module({MODULE!r})

async def inner():
    return await sync.sync_to_async(int)()

def outer():
    return asyncio.run(inner())

async def main():
    try:
        await sync.sync_to_async(outer)()
    except RuntimeError as error:
        print("refused:", error, flush=True)
    os._exit(0)

asyncio.run(main())
"""


def test_a_call_that_could_never_start_is_refused() -> None:
    """The thread that thread-sensitive calls share runs the loop that wants such a call."""
    # In a process of its own: where the call is not refused, nothing ever ends it.
    done = subprocess.run(
        [sys.executable, "-c", WOULD_DEADLOCK],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "refused: " in done.stdout
    assert "would deadlock" in done.stdout


def test_the_exception_being_handled_is_visible_in_the_coroutine() -> None:
    async def handled() -> BaseException | None:
        await asyncio.sleep(0)
        return sys.exc_info()[1]

    error = ValueError("being handled")
    try:
        raise error
    except ValueError:
        assert sync.async_to_sync(handled)() is error
    assert sync.async_to_sync(handled)() is None


def test_a_task_in_an_empty_context_finds_the_thread_that_waits_for_its_loop() -> None:
    async def in_empty_context() -> threading.Thread:
        loop = asyncio.get_running_loop()
        call = sync.sync_to_async(threading.current_thread)
        return await loop.create_task(call(), context=contextvars.Context())

    assert sync.async_to_sync(in_empty_context)() is threading.current_thread()
