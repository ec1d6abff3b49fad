"""Mocks in the place of a session learn to be awaited; the rest of the test stays."""

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.codemods.flip.test_flip import APP, walk

SERVICE = """\
    from __future__ import annotations

    from bridgekit.integrations import requests


    class Client:
        def __init__(self, *, session: requests.Session | None = None, name=None):
            self.session = session or requests.Session()
            self.name = name

        def price(self):
            return self.session.get("u").json()


    def of(session: requests.Session):
        return session.get("u")


    def top():
        return Client().price(), of(requests.Session())
"""


def test_file(body: str) -> str:
    """The test module after the walk of the program that it tests."""
    files = {"app.py": APP, "service.py": SERVICE, "tests/test_it.py": body}
    return walk(files)["tests/test_it.py"]


test_file.__test__ = False  # type: ignore[attr-defined]


def test_a_mock_for_an_annotated_parameter_has_a_face() -> None:
    before = """\
        from unittest.mock import Mock

        from service import Client, of


        def test_price():
            session = Mock(**{"get.return_value.json.return_value": 3})
            client = Client(session=session)
            assert client.price() == 3
            session.get.assert_called_once_with("u")


        def test_of():
            assert of(Mock()).ok
        """
    assert test_file(before) == dedent(before).replace("= Mock(", "= FaceMock(").replace(
        "of(Mock())", "of(FaceMock())"
    ).replace("import Mock\n\n", "import Mock\n\nfrom bridgekit.testing.mocks import FaceMock\n\n")


def test_a_patched_class_has_faces() -> None:
    after = test_file(
        """\
        from unittest.mock import patch

        from service import Client


        @patch("service.requests.Session")
        def test_price(session):
            session.return_value.get.return_value.json.return_value = 3
            assert Client().price() == 3
        """
    )
    assert '@patch("service.requests.Session", new_callable=MagicFaceMock)' in after
    assert "from bridgekit.testing.mocks import MagicFaceMock" in after


@pytest.mark.parametrize(
    "test",
    [
        "Client(name=Mock()).name()",
        "Client(session=None, name=[Mock()]).name",
        'patch("service.requests.Session", new=print)',
        'patch("service.requests.Session", autospec=True)',
        'patch("service.Client")',
    ],
)
def test_other_mocks_stay(test: str) -> None:
    before = (
        "from unittest.mock import Mock, patch\n\nfrom service import Client\n\n\n"
        f"def test_it():\n    assert {test}\n"
    )
    files = {"app.py": APP, "service.py": SERVICE, "tests/test_it.py": before}
    assert walk(files)["tests/test_it.py"] == before
