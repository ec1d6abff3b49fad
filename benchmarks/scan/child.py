"""Measures one program in a process of its own: `python -m benchmarks.scan.child ROOT ROUNDS`.

With ROUNDS 0 only the first model and `ast.parse` are measured.

Writes one JSON object. Times are CPU times of the process, the least of ROUNDS, because load from
elsewhere only adds. The peak of memory is that of the first model, before anything else is done.
"""

from __future__ import annotations

import ast
import gc
import json
import pickle
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bridgekit_codemods.program import read_sources
from bridgekit_codemods.program.loading import Programs

MIB = 1 << 20
_UNIT = 1 if sys.platform == "darwin" else 1024


def peak() -> float:
    """The most memory this process has had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # `ru_maxrss` begins with what the process that started this one had
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / MIB


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """The CPU time and the time by the clock, in seconds."""
    gc.collect()
    gc.disable()
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    found = time.process_time() - processor, time.perf_counter() - clock
    gc.enable()
    del result
    return found


def parse_all(sources: Mapping[str, bytes]) -> list[ast.Module]:
    trees = []
    for path, data in sources.items():
        if path.endswith(".py"):
            try:
                trees.append(ast.parse(data))
            except (SyntaxError, ValueError):
                continue
    return trees


def edited(sources: Mapping[str, bytes], line: bytes) -> dict[str, bytes]:
    """The program after an edit of the file of median size."""
    files = sorted((p for p in sources if p.endswith(".py")), key=lambda p: (len(sources[p]), p))
    path = files[len(files) // 2]
    return {**sources, path: sources[path] + line}


def measure(root: Path, rounds: int) -> dict[str, float | None]:
    """All figures of one program: seconds, MiB and thousands of lines."""
    sources = read_sources(root)
    files = {path: data for path, data in sources.items() if path.endswith(".py")}
    before = peak()
    programs = Programs()
    load, wall = timed(partial(programs.load, files))
    after = peak()
    calls = len(programs.load(files).calls)
    warm, warm_wall, parse = float("inf"), float("inf"), float("inf")
    if not rounds:
        parse = timed(lambda: parse_all(files))[0]
    # in turns, so that what else the machine does meets all of them
    for number in range(rounds):
        changed = edited(files, b"\nEDITED = %d\n" % number)
        cpu, clock = timed(partial(programs.load, changed))
        warm, warm_wall = min(warm, cpu), min(warm_wall, clock)
        parse = min(parse, timed(lambda: parse_all(files))[0])
        if number:
            programs = Programs()
            cpu, clock = timed(partial(programs.load, files))
            load, wall = min(load, cpu), min(wall, clock)
    trees = parse_all(files)
    texts = [pickle.dumps(tree, pickle.HIGHEST_PROTOCOL) for tree in trees]
    del trees
    unpickle = min(
        timed(lambda: [pickle.loads(text) for text in texts])[0] for _ in range(max(1, rounds))
    )
    return {
        "kloc": sum(data.count(b"\n") for data in files.values()) / 1000,
        "files": len(files),
        "calls": calls,
        "base_mib": before,
        "peak_mib": after,
        "parse": parse,
        "load": load,
        "wall": wall,
        "warm": warm if rounds else None,
        "warm_wall": warm_wall if rounds else None,
        "unpickle": unpickle,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(20_000)
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
