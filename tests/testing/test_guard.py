"""The plugin fails what would otherwise pass in silence, and leaves everything else alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

UNAWAITED = """
    async def price():
        return 1

    def test_it():
        price()
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    monkeypatch.delenv("BRIDGEKIT_GUARD_REPORT", raising=False)
    pytester.makeini("[pytest]\naddopts = -p bridgekit.testing.guard -p no:timeout\n")
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=60)


def test_a_coroutine_never_awaited_fails_its_test_and_names_the_line(
    guarded: pytest.Pytester,
) -> None:
    guarded.makepyfile(UNAWAITED)
    result = run(guarded)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*coroutine 'price' was never awaited, made at", '*test_a_*.py", line 5, in test_it']
    )


@pytest.mark.parametrize("filters", ["ignore", "ignore::RuntimeWarning", "default"])
def test_the_projects_own_filters_have_no_say(guarded: pytest.Pytester, filters: str) -> None:
    guarded.makeini(f"[pytest]\naddopts = -p bridgekit.testing.guard\nfilterwarnings = {filters}\n")
    guarded.makepyfile(UNAWAITED)
    run(guarded).assert_outcomes(failed=1)


def test_one_in_a_reference_cycle_is_found_after_the_test(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(
        """
        async def price():
            return 1

        def test_cycle():
            box = [price()]
            box.append(box)

        def test_innocent():
            pass
        """
    )
    result = run(guarded)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_cycle*"])


def test_one_from_another_thread_names_its_line(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(
        """
        import threading

        async def price():
            return 1

        def test_it():
            thread = threading.Thread(target=lambda: price() and None)
            thread.start()
            thread.join()
        """
    )
    result = run(guarded)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*line 7, in <lambda>"])


def test_one_outside_of_any_test_fails_the_session(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(
        """
        async def price():
            return 1

        price()

        def test_it():
            pass
        """
    )
    result = run(guarded)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*outside of any test*", "coroutine 'price' was never awaited*"])


@pytest.mark.parametrize("value", ["1", "price()"])
def test_a_test_that_returns_something_fails(guarded: pytest.Pytester, value: str) -> None:
    guarded.makepyfile(
        f"""
        async def price():
            assert False

        def test_it():
            return {value}
        """
    )
    result = run(guarded)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the test returned *not None*"])


def test_an_async_test_that_nothing_runs_fails(guarded: pytest.Pytester) -> None:
    guarded.makepyfile("async def test_it():\n    assert False\n")
    run(guarded, "-p", "no:asyncio", "-p", "no:anyio").assert_outcomes(failed=1)


def test_an_async_method_of_a_plain_test_case_fails(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(
        """
        import unittest

        class TestIt(unittest.TestCase):
            async def test_it(self):
                assert False
        """
    )
    assert run(guarded).ret == 1


BLOCKED = """
    import asyncio, time

    def test_blocked():
        async def main():
            await asyncio.sleep(0)
            time.sleep({seconds})
        asyncio.run(main())

    def test_waits_properly():
        asyncio.run(asyncio.sleep({seconds}))

    def test_no_loop():
        time.sleep({seconds})
"""


def test_a_blocked_loop_fails_with_the_stack(guarded: pytest.Pytester) -> None:
    guarded.makeini("[pytest]\naddopts = -p bridgekit.testing.guard\nbridgekit_loop_block = 0.1\n")
    guarded.makepyfile(BLOCKED.format(seconds=1))
    result = run(guarded)
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(
        ["*event loop was blocked for more than 0.1 s, at", "*line 6, in main", "*time.sleep(1)"]
    )


def test_the_watch_can_be_turned_off(
    guarded: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGEKIT_LOOP_BLOCK", "0")
    guarded.makepyfile(BLOCKED.format(seconds=0.1))
    run(guarded).assert_outcomes(passed=3)


def test_async_tests_of_a_plugin_and_cancelled_tasks_pass(guarded: pytest.Pytester) -> None:
    guarded.makeini(
        "[pytest]\naddopts = -p bridgekit.testing.guard\nfilterwarnings =\n"
        "    error::RuntimeWarning\n    error::pytest.PytestUnraisableExceptionWarning\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    guarded.makepyfile(
        """
        import asyncio, pytest, unittest

        @pytest.mark.asyncio
        async def test_it():
            task = asyncio.create_task(asyncio.sleep(10))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                await asyncio.sleep(0)

        @pytest.fixture
        def value():
            return 1

        @pytest.mark.parametrize("x", [1, 2])
        def test_fixtures(value, x):
            assert value

        class TestPlain:
            def test_method(self, value):
                assert value == 1
        """
    )
    run(guarded).assert_outcomes(passed=5)


def test_a_failure_of_its_own_is_shown_with_the_offence(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(
        """
        async def price():
            return 1

        def test_it():
            assert price() == 1
        """
    )
    result = run(guarded)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert <coroutine object price*"])


def test_the_outcomes_are_written(
    guarded: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = tmp_path / "outcomes.json"
    monkeypatch.setenv("BRIDGEKIT_GUARD_REPORT", str(report))
    guarded.makepyfile(
        test_three="""
        import pytest

        def test_good(): pass

        def test_bad(): assert False

        @pytest.mark.skip
        def test_skipped(): pass

        @pytest.fixture
        def broken():
            yield
            raise ValueError

        def test_teardown(broken): pass
        """
    )
    run(guarded)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert lines[0] == {"tests": 4}
    assert lines[-1] == {"ends": 1}
    assert {line["test"]: line["outcome"] for line in lines if "test" in line} == {
        "test_three.py::test_good": "passed",
        "test_three.py::test_bad": "failed",
        "test_three.py::test_skipped": "skipped",
        "test_three.py::test_teardown": "failed",
    }
