"""How redirects are followed, by requests' rules."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from .auth import basic_auth_str
from .binding import Binding
from .cookies import extract_cookies_to_jar, merge_cookies
from .environment import get_netrc_auth, resolve_proxies
from .flow import IO
from .settings import Config
from .urls import DEFAULT_PORTS, get_auth_from_url, requote_uri


class RedirectRules:
    """What a session does about redirects.

    The methods without an underscore are requests' own and may be overridden in a subclass of
    Session; its asynchronous face then uses the overrides.
    """

    _binding: ClassVar[Binding]
    _config: Config

    async def _send(self, io: IO, request: Any, jar: Any = None, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def _consume(self, io: IO, response: Any) -> None:
        raise NotImplementedError

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
