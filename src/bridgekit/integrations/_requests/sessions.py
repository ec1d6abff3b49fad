"""The rules of a session: merging of settings, redirects, cookies, hooks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from .binding import Binding
from .cookies import (
    RequestsCookieJar,
    cookiejar_from_dict,
    extract_cookies_to_jar,
    is_empty_jar,
    merge_cookies,
)
from .environment import (
    environment_verify,
    get_environ_proxies,
    get_netrc_auth,
    resolve_proxies,
)
from .flow import IO
from .models import PreparedRequestBase, RequestBase
from .redirects import RedirectRules
from .settings import Config, Setting, merge_hooks, merge_setting
from .structures import CaseInsensitiveDict


class SessionRules(RedirectRules):
    """What `Session` and `AsyncClient` have in common: settings and the rules of requests.

    The methods without an underscore are requests' own and may be overridden in a subclass of
    Session; its asynchronous face then uses the overrides.
    """

    _binding: ClassVar[Binding]
    _config: Config
    _keep_cookies = True

    headers = Setting()
    auth = Setting()
    proxies = Setting()
    hooks = Setting()
    params = Setting()
    verify = Setting()
    cert = Setting()
    max_redirects = Setting()
    trust_env = Setting()
    cookies = Setting()
    adapters = Setting()

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
