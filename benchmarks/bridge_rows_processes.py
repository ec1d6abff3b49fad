"""What needs a process of its own: memory under many calls, and the time of the import."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial

from bridge_row import Measure, Row

SLEEPS = """
import asyncio, re, resource, sys, time
from concurrent.futures import ThreadPoolExecutor
from bridgekit import to_thread
ours = sys.argv[1] == "ours"
def most_memory():
    if sys.platform == "linux":  # where ru_maxrss begins with that of the parent
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
async def main():
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(40))
    to_thread.set_max_workers(40)
    call = to_thread.run_sync if ours else asyncio.to_thread
    await call(int)
    before = most_memory()
    start = time.perf_counter()
    await asyncio.gather(*(call(time.sleep, 0.001) for _ in range(10_000)))
    wall = time.perf_counter() - start
    print(wall, most_memory() - before)
asyncio.run(main())
"""
IMPORT = """
import sys, time
start = time.process_time()
__import__(sys.argv[1])
print(time.process_time() - start)
"""


def run(code: str, argument: str) -> list[float]:
    command = [sys.executable, "-c", code, argument]
    return [float(word) for word in subprocess.check_output(command, text=True).split()]


def sleeps(side: str, column: int) -> float:
    return run(SLEEPS, side)[column]


def cpu_of_import(module: str) -> float:
    return statistics.median(run(IMPORT, module)[0] for _ in range(5))


def bound(function: object, *args: object) -> Measure:
    return partial(function, *args)  # type: ignore[arg-type]


ROWS = [
    Row(
        "10,000 sleeps of 1 ms through 40 threads, wall / asyncio.to_thread",
        bound(sleeps, "ours", 0),
        bound(sleeps, "peer", 0),
        0.5,
        unit="ms",
        slow=True,
    ),
    Row(
        "10,000 sleeps of 1 ms through 40 threads, memory / asyncio.to_thread",
        bound(sleeps, "ours", 1),
        bound(sleeps, "peer", 1),
        0.4,
        unit="MiB",
        slow=True,
    ),
    Row(
        "CPU time of `import bridgekit` / `import asgiref.sync`",
        bound(cpu_of_import, "bridgekit"),
        bound(cpu_of_import, "asgiref.sync"),
        0.6,
        unit="ms",
        slow=True,
    ),
]
