"""What a step may do to a test, and what it may not."""

# ruff: noqa: E501 (tables of one-line programs)

from __future__ import annotations

import textwrap

import pytest

from bridgekit_codemods.migration.integrity import check_tests, is_test_file


def messages(old: str, new: str) -> tuple[str, ...]:
    before = {"tests/test_it.py": textwrap.dedent(old).encode()}
    return check_tests(before, {"tests/test_it.py": textwrap.dedent(new).encode()})


ALLOWED = {
    "await and async def": (
        "def test_it(client):\n    assert client.get('/').status_code == 200\n",
        "import pytest\n@pytest.mark.asyncio\nasync def test_it(client):\n"
        "    assert (await client.get('/')).status_code == 200\n",
    ),
    "response body": (
        "def test_it(r):\n    assert r.data == b'x'\n    assert b'y' in r.get_data()\n"
        "    assert r.get_json()['a'] == 1\n    assert r.text == 'x'\n",
        "async def test_it(r):\n    assert await r.get_data() == b'x'\n"
        "    assert b'y' in await r.get_data()\n    assert (await r.get_json())['a'] == 1\n"
        "    assert await r.get_data(as_text=True) == 'x'\n",
    ),
    "form data": (
        "def test_it(c):\n    assert c.post('/', data={'a': 1}).status_code == 302\n",
        "async def test_it(c):\n    assert (await c.post('/', form={'a': 1})).status_code == 302\n",
    ),
    "async with around": (
        "def test_it(c):\n    with c.session_transaction() as s:\n        assert s['a']\n",
        "async def test_it(c):\n    async with c.session_transaction() as s:\n        assert s['a']\n",
    ),
    "expected exception of the other client": (
        "def test_it():\n    with pytest.raises(requests.exceptions.Timeout, match='x'):\n        f()\n",
        "async def test_it():\n    with pytest.raises(httpx.TimeoutException, match='x'):\n"
        "        await f_async()\n",
    ),
    "facades, aio and bridges": (
        "def test_it():\n    assert f(1) == 2\n    assert c.get(1) == 2\n    assert g(3, k=1) == 4\n",
        "async def test_it():\n    assert await f_async(1) == 2\n    assert await c.aio.get(1) == 2\n"
        "    assert await to_thread.run_sync(partial(g, 3, k=1)) == 4\n",
    ),
    "bridge with a lambda": (
        "def test_it():\n    assert f(1, k=2) == 2\n",
        "async def test_it():\n    assert await to_thread.run_sync(lambda: f(1, k=2)) == 2\n",
    ),
    "back to sync": (
        "def test_it():\n    assert f(1) == 2\n",
        "def test_it():\n    assert async_to_sync(f)(1) == 2\n",
    ),
    "mocks": (
        "@mock.patch('a.b.get')\ndef test_it(m):\n    m.assert_called_once_with(1)\n"
        "    assert m.call_count == 1\n",
        "@mock.patch('a.c.get_async', new_callable=AsyncMock)\nasync def test_it(m):\n"
        "    m.assert_awaited_once_with(1)\n    assert m.await_count == 1\n",
    ),
    "fixtures": (
        "@pytest.fixture\ndef client(app):\n    yield 1\n",
        "@pytest_asyncio.fixture(loop_scope='function')\nasync def client(app):\n    yield 1\n",
    ),
    "generator to list": (
        "def test_it():\n    assert all(f(x) for x in xs)\n",
        "async def test_it():\n    assert all([await f(x) for x in xs])\n",
    ),
    "async for": (
        "def test_it():\n    for x in f():\n        assert x\n",
        "async def test_it():\n    async for x in f():\n        assert x\n",
    ),
    "module mark": (
        "pytestmark = pytest.mark.slow\n\ndef test_it():\n    assert f()\n",
        "pytestmark = [pytest.mark.slow, pytest.mark.asyncio]\n\n"
        "async def test_it():\n    assert await f()\n",
    ),
    "new patch target": (
        "TARGET = 'app.clients.requests.get'\n",
        "TARGET = 'app.clients.httpx.get'\n",
    ),
    "test case": (
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        super().setUp()\n"
        "        self.assertTrue(f())\n    def test_a(self):\n        self.assertEqual(f(), 1)\n",
        "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
        "    async def asyncSetUp(self):\n        await super().asyncSetUp()\n"
        "        self.assertTrue(await f_async())\n"
        "    async def test_a(self):\n        self.assertEqual(await f_async(), 1)\n",
    ),
    "imported test case with a subclass": (
        "from unittest import TestCase\nclass B(TestCase):\n    pass\n"
        "class T(B):\n    def test_a(self):\n        assert f()\n",
        "from unittest import IsolatedAsyncioTestCase\nclass B(IsolatedAsyncioTestCase):\n    pass\n"
        "class T(B):\n    async def test_a(self):\n        assert await f()\n",
    ),
    "fakes made awaitable": (
        "@patch('a.get')\n@patch('a.put', return_value=1)\ndef test_it(p, m, monkeypatch):\n"
        "    monkeypatch.setattr('a.b', fake)\n    monkeypatch.setattr(a, 'c', value=Mock(return_value=2))\n"
        "    m.return_value = 3\n    with patch.object(a, 'd', fake, spec=d):\n        assert f()\n",
        "@patch('a.get_async', return_value=MagicMock())\n@patch('a.put_async', return_value=1)\n"
        "async def test_it(p, m, monkeypatch):\n"
        "    monkeypatch.setattr('a.b', fake)\n"
        "    monkeypatch.setattr('a.b_async', AsyncMock(side_effect=fake))\n"
        "    monkeypatch.setattr(a, 'c_async', value=AsyncMock(return_value=2))\n"
        "    m.return_value = 3\n    with patch.object(a, 'd_async', sync_to_async(fake), spec=d):\n"
        "        assert await f()\n",
    ),
    "a new test": ("def test_it():\n    assert f()\n",
                   "def test_it():\n    assert f()\n\ndef test_more():\n    assert g()\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_following_the_program_is_allowed(name: str) -> None:
    old, new = ALLOWED[name]
    assert messages(old, new) == ()


TEST = "def test_it():\n    x = f()\n    assert x == 1\n    m.assert_called_once_with(2)\n"
REFUSED = {
    "assertion dropped": (TEST, TEST.replace("    assert x == 1\n", ""), "lose: assert x == 1"),
    "assertion weakened": (TEST, TEST.replace("x == 1", "x"), "lose: assert x == 1"),
    "mock check dropped": (TEST, TEST.replace("assert_called_once_with(2)", "called"), "lose: call"),
    "mock check changed": (TEST, TEST.replace("with(2)", "with(3)"), "lose: call"),
    "test gone": (TEST, "def helper():\n    pass\n", "test_it would vanish"),
    "test renamed": (TEST, TEST.replace("test_it", "_test_it"), "test_it would vanish"),
    "skipped": (TEST, "@pytest.mark.skip\n" + TEST, "gain: decorator pytest.mark.skip"),
    "expected to fail": (TEST, "@pytest.mark.xfail()\n" + TEST, "gain: decorator"),
    "skipped inside": (TEST, TEST.replace("x = f()", "pytest.skip('later')"), "gain: leaves by"),
    "module skipped": (TEST, "pytestmark = pytest.mark.skip\n" + TEST, "gain: pytestmark"),
    "not collected": (TEST, "__test__ = False\n" + TEST, "gain: __test__"),
    "under a condition": (
        TEST, TEST.replace("    assert x == 1", "    if DEBUG:\n        assert x == 1"), "[if DEBUG]"),
    "failure swallowed": (
        TEST,
        TEST.replace("    assert x == 1",
                     "    try:\n        assert x == 1\n    except AssertionError:\n        pass"),
        "[try except AssertionError]"),
    "failure suppressed": (
        TEST, TEST.replace("    assert x == 1",
                           "    with suppress(AssertionError):\n        assert x == 1"), "suppress"),
    "early return": (TEST, TEST.replace("x = f()", "return"), "gain: return"),
    "parameters dropped": (
        "@pytest.mark.parametrize('x', [1, 2])\ndef test_it(x):\n    assert x\n",
        "@pytest.mark.parametrize('x', [1])\ndef test_it(x):\n    assert x\n", "lose: decorator"),
    "wider exception": (
        "def test_it():\n    with pytest.raises(requests.Timeout):\n        f()\n",
        "def test_it():\n    with pytest.raises(httpx.HTTPError):\n        f()\n", "lose: expects"),
    "exception no longer expected": (
        "def test_it():\n    with pytest.raises(ValueError):\n        f()\n",
        "def test_it():\n    f()\n", "lose: expects pytest.raises(ValueError)"),
    "expected value changed": (
        "EXPECTED = {'a': 1}\n\ndef test_it():\n    assert f() == EXPECTED\n",
        "EXPECTED = {'a': 2}\n\ndef test_it():\n    assert f() == EXPECTED\n", "lose: EXPECTED ="),
    "helper emptied": (
        "def check(x):\n    assert x == 1\n", "def check(x):\n    pass\n", "check would lose"),
    "method gone": (
        "class TestIt:\n    def test_a(self):\n        assert f()\n",
        "class TestIt:\n    pass\n", "TestIt.test_a would vanish"),
    "TestCase check changed": (
        "class T(TestCase):\n    def test_a(self):\n        self.assertEqual(f(), 1)\n",
        "class T(TestCase):\n    def test_a(self):\n        self.assertTrue(f())\n", "assertEqual"),
    "test case no longer one": (
        "class T(TestCase):\n    def test_a(self):\n        assert f()\n",
        "class T:\n    def test_a(self):\n        assert f()\n", "lose: class of TestCase"),
    "another library's test case": (
        "class T(unittest.TestCase):\n    def test_a(self):\n        assert f()\n",
        "class T(FlaskTestCase):\n    def test_a(self):\n        assert f()\n", "lose: class of TestCase"),
    "async test that unittest does not await": (
        "class T(TestCase):\n    def test_a(self):\n        assert f()\n",
        "class T(TestCase):\n    async def test_a(self):\n        assert await f()\n",
        "T.test_a would be async, and nothing awaits it"),
    "async test in a subclass of one": (
        "class B(TestCase):\n    pass\nclass T(B):\n    def test_a(self):\n        assert f()\n",
        "class B(TestCase):\n    pass\nclass T(B):\n    async def test_a(self):\n        assert await f()\n",
        "T.test_a would be async, and nothing awaits it"),
    "setUp that unittest does not await": (
        "class T(TestCase):\n    def setUp(self):\n        f()\n",
        "class T(IsolatedAsyncioTestCase):\n    async def setUp(self):\n        await f()\n",
        "T.setUp would be async, and nothing awaits it"),
    "checks of setUp dropped with its name": (
        "class T(TestCase):\n    def setUp(self):\n        self.assertTrue(f())\n",
        "class T(IsolatedAsyncioTestCase):\n    async def asyncSetUp(self):\n        await f()\n",
        "T.setUp would lose: call"),
    "mock returns something else": (
        "@patch('a.get', return_value=5)\ndef test_it(m):\n    assert f()\n",
        "@patch('a.get_async', return_value=6)\nasync def test_it(m):\n    assert await f()\n",
        "lose: patched return_value=5"),
    "mock no longer raises": (
        "@patch('a.get', side_effect=ValueError)\ndef test_it(m):\n    assert f()\n",
        "@patch('a.get_async')\nasync def test_it(m):\n    assert await f()\n",
        "lose: patched side_effect=ValueError"),
    "fake replaced": (
        "def test_it(monkeypatch):\n    monkeypatch.setattr('a.get', fake)\n    assert f()\n",
        "def test_it(monkeypatch):\n    monkeypatch.setattr('a.get', AsyncMock())\n    assert f()\n",
        "lose: faked fake"),
    "fake of a patch in a with": (
        "def test_it():\n    with mock.patch('a.get', fake):\n        assert f()\n",
        "def test_it():\n    with mock.patch('a.get', other):\n        assert f()\n", "lose: faked fake"),
    "mock's answer changed": (
        "def test_it(m):\n    m.get.return_value = 5\n    assert f()\n",
        "async def test_it(m):\n    m.aio.get.return_value = 6\n    assert await f()\n",
        "lose: return_value = 5"),
    "spec of a mock dropped": (
        "@patch('a.get', autospec=True)\ndef test_it(m):\n    assert f()\n",
        "@patch('a.get_async')\nasync def test_it(m):\n    assert await f()\n",
        "lose: patched autospec=True"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_getting_weaker_is_refused(name: str) -> None:
    old, new, message = REFUSED[name]
    found = messages(old, new)
    assert any(message in line for line in found), found


def test_deleting_a_test_file_is_refused() -> None:
    found = check_tests({"tests/test_it.py": b""}, {"tests/test_it.py": None})
    assert found == ("tests/test_it.py: the test file would be deleted",)


def test_files_of_the_program_and_new_tests_are_not_compared() -> None:
    before = {"app/it.py": b"assert x\n"}
    assert check_tests(before, {"app/it.py": b"", "tests/test_new.py": b"assert 1\n"}) == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("tests/helpers.py", True), ("app/test_x.py", True), ("x_test.py", True), ("conftest.py", True),
     ("app/latest.py", False), ("app/contest.py", False), ("tests/data.json", False)],
)  # fmt: skip
def test_which_files_are_tests(path: str, expected: bool) -> None:
    assert is_test_file(path) is expected
