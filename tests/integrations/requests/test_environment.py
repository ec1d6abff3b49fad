"""Proxies, certificate bundles, TLS settings and netrc, compared with requests where they meet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests as original

from .stub import Server

# A self-signed certificate for localhost and its key, good for nothing but these tests.
CERTIFICATE = Path(__file__).with_name("localhost.pem")
KEY = Path(__file__).with_name("localhost.key")


@pytest.fixture(scope="module")
def secure() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = Server(context)
    yield server.url.replace("http://127.0.0.1", "https://localhost")
    server.stop()


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest, lib: Any) -> Any:
    """`get(session, url, **kwargs)` in one colour: the status, or the name of the exception."""

    def sync(session: Any, url: str, **kwargs: Any) -> Any:
        try:
            return session.get(url, **kwargs).status_code
        except OSError as error:
            return type(error).__name__

    def asynchronous(session: Any, url: str, **kwargs: Any) -> Any:
        if not hasattr(session, "aio"):
            return sync(session, url, **kwargs)

        async def call() -> Any:
            return (await session.aio.get(url, **kwargs)).status_code

        try:
            return asyncio.run(call())
        except OSError as error:
            return type(error).__name__

    return sync if request.param == "sync" else asynchronous


def both(lib: Any, get: Any, url: str, configure: Any = None, **kwargs: Any) -> Any:
    """Return what requests and the module under test do; they must agree."""
    results = []
    for module in (original, lib):
        with module.Session() as session:
            if configure is not None:
                configure(session)
            results.append(get(session, url, **kwargs))
    assert results[0] == results[1]
    return results[1]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
class TestTls:
    def test_an_unknown_authority_is_refused(self, lib: Any, get: Any, secure: str) -> None:
        assert both(lib, get, secure + "/echo") == "SSLError"

    def test_a_bundle_of_ones_own(self, lib: Any, get: Any, secure: str) -> None:
        assert both(lib, get, secure + "/echo", verify=str(CERTIFICATE)) == 200

    def test_a_wrong_name_is_refused(self, lib: Any, get: Any, secure: str) -> None:
        url = secure.replace("localhost", "127.1") + "/echo"
        assert both(lib, get, url, verify=str(CERTIFICATE)) == "SSLError"

    def test_verification_off(self, lib: Any, get: Any, secure: str) -> None:
        assert both(lib, get, secure + "/echo", verify=False) == 200

    def test_verification_off_for_the_session(self, lib: Any, get: Any, secure: str) -> None:
        def off(session: Any) -> None:
            session.verify = False

        assert both(lib, get, secure + "/echo", off) == 200

    def test_switching_off_and_on_again_does_not_reuse(self, lib: Any, secure: str) -> None:
        with lib.Session() as session:
            assert session.get(secure + "/echo", verify=False).ok
            with pytest.raises(lib.exceptions.SSLError):
                session.get(secure + "/echo")

    def test_client_certificate(self, lib: Any, get: Any, secure: str) -> None:
        pair = (str(CERTIFICATE), str(KEY))
        assert both(lib, get, secure + "/echo", verify=str(CERTIFICATE), cert=pair) == 200

    @pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_bundle_of_the_environment(
        self, lib: Any, get: Any, secure: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def untrusting(session: Any) -> None:
            session.trust_env = False

        monkeypatch.setenv(name, str(CERTIFICATE))
        assert both(lib, get, secure + "/echo") == 200
        assert both(lib, get, secure + "/echo", untrusting) == "SSLError"

    def test_the_exception_is_the_librarys_too(self, lib: Any, secure: str) -> None:
        with pytest.raises(lib.exceptions._http.ConnectError) as caught:
            lib.get(secure)
        assert caught.value.request.url == secure + "/"


class TestProxies:
    URL = "http://upstream.test/a"

    def test_of_the_environment(
        self, lib: Any, get: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        assert both(lib, get, self.URL) == 200

    def test_lower_case_wins(
        self, lib: Any, get: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", server.url)
        assert both(lib, get, self.URL) == 200

    @pytest.mark.parametrize(
        ("no_proxy", "result"),
        [
            ("127.0.0.1", 200),
            ("127.0.0.0/8", 200),
            ("*", 200),
            ("other.test", "ProxyError"),
            ("10.0.0.0/8,1.2.3.4", "ProxyError"),
        ],
    )
    def test_no_proxy(
        self,
        lib: Any,
        get: Any,
        server: Server,
        no_proxy: str,
        result: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert both(lib, get, server.url + "/echo") == result

    def test_without_trust(
        self, lib: Any, get: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def untrusting(session: Any) -> None:
            session.trust_env = False

        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        assert both(lib, get, server.url + "/echo", untrusting) == 200

    def test_host_specific(self, lib: Any, get: Any, server: Server) -> None:
        proxies = {"http": "http://127.0.0.1:1", "http://upstream.test": server.url}
        assert both(lib, get, self.URL, proxies=proxies) == 200


def test_names_below_a_domain_are_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridgekit.integrations._requests.environment import should_bypass_proxies

    for url in ("http://a.x.test/", "http://x.test:8080/", "http://y.test/", "http://1.2.3.4/"):
        for no_proxy in ("x.test", ".x.test", "x.test:8080", "a.x", "", "1.2.3.4", "1.2.0.0/16"):
            theirs = original.utils.should_bypass_proxies(url, no_proxy)
            assert should_bypass_proxies(url, no_proxy) == theirs, (url, no_proxy)


def test_netrc(lib: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    for module in (original, lib):
        with module.Session() as session:
            expected = "Basic bWU6c2VjcmV0"
            assert session.get(server.url + "/basic").text == expected
            assert session.get(server.url + "/basic", auth=("u", "p")).text != expected
            session.trust_env = False
            assert session.get(server.url + "/basic").status_code == 401
    file.write_text("machine 127.0.0.1 login you password secret2\n")
    assert lib.get(server.url + "/basic").text == "Basic eW91OnNlY3JldDI="
