"""requests itself and both faces in the 153 behaviours that were compared: how many are equal."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .faces import LIBRARIES, Face, describe_error, load, outcome
from .probes import PROBES, plain
from .stub import Server

pytest.importorskip("requests")

REFUSED = {
    ".raw": "the class of the raw response is not urllib3's",
    "default headers": "the User-Agent is bridgekit's",
    "headers None value removes": "no User-Agent is sent, where urllib3 puts in its own",
}
"""What differs. BK201 reports each: tests/codemods/requests_client has the same names."""
SLOW = {"timeout=None default? 6s slow"}


def seen(name: str, library: str, kind: str, url: str) -> Any:
    """The value of a probe, or what it raised, message included."""
    lib = load(library)

    async def case(face: Face) -> Any:
        try:
            return await PROBES[name](face)
        except Exception as error:
            message = re.sub(r"0x[0-9a-f]+", "ADDRESS", plain(str(error)))
            return describe_error(error, lib) | {"message": message}

    return outcome(case, library, kind, url)


@pytest.fixture(scope="module")
def expected(server: Server) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in PROBES]
)
def test_a_probe_is_equal_or_known_to_differ(
    name: str, library: str, kind: str, server: Server, expected: dict[str, Any]
) -> None:
    if name not in expected:
        expected[name] = seen(name, "requests", "sync", server.url)
    assert (seen(name, library, kind, server.url) == expected[name]) is (name not in REFUSED)


def test_all_probes_are_there_and_at_least_150_are_equal() -> None:
    assert len(PROBES) == 153
    assert set(REFUSED) <= set(PROBES)
    assert len(PROBES) - len(REFUSED) >= 150
