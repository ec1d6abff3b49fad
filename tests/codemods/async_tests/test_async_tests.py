"""BK260 async-tests: tests await the twins of what they called through facades."""

from __future__ import annotations

from textwrap import dedent

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.async_tests import AsyncTests
from bridgekit_codemods.rules.base import Options

RULE = AsyncTests()
SETTINGS = b"[pytest]\nasyncio_mode = auto\n"
LIB = """\
    from bridgekit import async_to_sync


    class Store:
        async def find_async(self, key):
            return key

        def find(self, key):
            return async_to_sync(self.find_async)(key)


    async def work_async():
        return 1


    def work():
        return async_to_sync(work_async)()
"""
TESTS = """\
    import pytest
    from lib import Store, work


    @pytest.fixture
    def store() -> Store:
        return Store()


    @pytest.mark.parametrize("key", ["a", "b"])
    def test_find(store, key):
        with pytest.raises(KeyError):
            raise KeyError
        assert store.find(key) == key  # the key


    def test_work():
        assert [work() for _ in range(2)] == [1, 1]


    def test_other():
        assert max([1, 2], key=lambda n: work() * n) == 2


    def test_pure():
        assert True
"""


def test_only_tests_that_call_facades_change() -> None:
    sources = {
        "lib.py": dedent(LIB).encode(),
        "tests/test_lib.py": dedent(TESTS).encode(),
        "pytest.ini": SETTINGS,
    }
    step = RULE.propose(Program.load(sources), Options(), frozenset())
    assert step is not None
    assert step.key == "tests:tests/test_lib.py"
    data = step.changes["tests/test_lib.py"]
    assert data is not None
    after = data.decode()
    assert "async def test_find(store, key):" in after
    assert "assert await store.find_async(key) == key  # the key" in after
    assert "assert [await work_async() for _ in range(2)] == [1, 1]" in after
    # A lambda cannot await: that test keeps calling the facade.
    assert "\ndef test_other():\n    assert max([1, 2], key=lambda n: work() * n) == 2" in after
    assert "\ndef test_pure():" in after
    assert "from lib import Store, work, work_async" in after
    sources["tests/test_lib.py"] = data
    assert RULE.propose(Program.load(sources), Options(), frozenset()) is None


def test_nothing_changes_before_the_project_runs_async_tests() -> None:
    sources = {"lib.py": dedent(LIB).encode(), "tests/test_lib.py": dedent(TESTS).encode()}
    assert RULE.propose(Program.load(sources), Options(), frozenset()) is None


def test_a_file_that_was_red_is_left_alone() -> None:
    sources = {
        "lib.py": dedent(LIB).encode(),
        "tests/test_lib.py": dedent(TESTS).encode(),
        "pytest.ini": SETTINGS,
    }
    kept = frozenset({"tests:tests/test_lib.py"})
    assert RULE.propose(Program.load(sources), Options(), kept) is None
