"""Fork while calls are under way (invariant 11): the child completes or raises within a second."""

from __future__ import annotations

import os

import pytest
from tests.bridge.processes import run_program

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform"),
    pytest.mark.timeout(90),
]

# The child tries everything the bridge has. `fork()` returns in the parent only.
CHILD = """
from tests.bridge.stopwatch import Stopwatch
async def everything():
    async with asyncio.timeout(20):
        assert await to_thread.run_sync(async_to_sync(native), 1) == 1
        async with ThreadSensitiveContext():
            assert await sync_to_async(int, thread_sensitive=True)(7) == 7
        assert await sync_to_async(int, thread_sensitive=True)(8) == 8
        assert await to_thread.run_sync(int, limiter=CapacityLimiter(1)) == 0
        await asyncio.gather(*(to_thread.run_sync(async_to_sync(native)) for _ in range(60)))
def use_the_bridge():
    assert async_to_sync(native)(2) == 2
    assert default_portal().call(native, 3) == 3
    async_to_sync(everything)()
    with start_blocking_portal() as portal:
        assert portal.call(native, 4) == 4
    box = []
    thread = threading.Thread(target=lambda: box.append(asyncio.run(everything())))
    thread.start()
    thread.join(20)
    assert box == [None]
def fork(child=use_the_bridge):
    pid = os.fork()
    if not pid:
        try:
            stopwatch = Stopwatch()
            child()
            took = stopwatch.seconds()
            say("child", "in time" if took < 1 else f"took {took}")
        except BaseException as error:
            import traceback
            say("child failed:", *traceback.format_exception(error))
        finally:
            os._exit(0)
    deadline = time.monotonic() + 25
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGABRT)
            os.waitpid(pid, 0)
            say("child hung")
            return
        time.sleep(0.005)
release = threading.Event()
begun = threading.Semaphore(0)
def block():
    begun.release()
    release.wait(30)
async def block_native():
    begun.release()
    await to_thread.run_sync(release.wait, 30)
"""

STATES = {
    # What is under way when the process forks; each begins calls and returns what ends them.
    "idle": "async_to_sync(native)(); asyncio.run(everything())",
    "pool full": """
to_thread.set_max_workers(2)
def calls():
    async def main():
        await asyncio.gather(*(to_thread.run_sync(block) for _ in range(5)))
    asyncio.run(main())
threads = [threading.Thread(target=calls)]
threads[0].start()
begun.acquire(); begun.acquire()
""",
    "threads parked": """
threads = [threading.Thread(target=async_to_sync(block_native)) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    begun.acquire()
""",
    "context threads busy": """
def calls():
    async def one():
        async with ThreadSensitiveContext():
            await sync_to_async(block, thread_sensitive=True)()
    async def main():
        await asyncio.gather(one(), one(), sync_to_async(block, thread_sensitive=True)())
    asyncio.run(main())
threads = [threading.Thread(target=calls)]
threads[0].start()
for _ in range(3):
    begun.acquire()
""",
    "lane busy": """
async def busy():
    await asyncio.gather(*(to_thread.run_sync(block) for _ in range(3)))
threads = [threading.Thread(target=async_to_sync(busy))]
threads[0].start()
for _ in range(3):
    begun.acquire()
""",
}


@pytest.mark.parametrize("state", STATES)
def test_invariant_11_fork_while_calls_are_under_way(state: str) -> None:
    lines = run_program(
        CHILD
        + "threads = []\n"
        + STATES[state]
        + """
fork()
release.set()
for thread in threads:
    thread.join(20)
    assert not thread.is_alive()
use_the_bridge()
say("parent")
"""
    )
    assert lines == ["child in time", "parent"]


PLACES = [
    "to_thread.run_sync(fork)",
    "sync_to_async(fork, thread_sensitive=True)()",
    "to_thread.run_sync(async_to_sync(nested))",
    "to_thread.run_sync(lambda: default_portal().call(nested))",
]


@pytest.mark.parametrize("root", ["asyncio.run(place())", "async_to_sync(place)()"])
def test_invariant_11_fork_on_a_thread_of_the_bridge(root: str) -> None:
    """The forking thread is itself inside a chain of calls; its child starts afresh."""
    lines = run_program(
        CHILD
        + "async def nested():\n    await to_thread.run_sync(fork)\n"
        + "".join(f"async def place():\n    await {place}\n{root}\n" for place in PLACES)
        + "use_the_bridge()\nsay('parent')\n"
    )
    assert lines == ["child in time"] * len(PLACES) + ["parent"]


def test_a_child_cannot_finish_its_parents_calls() -> None:
    """The child that goes on with its parent's stack is told so, instead of waiting for ever."""
    lines = run_program(
        """
        def fork():
            pid = os.fork()
            if pid:
                deadline = time.monotonic() + 15
                while os.waitpid(pid, os.WNOHANG) == (0, 0):
                    if time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                        say("child hung")
                        os.waitpid(pid, 0)
                        return
                    time.sleep(0.005)
        async def main():
            await to_thread.run_sync(fork)
        mine = os.getpid()
        try:
            async_to_sync(main)()
        except RuntimeError as error:
            say("child:" if os.getpid() != mine else "parent failed:", error)
            os._exit(0)
        say("parent")
        """
    )
    assert lines == ["child: a forked child cannot finish its parent's call", "parent"]


def test_fork_inside_an_open_context() -> None:
    lines = run_program(
        CHILD
        + """
async def inside():
    async with asyncio.timeout(20):
        return await sync_to_async(threading.get_ident, thread_sensitive=True)()
def child():
    # The contexts that are open belong to the parent's threads.
    assert async_to_sync(inside)() == threading.get_ident()
    use_the_bridge()
async def main():
    async with ThreadSensitiveContext():
        await inside()
        await sync_to_async(fork, thread_sensitive=True)(child)
        await inside()
asyncio.run(main())
say("parent")
"""
    )
    assert lines == ["child in time", "parent"]


def test_a_forked_child_has_no_part_in_its_parents_portal_loop() -> None:
    lines = run_program(
        CHILD
        + """
from bridgekit.engine.portal import portal_loop
parents = portal_loop()
class Letter:
    def arrived(self):
        say("it arrived")
def child():
    assert not parents.is_open
    assert not parents.post(Letter())
    assert portal_loop() is not parents
fork(child)
assert parents.is_open
say("parent")
"""
    )
    assert lines == ["child in time", "parent"]
