"""requests itself and both faces, side by side against one server."""

from __future__ import annotations

from typing import Any

import pytest

from .cases import CASES
from .faces import LIBRARIES, outcome
from .stub import Server

pytest.importorskip("requests")


@pytest.fixture(scope="module")
def expected(server: Server) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", CASES)
def test_behaviour_is_that_of_requests(
    name: str, library: str, kind: str, server: Server, expected: dict[str, Any]
) -> None:
    if name not in expected:
        expected[name] = outcome(CASES[name], "requests", "sync", server.url)
    assert outcome(CASES[name], library, kind, server.url) == expected[name]
