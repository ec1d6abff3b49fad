"""Tests of `unittest` become async together with their classes, or not at all (BK354)."""

from __future__ import annotations

import io
import sys
import unittest
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from bridgekit_codemods.migration.integrity import check_tests
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.async_tests import AsyncTests
from bridgekit_codemods.rules.base import Draft, Options
from bridgekit_codemods.rules.body import Unconvertible
from bridgekit_codemods.rules.quart_tests import convert_functions

LIB = """\
    from bridgekit import async_to_sync

    LOG = []


    async def work_async(n=1):
        LOG.append(n)
        if n < 0:
            raise ValueError(n)
        return n


    def work(n=1):
        return async_to_sync(work_async)(n)
"""
TESTS = """\
    import unittest
    from unittest import mock

    import lib
    from lib import work


    class Base(unittest.TestCase):  # the base
        def setUp(self):
            self.value = work(5)
            self.addCleanup(lib.LOG.append, "cleaned")

        def tearDown(self):
            lib.LOG.append("torn down")


    class TestWork(Base):
        def setUp(self):
            super().setUp()
            self.other = 2

        def test_value(self):
            self.assertEqual(work(self.value), 5)  # five

        def test_wrong(self):
            self.assertEqual(work(1), 2)

        def test_raises(self):
            with self.assertRaises(ValueError):
                work(-1)
            with self.subTest("zero"):
                self.assertFalse(work(0))

        @unittest.expectedFailure
        def test_known(self):
            self.assertEqual(work(1), 3)

        @unittest.skip("later")
        def test_later(self):
            work(1)

        def test_pure(self):
            self.assertEqual(self.other, 2)

        @mock.patch("lib.LOG", new_callable=list)
        def test_patched(self, log):
            work(7)
            self.assertEqual(log, [7])
"""


def sources(tests: str) -> dict[str, bytes]:
    return {
        "lib.py": dedent(LIB).encode(),
        "tests/test_lib.py": dedent(tests).encode(),
        "pytest.ini": b"[pytest]\nasyncio_mode = auto\n",
    }


def migrated(tests: str) -> str:
    files = sources(tests)
    step = AsyncTests().propose(Program.load(files), Options(), frozenset())
    if step is None:
        return dedent(tests)
    data = step.changes["tests/test_lib.py"]
    assert data is not None
    assert check_tests(files, dict(step.changes)) == ()
    again = {**files, "tests/test_lib.py": data}
    assert AsyncTests().propose(Program.load(again), Options(), frozenset()) is None
    return data.decode()


def outcome(tests: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """What unittest's own runner says of each test, and what the program did meanwhile."""
    library = ModuleType("lib")
    monkeypatch.setitem(sys.modules, "lib", library)
    exec(compile(dedent(LIB), "lib.py", "exec"), library.__dict__)
    module = ModuleType("tests_of_lib")
    exec(compile(tests, "test_lib.py", "exec"), module.__dict__)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)

    def names(pairs: list[tuple[unittest.TestCase, str]]) -> list[str]:
        return sorted(test.id().rpartition(".")[2] for test, _ in pairs)

    return (
        result.testsRun,
        names(result.failures),
        names(result.errors),
        names(result.skipped),
        names(result.expectedFailures),
        sorted(map(str, library.LOG)),
    )


def test_the_class_runs_the_tests_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = migrated(TESTS)
    assert "class Base(unittest.IsolatedAsyncioTestCase):  # the base" in after
    assert "    async def test_value(self):\n" in after
    assert "self.assertEqual(await work_async(self.value), 5)  # five" in after
    # unittest calls a sync setUp as before; the facade works there
    assert "    def setUp(self):\n        self.value = work(5)\n" in after
    assert "    def test_pure(self):" in after
    before = outcome(dedent(TESTS), tmp_path, monkeypatch)
    assert before[1:3] == (["test_wrong"], [])
    assert outcome(after, tmp_path, monkeypatch) == before


def test_the_imported_name_changes_with_the_class() -> None:
    after = migrated(
        """\
        from unittest import TestCase, skip
        from lib import work


        class TestWork(TestCase):
            def test_value(self):
                self.assertEqual(work(), 1)


        class TestOther(TestCase):
            def test_other(self):
                pass
        """
    )
    assert "from unittest import IsolatedAsyncioTestCase, TestCase, skip" in after or (
        "from unittest import TestCase, skip, IsolatedAsyncioTestCase" in after
    )
    assert "class TestWork(IsolatedAsyncioTestCase):" in after
    assert "class TestOther(TestCase):" in after


@pytest.mark.parametrize(
    "case",
    [
        "from flask_testing import TestCase",
        "from django.test import TestCase",
        "import unittest\nfrom elsewhere import Mixin\n\n\n"
        "class TestCase(Mixin, unittest.TestCase):\n    pass",
    ],
)
def test_test_cases_of_other_libraries_stay_sync(case: str) -> None:
    tests = (
        f"{case}\n\nfrom lib import work\n\n\nclass TestWork(TestCase):\n"
        "    def test_value(self):\n        self.assertEqual(work(), 1)\n"
    )
    assert migrated(tests) == tests


def flipped(tests: str, *names: str) -> str:
    """The test file after its functions of these names have become async."""
    program = Program.load(sources(tests))
    colours = program.derived(Colours)
    chosen = frozenset(f for f in program.functions.values() if f.name in names)
    draft = Draft(program)
    convert_functions(colours, Obstacles(colours), draft, chosen, lambda _d, _f: None)
    data = draft.changes()["tests/test_lib.py"]
    assert data is not None
    assert check_tests(sources(tests), {"tests/test_lib.py": data}) == ()
    return data.decode()


def test_what_awaits_in_setup_and_teardown_gets_their_async_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = flipped(TESTS, "setUp", "test_value", "test_wrong", "test_raises", "test_known")
    assert "    async def asyncSetUp(self):\n        self.value = await work_async(5)" in after
    assert "        await super().asyncSetUp()\n        self.other = 2" in after
    assert outcome(after, tmp_path, monkeypatch) == outcome(dedent(TESTS), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("tests", "name"),
    [
        (
            "import unittest\nfrom lib import work\n\n\nclass T(unittest.TestCase):\n"
            "    @classmethod\n    def setUpClass(cls):\n        work()\n",
            "setUpClass",
        ),
        (
            "from flask_testing import TestCase\nfrom lib import work\n\n\nclass T(TestCase):\n"
            "    def test_it(self):\n        work()\n",
            "test_it",
        ),
        (
            "from unittest import TestCase\nfrom lib import work\n"
            "IsolatedAsyncioTestCase = None\n\n\n"
            "class T(TestCase):\n    def test_it(self):\n        work()\n",
            "test_it",
        ),
    ],
)
def test_what_unittest_does_not_await_is_refused(tests: str, name: str) -> None:
    with pytest.raises(Unconvertible) as refusal:
        flipped(tests, name)
    assert refusal.value.finding.code == "BK354"
    assert refusal.value.finding.remedy


def test_half_a_family_of_setups_is_refused() -> None:
    """The sync one would no longer replace the one that has another name now."""
    program = Program.load(sources(TESTS))
    base = program.functions["test_lib.Base.setUp"]
    draft = Draft(program)
    colours = program.derived(Colours)
    with pytest.raises(Unconvertible, match="stays sync"):
        convert_functions(
            colours, Obstacles(colours), draft, frozenset({base}), lambda _d, _f: None
        )
