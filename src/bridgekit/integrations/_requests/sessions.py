"""The rules of a session: merging of settings, redirects, cookies, hooks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from .auth import basic_auth_str
from .binding import Binding
from .cookies import (
    RequestsCookieJar,
    cookiejar_from_dict,
    extract_cookies_to_jar,
    is_empty_jar,
    merge_cookies,
)
from .decoding import ACCEPT_ENCODING
from .environment import (
    environment_verify,
    get_environ_proxies,
    get_netrc_auth,
    resolve_proxies,
)
from .flow import IO
from .models import PreparedRequestBase, RequestBase, default_hooks
from .structures import CaseInsensitiveDict
from .urls import DEFAULT_PORTS, get_auth_from_url, requote_uri

DEFAULT_REDIRECT_LIMIT = 30


def default_user_agent(name: str = "bridgekit-requests") -> str:
    """Return the ``User-Agent`` sent by default."""
    return f"{name}/1"


def default_headers() -> CaseInsensitiveDict:
    """Return a fresh copy of the headers every request carries unless they are changed."""
    return CaseInsensitiveDict(
        {
            "User-Agent": default_user_agent(),
            "Accept-Encoding": ACCEPT_ENCODING,
            "Accept": "*/*",
            "Connection": "keep-alive",
        }
    )


def merge_setting(request: Any, session: Any, kind: type[Any] = dict) -> Any:
    """Merge a request's setting over the session's; a None in the request's mapping removes."""
    if session is None:
        return request
    if request is None:
        return session
    if kind is CaseInsensitiveDict and not request and type(session) is kind:
        if not session.has_none():
            return session  # preparing copies it
    elif type(request) is dict and type(session) is dict and not session:
        return {key: value for key, value in request.items() if value is not None}
    if not (isinstance(session, Mapping) and isinstance(request, Mapping)):
        return request
    merged = kind(session)
    merged.update(
        {k.decode("ascii") if isinstance(k, bytes) else k: v for k, v in request.items()}
        if kind is CaseInsensitiveDict
        else request
    )
    for key in [key for key, value in merged.items() if value is None]:
        del merged[key]
    return merged


def merge_hooks(request: Any, session: Any) -> Any:
    if session is None or session.get("response") == []:
        return request
    if request is None or request.get("response") == []:
        return session
    return merge_setting(request, session)


class Config:
    """The settings of a session. A session and its asynchronous face share one object."""

    def __init__(self) -> None:
        self.headers: Any = default_headers()
        self.auth: Any = None
        self.proxies: Any = {}
        self.hooks: Any = default_hooks()
        self.params: Any = {}
        self.stream: Any = False
        self.verify: Any = True
        self.cert: Any = None
        self.max_redirects: Any = DEFAULT_REDIRECT_LIMIT
        self.trust_env: Any = True
        self.cookies: Any = RequestsCookieJar()
        self.adapters: dict[str, Any] = {}


class _Setting:
    """An attribute kept in the shared Config."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else getattr(instance._config, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        if (
            self._name == "cookies"
            and isinstance(value, Mapping)
            and not isinstance(value, RequestsCookieJar)
        ):
            value = cookiejar_from_dict(dict(value))
        setattr(instance._config, self._name, value)


class SessionRules:
    """What `Session` and `AsyncClient` have in common: settings and the rules of requests.

    The methods without an underscore are requests' own and may be overridden in a subclass of
    Session; its asynchronous face then uses the overrides.
    """

    _binding: ClassVar[Binding]
    _config: Config
    _keep_cookies = True

    headers = _Setting()
    auth = _Setting()
    proxies = _Setting()
    hooks = _Setting()
    params = _Setting()
    verify = _Setting()
    cert = _Setting()
    max_redirects = _Setting()
    trust_env = _Setting()
    cookies = _Setting()
    adapters = _Setting()

    def mount(self, prefix: str, adapter: Any) -> None:
        """Use *adapter* for URLs that start with *prefix*; the longest prefix wins."""
        if not hasattr(adapter, "send"):
            raise TypeError(f"an adapter needs a send() method, got {type(adapter).__name__}")
        adapters = self._config.adapters
        adapters[prefix] = adapter
        for key in [key for key in adapters if len(key) < len(prefix)]:
            adapters[key] = adapters.pop(key)

    def get_adapter(self, url: str) -> Any:
        """Return the adapter for *url*. Raises InvalidSchema."""
        lowered = url.lower()
        for prefix, adapter in self._config.adapters.items():
            if lowered.startswith(prefix.lower()):
                return adapter
        raise self._binding.errors.InvalidSchema(f"No connection adapters were found for {url!r}")

    def prepare_request(self, request: Any) -> Any:
        """Encode a Request with the settings of this session. Returns a PreparedRequest."""
        config = self._config
        merged = self._merged_cookies(request.cookies or {})
        auth = request.auth
        if config.trust_env and not auth and not config.auth:
            auth = get_netrc_auth(request.url)
        prepared = self._binding.prepared()
        prepared.prepare(
            method=request.method,
            url=request.url,
            files=request.files,
            data=request.data,
            json=request.json,
            headers=merge_setting(request.headers, config.headers, CaseInsensitiveDict),
            params=merge_setting(request.params, config.params),
            auth=merge_setting(auth, config.auth),
            cookies=merged,
            hooks=merge_hooks(request.hooks, config.hooks),
        )
        return prepared

    def _merged_cookies(self, cookies: Any) -> Any:
        """The session's cookies with those of a request; None for none at all."""
        known = self._config.cookies
        if not cookies and (not self._keep_cookies or is_empty_jar(known)):
            return None
        if isinstance(cookies, Mapping) and not isinstance(cookies, RequestsCookieJar):
            cookies = cookiejar_from_dict(cookies)
        merged = RequestsCookieJar()
        if self._keep_cookies:
            merge_cookies(merged, known)
        return merge_cookies(merged, cookies)

    def merge_environment_settings(
        self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> dict[str, Any]:
        """Merge the environment and the session's settings into a request's."""
        config = self._config
        if config.trust_env:
            no_proxy = proxies.get("no_proxy") if proxies is not None else None
            environ = get_environ_proxies(url, no_proxy=no_proxy)
            if proxies is not None:
                for key, value in environ.items():
                    proxies.setdefault(key, value)
            verify = environment_verify(verify)
        return {
            "proxies": merge_setting(proxies, config.proxies) if proxies or config.proxies else {},
            "stream": config.stream if stream is None else merge_setting(stream, config.stream),
            "verify": config.verify if verify is None else merge_setting(verify, config.verify),
            "cert": config.cert if cert is None else merge_setting(cert, config.cert),
        }

    def _arguments(
        self,
        method: str,
        url: Any,
        *,
        params: Any,
        data: Any,
        headers: Any,
        cookies: Any,
        files: Any,
        auth: Any,
        timeout: Any,
        allow_redirects: Any,
        proxies: Any,
        hooks: Any,
        stream: Any,
        verify: Any,
        cert: Any,
        json: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Turn the arguments of `request` into a PreparedRequest and the keywords of `send`."""
        if isinstance(url, bytes):
            url = url.decode("utf-8")
        request = self._binding.request(
            method=method.upper(),
            url=url,
            headers=headers,
            files=files,
            data={} if data is None else data,
            json=json,
            params=params or {},
            auth=auth,
            cookies=cookies,
            hooks=hooks,
        )
        prepared = self.prepare_request(request)
        kwargs = {"timeout": timeout, "allow_redirects": allow_redirects}
        kwargs.update(
            self.merge_environment_settings(prepared.url, dict(proxies or {}), stream, verify, cert)
        )
        return prepared, kwargs

    # -- sending -------------------------------------------------------------------------------

    async def _send(self, io: IO, request: Any, jar: Any = None, **kwargs: Any) -> Any:
        config, errors = self._config, self._binding.errors
        kwargs.setdefault("stream", config.stream)
        kwargs.setdefault("verify", config.verify)
        kwargs.setdefault("cert", config.cert)
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request.url, config.proxies, config.trust_env)
        if isinstance(request, RequestBase) or not isinstance(request, PreparedRequestBase):
            raise ValueError("You can only send PreparedRequests.")
        if jar is None:
            jar = config.cookies if self._keep_cookies else RequestsCookieJar()
        allow_redirects = kwargs.pop("allow_redirects", True)
        stream = kwargs.get("stream")
        adapter = self.get_adapter(url=request.url or "")
        start = time.perf_counter()
        response = await io.send(adapter, request, kwargs)
        elapsed = timedelta(seconds=time.perf_counter() - start)
        response.elapsed = elapsed
        if request._challenge is not None:
            response = await self._answer(io, adapter, request, response, kwargs)
        if io.asynchronous and not stream:
            try:
                await io.read(response)  # hooks and the caller use the body without awaiting
            except (errors.ChunkedEncodingError, errors.ContentDecodingError):
                if not (allow_redirects and response.is_redirect):
                    raise
        for hook in request.hooks["response"]:
            replacement = await io.settle(hook(response, **kwargs))
            if replacement is not None:
                response = replacement
        for earlier in response.history:
            extract_cookies_to_jar(jar, earlier.request, earlier)
        extract_cookies_to_jar(jar, request, response)
        if allow_redirects:
            if response.is_redirect:
                response = await self._follow(io, response, request, jar, kwargs)
        elif response.is_redirect:
            target = self.get_redirect_target(response)
            if target:
                if not stream or not io.asynchronous:
                    await self._consume(io, response)
                following, _ = self._redirected(
                    response, request, target, urlsplit(str(request.url)).fragment, jar, kwargs
                )
                response._next = following
        if not stream:
            await io.read(response)
        return response

    async def _answer(
        self, io: IO, adapter: Any, request: Any, response: Any, kwargs: dict[str, Any]
    ) -> Any:
        header = request._challenge.answer(response)
        if header is None:
            return response
        await io.read(response)
        await io.close(response)
        again = response.request.copy()
        extract_cookies_to_jar(again._cookies, response.request, response)
        again.headers.pop("Cookie", None)
        again.prepare_cookies(again._cookies)
        again.headers["Authorization"] = header
        self._rewind(again)
        second = await io.send(adapter, again, kwargs)
        second.elapsed = response.elapsed
        second.history.append(response)
        second.request = again
        return second

    async def _consume(self, io: IO, response: Any) -> None:
        errors = self._binding.errors
        # The redirect counts, not its body.
        with suppress(errors.ChunkedEncodingError, errors.ContentDecodingError, RuntimeError):
            await io.read(response)
        await io.close(response)

    async def _follow(
        self, io: IO, response: Any, request: Any, jar: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Follow redirects from *response*. Raises TooManyRedirects."""
        history: list[Any] = []
        target = self.get_redirect_target(response)
        fragment = urlsplit(str(request.url)).fragment
        kwargs = dict(kwargs)
        while target:
            response.history = history[:]
            history.append(response)
            await self._consume(io, response)
            if len(response.history) >= self._config.max_redirects:
                raise self._binding.errors.TooManyRedirects(
                    f"Exceeded {self._config.max_redirects} redirects.", response=response
                )
            request, fragment = self._redirected(response, request, target, fragment, jar, kwargs)
            kwargs["proxies"] = self.rebuild_proxies(request, kwargs.get("proxies"))
            self.rebuild_auth(request, response)
            response = await self._send(io, request, jar, allow_redirects=False, **kwargs)
            target = self.get_redirect_target(response)
        response.history = history
        return response

    def _redirected(
        self,
        response: Any,
        request: Any,
        url: str,
        fragment: str,
        jar: Any,
        kwargs: dict[str, Any],
    ) -> tuple[Any, str]:
        """Build the request that follows *response*. Returns it and the fragment to carry on."""
        following = request.copy()
        if url.startswith("//"):
            url = f"{urlsplit(response.url).scheme}:{url}"
        parts = urlsplit(url)
        if parts.fragment == "" and fragment:
            parts = parts._replace(fragment=fragment)
        elif parts.fragment:
            fragment = parts.fragment
        url = parts.geturl()
        following.url = (
            requote_uri(url) if parts.netloc else urljoin(response.url, requote_uri(url))
        )
        self.rebuild_method(following, response)
        if response.status_code not in (307, 308):
            for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
                following.headers.pop(name, None)
            following.body = None
        headers = following.headers
        headers.pop("Cookie", None)
        extract_cookies_to_jar(following._cookies, request, response)
        merge_cookies(following._cookies, jar)
        following.prepare_cookies(following._cookies)
        if "Content-Length" in headers or "Transfer-Encoding" in headers:
            self._rewind(following)
        return following, fragment

    def _rewind(self, request: Any) -> None:
        position = request._body_position
        if position is None:
            return
        seek = getattr(request.body, "seek", None)
        if seek is None or not isinstance(position, int):
            raise self._binding.errors.UnrewindableBodyError(
                "Unable to rewind request body for redirect."
            )
        try:
            seek(position)
        except OSError as error:
            raise self._binding.errors.UnrewindableBodyError(
                "An error occurred when rewinding request body for redirect."
            ) from error

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Any:
        """Not available: raises NotImplementedError."""
        raise NotImplementedError(
            "resolve_redirects() is not available: send with allow_redirects=False and follow "
            "`response.next` with `session.send(response.next)`"
        )

    # -- redirect rules, overridable -----------------------------------------------------------

    def get_redirect_target(self, resp: Any) -> str | None:
        """Return where *resp* redirects to, or None."""
        if not resp.is_redirect:
            return None
        location: str = resp.headers["location"]
        return location.encode("latin1").decode("utf8")

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """Tell whether credentials must not follow from *old_url* to *new_url*."""
        old, new = urlsplit(old_url), urlsplit(new_url)
        if old.hostname != new.hostname:
            return True
        if (
            old.scheme == "http"
            and old.port in (80, None)
            and new.scheme == "https"
            and new.port in (443, None)
        ):
            return False
        default = (DEFAULT_PORTS.get(old.scheme), None)
        if old.scheme == new.scheme and old.port in default and new.port in default:
            return False
        return old.port != new.port or old.scheme != new.scheme

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        """Drop or replace credentials on a redirect."""
        headers, url = prepared_request.headers, prepared_request.url
        if "Authorization" in headers and self.should_strip_auth(response.request.url, url):
            del headers["Authorization"]
        auth = get_netrc_auth(url) if self._config.trust_env else None
        if auth is not None:
            prepared_request.prepare_auth(auth)

    def rebuild_proxies(self, prepared_request: Any, proxies: Any) -> dict[str, str]:
        """Choose the proxies for a redirected request."""
        headers = prepared_request.headers
        scheme = urlsplit(prepared_request.url).scheme
        chosen = resolve_proxies(prepared_request.url, proxies, self._config.trust_env)
        headers.pop("Proxy-Authorization", None)
        username, password = get_auth_from_url(chosen[scheme]) if scheme in chosen else ("", "")
        if not scheme.startswith("https") and username and password:
            headers["Proxy-Authorization"] = basic_auth_str(username, password)
        return chosen

    def rebuild_method(self, prepared_request: Any, response: Any) -> None:
        """Change the method as browsers do: 302 and 303 to GET, 301 of a POST too."""
        method, status = prepared_request.method, response.status_code
        if (status in (302, 303) and method != "HEAD") or (status == 301 and method == "POST"):
            prepared_request.method = "GET"
