"""Threads, timers, queues and sleeps: what runs in a thread keeps calling the sync name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Both = Callable[..., tuple[Any, Any, str]]


def test_targets_of_threads_and_timers_run_to_their_end(both: Both) -> None:
    before, after, text = both(
        """\
        import queue
        import threading
        import time

        DONE = queue.Queue()


        def work(n):
            time.sleep(0)
            DONE.put(n)
            return n


        class Worker(threading.Thread):
            def run(self):
                work(3)


        def top():
            work(0)
            threads = [threading.Thread(target=work, args=(1,)), Worker()]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            threading.Timer(0.001, work, args=(2,)).start()
            got = sorted(DONE.get(timeout=10) for _ in range(4))
            try:
                DONE.get(timeout=0.001)
            except queue.Empty:
                return got
        """
    )
    assert before == after
    assert before.result == [0, 1, 2, 3]
    assert "threading.Thread(target=work, args=(1,))" in text
    assert "threading.Timer(0.001, work, args=(2,))" in text


@pytest.mark.parametrize("seconds", ["0", "0.001", "True", "-1", "float('nan')", "'1'", "None"])
def test_sleeping_takes_and_refuses_the_same_values(both: Both, seconds: str) -> None:
    before, after, text = both(
        f"import time\n\n\ndef top():\n    return time.sleep({seconds})  # a while\n"
    )
    assert before.result == after.result
    assert (before.error and before.error[0]) == (after.error and after.error[0])
    assert f"    return await anyio.sleep({seconds})  # a while\n" in text
