"""Functions that tenacity retries, and loops over its attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.codemods.stdlib.conftest import flipped

Both = Callable[..., tuple[Any, Any, str]]
PRELUDE = """\
import time

import tenacity
from tenacity import (
    RetryError, Retrying, retry, retry_if_exception_type, retry_if_not_exception_type,
    retry_if_result, stop_after_attempt, wait_fixed, wait_none,
)

LOG = []
"""


def test_a_coroutine_is_retried_as_the_function_was(both: Both) -> None:
    before, after, text = both(
        PRELUDE
        + """

@retry(
    stop=stop_after_attempt(3),
    wait=wait_fixed(0.001),
    retry=retry_if_exception_type(KeyError) | retry_if_result(lambda value: value is None),
    before=lambda state: LOG.append(("before", state.attempt_number)),
    after=lambda state: LOG.append(("after", state.outcome.failed)),
    before_sleep=lambda state: LOG.append(("sleep", state.upcoming_sleep)),
    retry_error_callback=lambda state: ("gave up", state.attempt_number),
)
def work(values):  # retried
    time.sleep(0)
    value = values.pop()
    if isinstance(value, Exception):
        raise value
    return value


@retry(stop=stop_after_attempt(2), reraise=True, wait=wait_none())
def fails():
    time.sleep(0)
    raise LookupError("always")


@tenacity.retry(stop=tenacity.stop_after_attempt(2))
def fails_otherwise():
    time.sleep(0)
    raise LookupError("always")


class Worker:
    count = 0

    @retry(stop=stop_after_attempt(4))
    def run(self):
        time.sleep(0)
        self.count += 1
        if self.count < 3:
            raise OSError(self.count)
        return self.count


def top():
    seen = [work([1, None, KeyError()]), work([5, None, None, None])]
    for failing in (ValueError("not retried"),):
        try:
            work([failing])
        except ValueError as error:
            seen.append(str(error))
    try:
        fails()
    except LookupError as error:
        seen.append(repr(error))
    try:
        fails_otherwise()
    except RetryError as error:
        seen.append(repr(error.last_attempt.exception()))
    return seen, Worker().run(), LOG
"""
    )
    assert before == after
    assert before.result[0][1] == ("gave up", 3)
    assert "async def work_async(values):  # retried" in text
    assert "await Worker().run_async()" in text


def test_loops_over_attempts_sleep_in_a_thread(both: Both) -> None:
    before, after, text = both(
        PRELUDE
        + """

def work(n):
    time.sleep(0)
    LOG.append(n)
    if len(LOG) < 3:
        raise KeyError(n)
    return n


def top():
    for attempt in Retrying(stop=stop_after_attempt(5), wait=wait_fixed(0.001)):
        with attempt:
            result = work(1)
    calls = Retrying(stop=stop_after_attempt(2), reraise=True)
    for attempt in calls:
        with attempt:
            LOG.clear()
            work(2)
    return result
"""
    )
    assert before == after
    assert before.error == (KeyError, "2")
    assert 'attempt in async_iterator(calls, strict=True, affinity="context"):' in text


@pytest.mark.parametrize(
    ("decorator", "more"),
    [
        ("@retry(retry=retry_if_not_exception_type(ValueError))", ""),
        ("@retry(retry=retry_if_exception_type(BaseException))", ""),
        ("@retry(retry=retry_if_exception_type((KeyError, BaseException)))", ""),
        ("@retry(retry=lambda state: True)", ""),
        ("@retry(sleep=time.sleep)", ""),
        ("@retry(**OPTIONS)", ""),
        ("@retry(None)", ""),
        ("@retry(before_sleep=waits)", ""),
        ("@retry(before_sleep=lambda state: waits(state))", ""),
        ("@retry(before_sleep=lambda state: time.sleep(1))", ""),
        ("@retry", "print(work.retry.statistics)"),
        ("@retry", "work.retry_with(stop=stop_after_attempt(1))()"),
    ],
)
def test_what_it_would_do_otherwise_keeps_the_function_sync(decorator: str, more: str) -> None:
    text, findings = flipped(
        f"""{PRELUDE}OPTIONS = {{}}


def waits(state):
    time.sleep(1)


{decorator}
def work():
    time.sleep(1)


def top():
    time.sleep(0)
    work()
    {more or "pass"}
"""
    )
    assert f"{decorator}\ndef work():\n    time.sleep(1)\n" in text
    assert "    await to_thread.run_sync(work)\n" in text
    assert [f.code for f in findings if f.function == "service.work"] == ["BK308"]


@pytest.mark.parametrize(
    "decorator",
    [
        "import backoff\n\n\n@backoff.on_exception(backoff.expo, ValueError)",
        "from retry import retry\n\n\n@retry(ValueError, tries=3)",
        "import cachetools\n\n\n@cachetools.cached(cachetools.TTLCache(10, 3))",
        "from flask_caching import Cache\n\ncache = Cache()\n\n\n@cache.memoize(timeout=3)",
        "from flask_caching import Cache\n\ncache = Cache()\n\n\n@cache.cached()",
    ],
)
def test_decorators_that_would_call_a_coroutine_function_plainly(decorator: str) -> None:
    text, findings = flipped(
        f"import time\n{decorator}\ndef work():\n    time.sleep(1)\n\n\n"
        "def top():\n    time.sleep(0)\n    work()\n"
    )
    assert "\ndef work():\n    time.sleep(1)\n" in text
    assert "    await to_thread.run_sync(work)\n" in text
    assert [f.code for f in findings if f.function == "service.work"] == ["BK308"]
