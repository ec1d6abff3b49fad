"""`asyncio.run` inside what has become async, and coroutines that sync code hands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.codemods.stdlib.conftest import flipped

Both = Callable[..., tuple[Any, Any, str]]


def test_running_a_coroutine_is_awaiting_it(both: Both) -> None:
    before, after, text = both(
        """\
        import asyncio
        import time


        async def fetch(n):
            await asyncio.sleep(0)
            if n < 0:
                raise ValueError(n)
            return n


        async def gathered(*numbers):
            return await asyncio.gather(*map(fetch, numbers))


        def top():
            time.sleep(0)
            one = asyncio.run(fetch(1))  # one
            total = one + sum(asyncio.run(gathered(2, asyncio.run(fetch(3)))))
            try:
                asyncio.run(fetch(-1))
            except ValueError as error:
                return total, str(error)
        """
    )
    assert before == after
    assert before.result == (6, "-1")
    assert "    one = await fetch(1)  # one\n" in text
    assert "sum(await gathered(2, await fetch(3)))" in text


def test_tasks_that_it_would_cancel_keep_a_loop_of_their_own(both: Both) -> None:
    before, after, text = both(
        """\
        import asyncio
        import time

        SEEN = []


        async def background():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                SEEN.append("cancelled")
                raise


        async def main():
            task = asyncio.create_task(background())
            await asyncio.sleep(0)
            return task.done()


        def top():
            time.sleep(0)
            return asyncio.run(main()), list(SEEN)
        """
    )
    assert before == after
    assert before.result == (False, ["cancelled"])
    assert "await to_thread.run_sync(asyncio.run, main())" in text


def test_a_coroutine_that_is_handed_on_is_not_awaited(both: Both) -> None:
    before, after, text = both(
        """\
        import asyncio
        import threading
        import time


        async def fetch(n):
            await asyncio.sleep(0)
            return n


        def run_later(coroutine, results):
            results.append(asyncio.run(coroutine))


        def top():
            time.sleep(0)
            results = []
            coroutine = fetch(1)
            thread = threading.Thread(target=run_later, args=(coroutine, results))
            thread.start()
            thread.join()
            results.append(asyncio.run(fetch(2), debug=False))
            return results
        """
    )
    assert before == after
    assert before.result == [1, 2]
    assert "coroutine = fetch(1)" in text
    assert "await to_thread.run_sync(asyncio.run, fetch(2), debug=False)" in text


@pytest.mark.parametrize(
    "line",
    [
        "loop = asyncio.new_event_loop()\n    return loop.run_until_complete(fetch())",
        "return asyncio.get_event_loop().run_until_complete(fetch())",
        "with asyncio.Runner() as runner:\n        return runner.run(fetch())",
        "asyncio.set_event_loop(asyncio.new_event_loop())",
    ],
)
def test_a_loop_of_ones_own_stays_in_a_thread(line: str) -> None:
    body = (
        "import asyncio\nimport time\n\n\nasync def fetch():\n    return 1\n\n\n"
        f"def top():\n    time.sleep(0)\n    {line}\n"
    )
    text, findings = flipped(body)
    assert text == body
    assert [f.code for f in findings if f.function == "service.top"] == ["BK351"]
