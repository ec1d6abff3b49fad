"""The asynchronous face over connections that are open already, which take a shorter way."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import pytest

from bridgekit.integrations._requests import aiohttp_pool, aiohttp_reuse
from bridgekit.integrations._requests.urls import locate
from bridgekit.integrations._requests.wire import Outgoing

from .cases import CASES
from .faces import outcome
from .stub import Server

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("requests")


@pytest.fixture
def opened_before(monkeypatch: pytest.MonkeyPatch) -> Counter[bool]:
    """Every request finds an idle connection; counts whether it was used."""
    counted: Counter[bool] = Counter()
    original = aiohttp_pool.AiohttpPool._exchange_over_idle

    async def exchange(self: Any, outgoing: Any) -> Any:
        connector = self._connector
        if not connector._conns:
            request = aiohttp.ClientRequest(
                "GET",
                aiohttp_pool._url(outgoing.url),
                loop=self._loop,
                session=self._session,
                ssl=True,
            )
            timeout = aiohttp_pool._timeout(outgoing.connect, outgoing.read)
            # The request itself will say what is wrong.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                (await connector.connect(request, [], timeout)).release()
        incoming = await original(self, outgoing)
        counted[incoming is not None] += 1
        return incoming

    monkeypatch.setattr(aiohttp_pool.AiohttpPool, "_exchange_over_idle", exchange)
    return counted


@pytest.mark.usefixtures("opened_before")
@pytest.mark.parametrize("name", CASES)
def test_behaviour_is_that_of_requests(name: str, server: Server) -> None:
    assert outcome(CASES[name], "httpx", "async", server.url) == outcome(
        CASES[name], "requests", "sync", server.url
    )


def test_the_shorter_way_is_taken(lib: Any, server: Server, opened_before: Counter[bool]) -> None:
    async def use() -> None:
        async with lib.AsyncClient() as client:
            for _ in range(3):
                assert (await client.get(f"{server.url}/get")).status_code == 200

    asyncio.run(use())
    assert opened_before == {True: 3}


def test_a_cancelled_request_gives_no_connection_back(lib: Any, server: Server) -> None:
    async def use() -> None:
        async with lib.AsyncClient() as client:
            await client.get(f"{server.url}/get")
            waiting = asyncio.ensure_future(client.get(f"{server.url}/hang"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await client.get(f"{server.url}/other")).json()["path"] == "/other"

    asyncio.run(use())


@pytest.mark.parametrize(
    ("method", "lines", "body"),
    [
        ("CONNECT", [], None),
        ("POST", [], None),
        ("GET", [("Transfer-Encoding", "chunked")], b"0"),
        ("GET", [("Connection", "close")], None),
        ("GET", [("X", "a\r\nY: b")], None),
        ("GET", [("X", "a\nb")], None),
        ("GET", [("X", "a\0b")], None),
        ("GET", [("X", "\u00e4")], None),
        ("POST", [("Content-Length", "9")], iter([b"x"])),
        ("POST", [("Content-Length", "99999")], b"x" * 99999),
    ],
)
def test_what_the_session_must_send(method: str, lines: Any, body: Any) -> None:
    location = locate("http://example.org/a?b=c")
    outgoing = Outgoing(method, location, [("Host", "example.org"), *lines], body, None, None, None)
    assert aiohttp_reuse.message_bytes(outgoing) is None


def test_what_goes_over_the_wire() -> None:
    location = locate("http://example.org:81/a%20b?c=d")
    lines = [("Host", "example.org:81"), ("Connection", "keep-alive"), ("Content-Length", "2")]
    outgoing = Outgoing("PUT", location, lines, b"ok", None, None, None)
    assert aiohttp_reuse.message_bytes(outgoing) == (
        b"PUT /a%20b?c=d HTTP/1.1\r\nHost: example.org:81\r\nConnection: keep-alive\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
