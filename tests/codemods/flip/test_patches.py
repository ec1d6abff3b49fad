"""What tests patch moves along with what the code calls; assertions stay."""

from __future__ import annotations

import pytest
from tests.codemods.flip.test_flip import APP, walk

CLIENT = """\
    from bridgekit.integrations import requests
    import time


    class Client:
        def price(self, sku):
            return requests.get(f"http://x/{sku}", timeout=3).json()["price"]

        def pause(self):
            time.sleep(5)


    def top():
        client = Client()
        client.pause()
        return client.price("a")
"""


def test_file(body: str) -> str:
    """The test module after the walk of the program that it tests."""
    files = {"app.py": APP, "service.py": CLIENT, "tests/test_it.py": body}
    return walk(files)["tests/test_it.py"]


test_file.__test__ = False  # type: ignore[attr-defined]


def test_a_patched_library_function_becomes_its_async_face() -> None:
    after = test_file(
        """\
        from unittest import mock

        from service import Client


        def test_price():
            with mock.patch("service.requests.get") as get:
                get.return_value.json.return_value = {"price": 1}
                assert Client().price("a") == 1
            get.assert_called_once_with("http://x/a", timeout=3)
        """
    )
    assert 'with mock.patch("service.requests.aio.get", return_value=MagicMock()) as get:' in after
    assert 'get.return_value.json.return_value = {"price": 1}' in after
    assert 'get.assert_called_once_with("http://x/a", timeout=3)' in after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'monkeypatch.setattr("service.requests.get", fake)',
            'monkeypatch.setattr("service.requests.aio.get", AsyncMock(side_effect=fake))',
        ),
        (
            'monkeypatch.setattr("service.time.sleep", fake)',
            'monkeypatch.setattr("service.anyio.sleep", AsyncMock(side_effect=fake))',
        ),
        (
            'monkeypatch.setattr(Client, "price", lambda self, sku: 1)',
            'monkeypatch.setattr(Client, "price_async", sync_to_async(lambda self, sku: 1))',
        ),
        (
            'monkeypatch.setattr("service.Client.price", fake)',
            'monkeypatch.setattr("service.Client.price_async", sync_to_async(fake))',
        ),
    ],
)
def test_a_fake_is_made_awaitable(before: str, after: str) -> None:
    source = f"""\
        from service import Client, top


        def fake(*args):
            return None


        def test_it(monkeypatch):
            {before}
            top()
    """
    assert after in test_file(source)


def test_where_sync_uses_are_left_both_are_patched() -> None:
    files = {
        "app.py": APP,
        "service.py": CLIENT + "\n\n    class Login:\n        def __init__(self):\n"
        '            self.token = requests.get("http://x/t").text\n',
        "tests/test_it.py": """\
        from service import Login, top


        def test_it(monkeypatch):
            monkeypatch.setattr("service.requests.get", lambda url, **kw: None)
            Login()
            top()
        """,
    }
    after = walk(files)["tests/test_it.py"]
    assert 'monkeypatch.setattr("service.requests.get", lambda url, **kw: None)' in after
    assert (
        'monkeypatch.setattr("service.requests.aio.get", '
        "AsyncMock(side_effect=lambda url, **kw: None))" in after
    )


def test_a_patch_of_something_that_stays_sync_is_not_touched() -> None:
    source = """\
        from unittest import mock

        from service import top


        def test_it():
            with mock.patch("service.print") as show:
                top()
            show.assert_not_called()
    """
    assert 'with mock.patch("service.print") as show:' in test_file(source)


def test_a_decorator_affects_what_its_own_test_calls() -> None:
    before = """\
        from unittest.mock import patch

        from service import Client


        @patch("time.sleep")
        def test_pause(sleep):
            Client().pause()
            sleep.assert_called_once_with(5)
        """
    files = {
        "app.py": APP,
        "service.py": CLIENT,
        "other.py": "import time\n\n\ndef command():\n    time.sleep(1)\n",
        "tests/test_it.py": before,
    }
    assert '@patch("anyio.sleep", return_value=MagicMock())' in walk(files)["tests/test_it.py"]


def test_a_second_patch_has_the_fake_of_the_first_however_that_is_given() -> None:
    before = """\
        import time

        import service


        def test_both(monkeypatch):
            monkeypatch.setattr(time, "sleep", value=lambda seconds: None)
            service.Client().pause()
            service.blocking()
        """
    sync = f"{CLIENT}\n\n    def blocking():\n        (lambda: time.sleep(1))()\n"
    after = walk({"app.py": APP, "service.py": sync, "tests/test_it.py": before})[
        "tests/test_it.py"
    ]
    assert 'monkeypatch.setattr(time, "sleep", value=lambda seconds: None)' in after
    assert (
        'monkeypatch.setattr("anyio.sleep", AsyncMock(side_effect=lambda seconds: None))' in after
    )
