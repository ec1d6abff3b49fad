"""Loops and blocks over library objects that wait are driven from a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.codemods.stdlib.conftest import flipped

Both = Callable[..., tuple[Any, Any, str]]


def _tree(here: Path) -> None:
    for name in ("a/b/c", "a/skipped/d", "e"):
        (here / name).mkdir(parents=True)
        (here / name / "file.txt").write_text(name)


def test_walking_reads_what_the_body_left_of_the_directories(both: Both) -> None:
    before, after, text = both(
        """\
        import os
        import time


        def top():
            time.sleep(0)
            found = []
            # the pruned ones are not entered
            for root, directories, files in os.walk("{here}", topdown=True):  # from the top
                directories[:] = sorted(d for d in directories if d != "skipped")
                found.append((os.path.relpath(root, "{here}"), files))
            return found
        """,
        _tree,
    )
    assert before == after
    assert ("a/b/c", ["file.txt"]) in before.result
    assert not any("skipped" in root for root, _ in before.result)
    assert (
        "    # the pruned ones are not entered\n"
        "    async for root, directories, files in "
        'async_iterator(os.walk, strict=True)("{here}", topdown=True):  # from the top\n'
    ) in text


def test_comprehensions_and_builtins_over_directories(both: Both) -> None:
    before, after, text = both(
        """\
        import time
        from pathlib import Path


        def top():
            time.sleep(0)
            here = Path("{here}")
            names = {path.name for path in here.rglob("*") if path.name != "e"}
            sizes = {path.name: len(path.name) for path in here.iterdir()}
            pairs = [(a, b.name) for a in "xy" for b in sorted(here.iterdir())]
            return names, sizes, pairs, len(list(here.glob("*"))), any(here.glob("no*"))
        """,
        _tree,
    )
    assert before == after
    assert before.result[3:] == (2, False)
    assert "async for path in async_iterator(here.rglob, strict=True)" in text
    assert "await to_thread.run_sync(lambda: sorted(here.iterdir()))" in text


def test_executors_whose_workers_need_the_loop_do_not_hold_it_up(both: Both) -> None:
    """`work` goes back to the loop from the pool's thread: waiting there would never end."""
    before, after, text = both(
        """\
        import time
        from concurrent.futures import ThreadPoolExecutor, as_completed, wait

        POOL = ThreadPoolExecutor(2)


        def work(n):
            time.sleep(0)
            if n == 13:
                raise ValueError(n)
            return n * n


        def top():
            first = work(1)
            one = POOL.submit(work, 2).result()
            many = list(POOL.map(work, range(5)))
            total = 0
            for value in POOL.map(work, [1, 2]):
                total += value
            with ThreadPoolExecutor(max_workers=2) as pool:
                futures = [pool.submit(work, n) for n in range(4)]
                for future in as_completed(futures):
                    total += future.result()
                done, pending = wait(futures)
            return first, one, many, total, len(done), len(pending), work(13)
        """
    )
    assert before == after
    assert before.error == (ValueError, "13")
    assert "POOL.submit(work, 2)" in text
    assert "async with async_context_manager(ThreadPoolExecutor)(max_workers=2) as pool:" in text


def test_temporary_directories_are_entered_and_left_in_a_thread(both: Both) -> None:
    before, after, text = both(
        """\
        import os
        import tempfile
        import time

        LEFT = []


        def top():
            try:
                with tempfile.TemporaryDirectory(dir="{here}", prefix="x-") as name:
                    time.sleep(0)
                    LEFT.append(name)
                    os.mkdir(os.path.join(name, "d"))
                    raise KeyError("inside")
            except KeyError as error:
                return str(error), os.path.exists(LEFT[-1]), len(os.listdir("{here}"))
        """
    )
    assert before == after
    assert before.result == ("'inside'", False, 0)
    assert "async with async_context_manager(tempfile.TemporaryDirectory)(" in text


def test_processes_and_sqlite(both: Both) -> None:
    before, after, text = both(
        """\
        import sqlite3
        import subprocess
        import sys
        import time


        def top():
            time.sleep(0)
            with subprocess.Popen([sys.executable, "-c", "print(6 * 7)"], stdout=-1) as process:
                out, _ = process.communicate()
            connection = sqlite3.connect("{here}/x.db")
            with connection:
                connection.execute("create table t (n)")
                connection.execute("insert into t values (1), (2)")
            try:
                with connection:
                    connection.execute("insert into t values (3)")
                    raise KeyError
            except KeyError:
                pass
            rows = []
            for row in connection.execute("select n from t order by n"):
                rows.append(row)
            connection.close()
            return out, process.returncode, rows
        """
    )
    assert before == after
    assert before.result == (b"42\n", 0, [(1,), (2,)])
    assert 'async with async_context_manager(connection, affinity="context"):' in text
    assert 'async_iterator(connection.execute, strict=True, affinity="context")' in text


@pytest.mark.parametrize(
    "line",
    [
        "return enumerate(POOL.map(str, [1]))",
        "values = POOL.map(str, [1])\n    return next(values)",
        "return [x for x in (y for y in POOL.map(str, [1]))]",
        "return take(POOL.map(str, [1]))",
        "first, *rest = POOL.map(str, [1, 2])\n    return first",
        "return sorted(POOL.map(str, [1]), key=len)",
    ],
)
def test_an_iterator_that_waits_in_another_shape_keeps_its_function_sync(line: str) -> None:
    body = (
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\n\n"
        "POOL = ThreadPoolExecutor(2)\n\n\ndef take(values):\n    return list(values)\n\n\n"
        f"def top():\n    time.sleep(0)\n    {line}\n"
    )
    after, findings = flipped(body)
    assert after == body
    assert [finding.code for finding in findings if finding.function == "service.top"]


def test_a_lock_is_never_held_over_an_await() -> None:
    for lock in ("Lock", "RLock", "Semaphore", "Condition"):
        body = (
            f"import threading\nimport time\n\nLOCK = threading.{lock}()\n\n\n"
            "def top():\n    with LOCK:\n        time.sleep(0)\n    return 1\n"
        )
        after, findings = flipped(body)
        assert after == body
        assert findings


def test_files_keep_their_own_form() -> None:
    after, _ = flipped(
        """\
        import time


        def top():
            time.sleep(0)
            with open("x") as file:
                for line in file:
                    print(line)
        """
    )
    assert "async with await anyio.open_file" in after
    assert "async for line in file:" in after
