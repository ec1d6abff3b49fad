"""Adapters of the user's own, retries with waiting, and urllib3's objects."""

from __future__ import annotations

import asyncio
import gzip
import io
import shutil
import ssl
import time
from typing import Any

import pytest

from bridgekit.integrations._requests import causes
from bridgekit.integrations._requests.retry import Refused, Retry

from .stub import Server


def _aio(session: Any, url: str, **kwargs: Any) -> Any:
    async def call() -> Any:
        return await session.aio.get(url, **kwargs)

    return asyncio.run(call())


def test_an_override_of_send_may_change_the_arguments(lib: Any, server: Server) -> None:
    class DefaultTimeout(lib.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def send(self, request: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or 0.05
            request.headers["X-Adapter"] = "1"
            return super().send(request, **kwargs)

    session = lib.Session()
    session.mount("http://", DefaultTimeout())
    for get in (session.get, lambda url: _aio(session, url)):
        with pytest.raises(lib.exceptions.ReadTimeout):
            get(server.url + "/hang")
        assert dict(get(server.url + "/echo").json()["headers"])["X-Adapter"] == "1"
    session.close()


def test_an_override_of_send_that_uses_the_response_is_refused_in_async_code(
    lib: Any, server: Server
) -> None:
    class Looks(lib.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def send(self, request: Any, **kwargs: Any) -> Any:
            response = super().send(request, **kwargs)
            assert response.status_code == 200
            return response

    session = lib.Session()
    session.mount("http://", Looks())
    assert session.get(server.url + "/echo").ok
    with pytest.raises(NotImplementedError, match="override `async def asend"):
        _aio(session, server.url + "/echo")
    session.close()


def test_an_adapter_of_the_users_own(lib: Any) -> None:
    class Canned(lib.adapters.BaseAdapter):  # type: ignore[misc,name-defined]
        def send(self, request: Any, **kwargs: Any) -> Any:
            response = lib.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            response.raw = io.BytesIO(b"canned")
            return response

        def close(self) -> None:
            pass

    session = lib.Session()
    session.mount("canned://", Canned())
    assert session.get("canned://x").text == "canned"
    with pytest.raises(NotImplementedError, match="synchronous only"):
        _aio(session, "canned://x")


def test_pool_options(lib: Any, server: Server) -> None:
    class Tls(lib.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            kwargs["ssl_context"] = ssl.create_default_context()
            kwargs["source_address"] = ("127.0.0.1", 0)
            super().init_poolmanager(*args, **kwargs)

    session = lib.Session()
    session.mount("http://", Tls())
    assert session.get(server.url + "/echo").ok
    assert _aio(session, server.url + "/echo").ok
    session.close()

    class Unknown(lib.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_version=5, **kwargs)

    class Own(lib.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            self.poolmanager = object()

    with pytest.raises(NotImplementedError, match="ssl_version"):
        Unknown()
    with pytest.raises(NotImplementedError, match="urllib3 pool"):
        Own()
    with pytest.raises(NotImplementedError, match="pool_block"):
        lib.adapters.HTTPAdapter(pool_block=True)


def test_retry_of_urllib3_is_understood(lib: Any, server: Server) -> None:
    from urllib3.util.retry import Retry as Theirs

    theirs = Theirs(total=3, status_forcelist=[503], backoff_factor=0)
    session = lib.Session()
    session.mount("http://", lib.adapters.HTTPAdapter(max_retries=theirs))
    key = f"/flaky/503/theirs/{lib.__name__}"
    assert session.get(f"{server.url}{key}?2").text == "3"
    session.close()
    with pytest.raises(TypeError, match="max_retries"):
        lib.adapters.HTTPAdapter(max_retries="3")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_back_off_is_waited_for(
    lib: Any, server: Server, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    from bridgekit.integrations._requests import flow

    async def asleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(flow.time, "sleep", waits.append)
    monkeypatch.setattr(flow.anyio, "sleep", asleep)
    retry = lib.adapters.Retry(total=4, status_forcelist=[503], backoff_factor=0.5)
    session = lib.Session()
    session.mount("http://", lib.adapters.HTTPAdapter(max_retries=retry))
    url = f"{server.url}/flaky/503/backoff/{lib.__name__}/{asynchronous}?3"
    response = _aio(session, url) if asynchronous else session.get(url)
    assert (response.text, waits) == ("4", [1.0, 2.0])
    session.close()


def test_the_arithmetic_of_retry_is_urllib3s() -> None:
    from urllib3.exceptions import MaxRetryError
    from urllib3.util.retry import Retry as Theirs

    options = {"total": 5, "status": 3, "backoff_factor": 0.3, "backoff_max": 1.0}
    ours: Any = Retry(**options)  # type: ignore[arg-type]
    theirs: Any = Theirs(**options)  # type: ignore[arg-type]
    for _ in range(3):
        ours = ours.increment("GET", "/", response=Refused(503, {}, None))
        theirs = theirs.increment("GET", "/", error=None)
        assert ours.total == theirs.total
        assert ours.get_backoff_time() == theirs.get_backoff_time()
    for method in ("GET", "POST"):
        for status in (200, 413, 429, 503):
            assert ours.is_retry(method, status, True) == theirs.is_retry(method, status, True)
    with pytest.raises(MaxRetryError):
        Theirs(0).increment("GET", "/", error=OSError())
    with pytest.raises(causes.MaxRetryError) as caught:
        Retry(0).increment("GET", "/", error=OSError())
    assert isinstance(caught.value.reason, OSError)


def test_retry_after_header() -> None:
    retry = Retry(retry_after_max=60)
    assert retry.pause("7") == 7
    assert retry.pause("3600") == 60
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 20 < retry.pause(later) <= 30
    with pytest.raises(ValueError, match="Retry-After"):
        retry.pause("soon")
    assert Retry(respect_retry_after_header=False).pause("7") == 0


def test_raw_is_a_file(lib: Any, server: Server) -> None:
    with lib.Session() as session:
        target = io.BytesIO()
        shutil.copyfileobj(session.get(server.url + "/raw", stream=True).raw, target)
        assert gzip.decompress(target.getvalue()) == b"raw " * 10
        raw = session.get(server.url + "/raw", stream=True).raw
        assert gzip.GzipFile(fileobj=raw).read() == b"raw " * 10
        raw = session.get(server.url + "/raw", stream=True).raw
        assert raw.read(6, decode_content=True) + raw.read(decode_content=True) == b"raw " * 10
        raw = session.get(server.url + "/bytes/25", stream=True).raw
        assert [len(c) for c in raw.stream(10)] == [10, 10, 5]
        raw = io.BufferedReader(session.get(server.url + "/lines", stream=True).raw)
        assert raw.readline() == b"a\n"
        assert session.get(server.url + "/bytes/3").raw.read() == b""


def test_module_functions_close_their_connection(lib: Any, server: Server) -> None:
    before = server.connections
    for _ in range(2):
        assert lib.get(server.url + "/echo").ok
    response = lib.get(server.url + "/bytes/300000", stream=True)
    assert len(response.content) == 300_000
    assert server.connections == before + 3


def test_a_session_reuses_its_connection(lib: Any, server: Server) -> None:
    before = server.connections
    with lib.Session() as session:
        for _ in range(3):
            session.get(server.url + "/echo")
    assert server.connections == before + 1
