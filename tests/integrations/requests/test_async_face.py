"""What only the asynchronous face has: loops, sharing, streams, patching, cancellation."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest

from bridgekit.engine.resources import close_loop_resources

from .stub import Server


def test_both_colours_of_one_session_share_everything(lib: Any, server: Server) -> None:
    session = lib.Session()

    async def half() -> Any:
        session.aio.headers["X-Async"] = "1"
        await session.aio.get(server.url + "/cookie")
        return (await session.aio.get(server.url + "/echo", params={"a": 1})).json()

    session.headers["X-Sync"] = "1"
    seen = dict(asyncio.run(half())["headers"])
    assert (seen["X-Sync"], seen["X-Async"], seen["Cookie"]) == ("1", "1", "a=1; b=2")
    assert dict(session.get(server.url + "/echo").json()["headers"])["Cookie"] == "a=1; b=2"
    assert session.aio is session.aio
    session.close()


def test_clients_are_those_of_the_library(lib: Any, server: Server) -> None:
    http = lib.exceptions._http
    session = lib.Session()
    assert isinstance(session, http.Client)
    assert isinstance(session.aio, http.AsyncClient)
    assert isinstance(session.get(server.url + "/echo"), http.Response)
    session.close()


def test_a_client_serves_several_loops(lib: Any, server: Server) -> None:
    client = lib.AsyncClient()

    async def call() -> int:
        return int((await client.get(server.url + "/echo")).status_code)

    assert [asyncio.run(call()) for _ in range(3)] == [200, 200, 200]


def test_shared_client_is_one_per_loop(lib: Any) -> None:
    async def same() -> Any:
        assert lib.async_client() is lib.async_client()
        return lib.async_client()

    first, second = asyncio.run(same()), asyncio.run(same())
    assert first is not second
    with pytest.raises(RuntimeError, match="no event loop"):
        lib.async_client()


def test_connections_are_reused_and_closed_with_the_loop(lib: Any, server: Server) -> None:
    async def calls() -> None:
        for _ in range(5):
            await lib.aio.get(server.url + "/echo")

    before = server.connections
    asyncio.run(calls())  # a socket left open would be a ResourceWarning, an error here
    gc.collect()
    assert server.connections == before + 1


def test_the_resources_of_a_loop_can_be_closed_before_its_end(lib: Any, server: Server) -> None:
    async def calls() -> None:
        for _ in range(2):
            await lib.aio.get(server.url + "/echo")
            await close_loop_resources()

    before = server.connections
    asyncio.run(calls())
    assert server.connections == before + 2


def test_a_dropped_client_leaves_nothing_open(lib: Any, server: Server) -> None:
    async def drop() -> None:
        await lib.AsyncClient().get(server.url + "/echo")
        response = await lib.AsyncClient().get(server.url + "/bytes/300000", stream=True)
        del response
        gc.collect()

    asyncio.run(drop())
    gc.collect()


def test_four_hundred_at_once(lib: Any, server: Server) -> None:
    async def all_of_them() -> set[int]:
        calls = (lib.aio.get(f"{server.url}/echo/{i}", timeout=30) for i in range(400))
        return {r.status_code for r in await asyncio.gather(*calls)}

    assert asyncio.run(all_of_them()) == {200}


def test_stream_context_manager(lib: Any, server: Server) -> None:
    async def stream() -> Any:
        url = server.url + "/bytes/25"
        async with lib.async_client().stream("GET", url) as response:
            with pytest.raises(RuntimeError, match="aread"):
                _ = response.content
            with pytest.raises(RuntimeError, match="aread"):
                _ = response.raw
            sizes = [len(chunk) async for chunk in response.aiter_bytes(10)]
        async with await lib.aio.get(url, stream=True) as response:
            body = await response.aread()
            assert response.content == body
        async with await lib.aio.get(server.url + "/lines", stream=True) as response:
            text = [line async for line in response.aiter_lines(decode_unicode=True)]
        return sizes, len(body), text

    assert asyncio.run(stream()) == ([10, 10, 5], 25, ["a", "b", "c", "", "d"])


def test_patching_gives_an_async_mock(lib: Any) -> None:
    assert inspect.iscoroutinefunction(lib.aio.get)
    with mock.patch.object(lib.aio, "get") as get:
        assert isinstance(get, mock.AsyncMock)
        get.return_value.status_code = 201
        assert asyncio.run(lib.aio.get("http://x")).status_code == 201


def test_cancellation_frees_the_connection(lib: Any, server: Server) -> None:
    async def cancel() -> int:
        task = asyncio.create_task(lib.aio.get(server.url + "/hang"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.05)
        return int((await lib.aio.get(server.url + "/echo")).status_code)

    assert asyncio.run(cancel()) == 200


def test_hooks_may_be_coroutine_functions(lib: Any, server: Server) -> None:
    seen: list[int] = []

    async def note(response: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        seen.append(len(response.content))

    async def call() -> None:
        await lib.aio.get(server.url + "/bytes/7", hooks={"response": [note]})

    asyncio.run(call())
    assert seen == [7]


def test_asynchronous_bodies(lib: Any, server: Server) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def call() -> Any:
        return (await lib.aio.post(server.url + "/echo", data=parts())).json()["body"]

    assert asyncio.run(call()) == "ab"


def test_the_exception_of_a_body_reaches_the_caller(lib: Any, server: Server) -> None:
    def broken() -> Any:
        yield b"a"
        raise LookupError("mine")

    async def call() -> None:
        await lib.aio.post(server.url + "/echo", data=broken())

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(call())
    with pytest.raises(LookupError, match="mine"):
        lib.post(server.url + "/echo", data=broken())


def test_a_transport_of_the_library_can_be_given(lib: Any) -> None:
    http = lib.exceptions._http

    def handler(request: Any) -> Any:
        return http.Response(200, json={"method": request.method, "url": str(request.url)})

    transport = http.MockTransport(handler)
    with lib.Session(transport=transport) as session:
        assert session.get("http://x.test/a?b=1").json()["url"] == "http://x.test/a?b=1"

    async def call() -> Any:
        async with lib.AsyncClient(transport=transport) as client:
            return (await client.post("http://x.test/", json={})).json()["method"]

    assert asyncio.run(call()) == "POST"


def test_without_aiohttp_the_library_is_used(
    lib: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridgekit.integrations._requests import aiohttp_pool

    monkeypatch.setattr(aiohttp_pool, "AVAILABLE", False)

    async def call() -> Any:
        r = await lib.aio.get(server.url + "/redirect/302")
        async with lib.async_client().stream("GET", server.url + "/chunked") as response:
            chunks = [chunk async for chunk in response.aiter_content(100)]
        with pytest.raises(lib.ConnectionError):
            await lib.aio.get("http://127.0.0.1:1/")
        with pytest.raises(lib.exceptions.ChunkedEncodingError):
            await lib.aio.get(server.url + "/short")
        with pytest.raises(lib.ReadTimeout):
            await lib.aio.get(server.url + "/hang", timeout=0.05)
        return r.status_code, b"".join(chunks)

    assert asyncio.run(call()) == (200, b"firstsecondthird\nfourth")


def test_under_trio(lib: Any, server: Server) -> None:
    trio = pytest.importorskip("trio")

    async def call() -> int:
        async with lib.AsyncClient() as client:
            return int((await client.get(server.url + "/redirect/302")).status_code)

    assert trio.run(call) == 200


def test_what_the_library_has_and_requests_has_not_is_refused(lib: Any) -> None:
    session = lib.Session()
    for name in ("event_hooks", "base_url"):
        with pytest.raises(NotImplementedError, match=name):
            setattr(session, name, {})
        with pytest.raises(NotImplementedError, match=name):
            getattr(session, name)
    with pytest.raises(NotImplementedError, match=r"response\.next"):
        session.resolve_redirects(None, None)


def test_an_overridden_synchronous_request_is_refused(lib: Any) -> None:
    class Mine(lib.Session):  # type: ignore[misc,name-defined]
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return super().request(*args, **kwargs)

    class Verb(lib.Session):  # type: ignore[misc,name-defined]
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return super().get(*args, **kwargs)

    with pytest.raises(NotImplementedError, match=r"Mine overrides request\(\)"):
        _ = Mine().aio
    with pytest.raises(NotImplementedError, match=r"Verb overrides get\(\)"):
        _ = Verb().aio


def test_sending_again_from_a_hook(lib: Any, server: Server) -> None:
    """What authentication schemes of one's own do: answer a 401 with a second request."""

    def again(response: Any, **kwargs: Any) -> Any:
        if response.status_code != 401:
            return None
        request = response.request.copy()
        request.headers["Authorization"] = "Mine"
        _ = response.content
        return response.connection.send(request, **kwargs)

    async def again_awaiting(response: Any, **kwargs: Any) -> Any:
        request = response.request.copy()
        request.headers["Authorization"] = "Mine"
        return await response.connection.asend(request, **kwargs)

    async def call(hook: Any) -> Any:
        return (await lib.aio.get(server.url + "/basic", hooks={"response": hook})).text

    assert lib.get(server.url + "/basic", hooks={"response": again}).text == "Mine"
    assert asyncio.run(call(again_awaiting)) == "Mine"
    with pytest.raises(NotImplementedError, match=r"connection\.asend"):
        asyncio.run(call(again))


def test_overridden_rules_hold_for_both_colours(lib: Any, server: Server) -> None:
    class Mine(lib.Session):  # type: ignore[misc,name-defined]
        def should_strip_auth(self, old_url: str, new_url: str) -> bool:
            return False

    other = server.url.replace("127.0.0.1", "localhost")
    url = f"{server.url}/redirect/302?{other}/echo"
    session = Mine()
    sync = session.get(url, auth=("u", "p")).json()["headers"]

    async def call() -> Any:
        return (await session.aio.get(url, auth=("u", "p"))).json()["headers"]

    assert "Authorization" in dict(sync)
    assert "Authorization" in dict(asyncio.run(call()))
    session.close()
