"""Random trees of calls through the drop-in come to an end, with two workers for all of them.

Each set of trees runs in a process of its own, which is killed if one hangs.
"""

import os
import subprocess
import sys

import pytest

TREES = """
import asyncio, faulthandler, importlib, logging, os, random, sys
import bridgekit

SIDES, CANCEL, COUNT = sys.argv[1].split(","), sys.argv[2] == "cancel", int(sys.argv[3])
sides = [importlib.import_module(name) for name in SIDES]
faulthandler.dump_traceback_later(60, exit=True)
logging.basicConfig()
bridgekit.to_thread.set_max_workers(2)


async def asynchronous(generator, depth):
    if depth == 0:
        return
    choice = generator.random()
    if choice < 0.15:
        async with generator.choice(sides).ThreadSensitiveContext():
            await asynchronous(generator, depth - 1)
    elif choice < 0.35:
        seeds = [generator.random() for _ in range(generator.randint(2, 3))]
        await asyncio.gather(*(asynchronous(random.Random(seed), depth - 1) for seed in seeds))
    elif choice < 0.45 and CANCEL:
        task = asyncio.create_task(asynchronous(random.Random(generator.random()), depth - 1))
        for _ in range(generator.randint(0, 4)):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return
    else:
        side = generator.choice(sides)
        # The original's own pool is as small as that of the loop and hangs when it is full.
        sensitive = generator.random() < 0.7 or len(sides) > 1
        await side.sync_to_async(synchronous, thread_sensitive=sensitive)(generator, depth - 1)


def synchronous(generator, depth):
    if depth:
        generator.choice(sides).async_to_sync(asynchronous)(generator, depth - 1)


for seed in range(COUNT):
    generator = random.Random(seed)
    if generator.random() < 0.5:
        asyncio.run(asyncio.wait_for(asynchronous(generator, 7), 30))
    else:
        generator.choice(sides).async_to_sync(asynchronous)(generator, 7)
print("all ended", flush=True)
os._exit(0)
"""
OURS, THEIRS = "bridgekit.integrations.asgiref.sync", "asgiref.sync"


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("sides", "cancel"),
    [
        pytest.param(OURS, "cancel", id="drop-in, with cancellations"),
        # The original alone waits for ever in some trees with cancellations, so none here.
        pytest.param(f"{OURS},{THEIRS}", "none", id="drop-in and original"),
    ],
)
def test_random_trees_come_to_an_end(sides: str, cancel: str) -> None:
    if THEIRS in sides.split(","):
        pytest.importorskip("asgiref.sync")
    count = os.environ.get("BRIDGEKIT_RANDOM_TREES", "500")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TREES, sides, cancel, count],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "all ended\n"
    assert done.stderr == ""
