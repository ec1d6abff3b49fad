"""The profile hook and `sys.monitoring` record the same calls of the same program."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgekit_codemods.program import read_sources
from bridgekit_codemods.tracing import Trace, run

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
    import asyncio
    import contextlib
    import functools
    import json
    import sys
    import threading

    from bridgekit_trace_collector import collector

    def timed(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    class Base:
        def __init__(self, prices):
            self.prices = prices

        def name(self):
            return "base"

    class Order(Base):
        def __init__(self, prices):
            super().__init__(prices)

        @property
        def total(self):
            return sum(self.prices)

        @timed
        def pay(self):
            return self.name()

        def name(self):
            return super().name()

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

        def __call__(self, more):
            return more

        def __str__(self):
            return "order"

        @classmethod
        def make(cls):
            return cls([1])

        @staticmethod
        def helper():
            return 1

    def one(): return 1
    def two(): return 2
    def three(): return 3

    def each(handlers):
        found = 0
        for handler in handlers:
            found += handler()
        return found

    def rows():
        yield one()
        yield two()

    def read():
        found = 0
        for row in rows():
            found += row
        return found

    def by_total(order):
        return order.total

    def cheapest(orders):
        return sorted(orders, key=by_total)

    def encoded(thing):
        return thing.prices

    def dump(thing):
        return json.dumps(thing, default=encoded)

    @functools.lru_cache
    def remembered(x):
        return x

    def bound(handler):
        return functools.partial(handler)()

    @contextlib.contextmanager
    def managed():
        one()
        yield

    async def inner():
        return one()

    async def outer():
        return await inner()

    def recurse(n):
        return n and recurse(n - 1)

    def fail():
        raise ValueError

    def caught():
        try:
            fail()
        except ValueError:
            return two()

    def in_thread():
        thread = threading.Thread(target=three)
        thread.start()
        thread.join()

    def star(*args, **kwargs):
        return one(*args, **kwargs)

    def hot(n):
        for number in range(n):
            (one if number % 2 else two)()

    def test_objects():
        order = Order.make()
        order.pay(), order.total, order("x"), order.helper()
        getattr(order, "na" + "me")()
        with order:
            pass

    def test_functions():
        each([one, two, three])
        read()
        list(rows())
        cheapest([Order([2]), Order([1])])
        dump(Order([1]))
        remembered(1)
        remembered(1)
        bound(one)
        recurse(3)
        caught()
        star()
        hot(100)
        in_thread()
        (lambda: two())()
        with managed():
            pass

    def test_again():
        hot(3)
        each([three])
        asyncio.run(outer())

    for name in ("test_objects", "test_functions", "test_again", "test_objects", "test_again"):
        collector.begin(name)
        globals()[name]()
        collector.end()
"""


INJECTED = ROOT / "codemods/bridgekit_codemods/tracing/injected"
COUNTING = """
import sys
import bridgekit_trace_monitoring as monitoring
from bridgekit_trace_collector import Collector

seen = []
for name in ("begins", "called"):
    def counting(self, *args, function=getattr(monitoring.Monitor, name)):
        seen.append(function)
        return function(self, *args)
    setattr(monitoring.Monitor, name, counting)
collector = Collector(sys.argv[1], sys.argv[1])
assert monitoring.start(collector)
import app
for number in range(100):
    collector.begin(f"test {number}")
    app.work(1000)
    collector.end()
print(len(seen), *sorted({len(keys) for keys in collector.tests.values()}))
"""


def interpreters() -> Iterator[str]:
    """Those with both hooks, as far as they are found: this one, and others beside it."""
    for version in ("3.12", "3.13"):
        beside = (str(ROOT / f".venv-{version}/bin/python"), shutil.which(f"python{version}"))
        here = sys.version.startswith(version)
        for place in (sys.executable,) if here else beside:
            if place and Path(place).exists() and is_version(place, version):
                yield place
                break


def is_version(python: str, version: str) -> bool:
    check = [python, "-c", f"import sys; sys.exit(not sys.version.startswith({version!r}))"]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0


PYTHONS = list(interpreters())
PAIRS = [(python, python) for python in PYTHONS]
if sys.version_info < (3, 12):  # 3.13 gives other positions to `with`
    PAIRS += [(sys.executable, python) for python in PYTHONS if "3.12" in python]


def record(python: str, hook: str, root: Path) -> Trace:
    (root / "app.py").write_text(textwrap.dedent(PROGRAM))
    done = run(
        [python, "app.py"], root, read_sources(root), {"PATH": "", "BRIDGEKIT_TRACE_HOOK": hook}
    )
    assert done.returncode == 0
    return done.trace


def shown(trace: Trace) -> dict[str, set[str]]:
    calls = {
        f"{place.line}:{place.column}-{place.end_line}:{place.end_column} -> {function.name}"
        for place, functions in trace.calls.items()
        for function in functions
    }
    hidden = {
        f"{kind} {place.line}:{place.column} -> {function.name}"
        for (kind, place), functions in trace.hidden.items()
        for function in functions
    }
    outside = {
        f"{function.name} <- {name}"
        for function, names in trace.outside.items()
        for name in names or {"C"}
    }
    tests = {f"{t}: {f.name}" for t, functions in trace.tests.items() for f in functions}
    return {"calls": calls, "hidden": hidden, "outside": outside, "tests": tests}


@pytest.mark.parametrize(("hooked_by", "watched_by"), PAIRS)
def test_both_hooks_record_the_same(hooked_by: str, watched_by: str, tmp_path: Path) -> None:
    """But for two things: only monitoring sees the call that makes a generator or a coroutine, and
    only the profile hook sees who resumes one."""
    hooked = shown(record(hooked_by, "profile", tmp_path))
    watched = shown(record(watched_by, "", tmp_path))
    assert len(hooked["calls"]) > 40
    assert hooked["calls"] <= watched["calls"]
    more = watched["calls"] - hooked["calls"]
    assert {line.rpartition(" ")[2] for line in more} == {"rows", "inner", "outer"}
    assert watched["outside"] <= hooked["outside"]
    less = hooked["outside"] - watched["outside"]
    assert less == {"managed <- contextlib._GeneratorContextManager.__exit__"}
    assert hooked["hidden"] == watched["hidden"] != set()
    assert hooked["tests"] == watched["tests"] != set()


@pytest.mark.parametrize("hook", ["profile", ""])
@pytest.mark.parametrize("python", [sys.executable, *PYTHONS])
def test_c_code_in_between_hides_a_call(python: str, hook: str, tmp_path: Path) -> None:
    found = shown(record(python, hook, tmp_path))
    assert found["outside"] >= {"by_total <- C", "rows <- C"}
    assert not [line for line in found["calls"] if line.endswith(("-> by_total", "-> encoded"))]


@pytest.mark.parametrize("python", PYTHONS)
def test_what_repeats_itself_is_not_looked_at_again(python: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "def inner(n):\n    return len(str(n))\n\n"
        "def work(n):\n    return [inner(i) for i in range(n)]\n"
    )
    done = subprocess.run(
        [python, "-c", COUNTING, str(tmp_path)],
        env={"PYTHONPATH": f"{INJECTED}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events, *functions = map(int, done.stdout.split())
    assert 200 <= events < 800  # of 300,000 calls; every test hears of both functions
    assert functions[0] == 2
