"""`bridgekit.testing.mocks`: one mock, two colours."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from bridgekit.testing.mocks import FaceMock, MagicFaceMock


@pytest.mark.parametrize("kind", [FaceMock, MagicFaceMock])
def test_awaited_calls_are_those_of_the_mock(kind: type[mock.Mock]) -> None:
    session = kind(headers={}, **{"get.return_value": "reply"})
    assert asyncio.run(session.aio.get("u", timeout=1)) == "reply"
    session.get.assert_called_once_with("u", timeout=1)
    assert session.get("v") == "reply"
    asyncio.run(session.aio.aclose())
    session.close.assert_called_once_with()


def test_what_the_mock_raises_comes_out_of_the_await() -> None:
    session = FaceMock()
    session.request.side_effect = OSError("gone")
    call = session.aio.request("GET", "u")
    with pytest.raises(OSError, match="gone"):
        asyncio.run(call)
    assert session.request.call_count == 1


def test_instances_of_a_patched_class_have_faces() -> None:
    with mock.patch("json.JSONDecoder", new_callable=MagicFaceMock) as cls:
        import json

        made = json.JSONDecoder()
        made.decode.return_value = 1
        assert asyncio.run(made.aio.decode("x")) == 1
        assert made is cls.return_value


def test_it_is_a_mock_and_knows_no_more_than_its_specification() -> None:
    assert isinstance(FaceMock(), mock.Mock)
    assert isinstance(MagicFaceMock(), mock.MagicMock)
    with pytest.raises(AttributeError):
        _ = FaceMock(spec=["get"]).aio.put
