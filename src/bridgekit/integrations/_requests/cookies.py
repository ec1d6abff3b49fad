"""requests' cookie jar and helpers, on the standard library's `http.cookiejar`."""

from __future__ import annotations

import calendar
import copy
import email.message
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from http.cookiejar import Cookie, CookieJar, CookiePolicy
from http.cookies import Morsel
from typing import Any
from urllib.parse import urlsplit, urlunsplit


class CookieConflictError(RuntimeError):
    """Two cookies meet the criteria: use `get`/`set` with ``domain`` and ``path``."""


class _CookieRequest:
    """A prepared request as `http.cookiejar` wants to see it (the shape of urllib's Request)."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._new: dict[str, str] = {}
        parts = urlsplit(request.url)
        self.type = parts.scheme
        self.host = self.origin_req_host = parts.netloc
        self.unverifiable = True

    def get_full_url(self) -> str:
        host = self._request.headers.get("Host")
        if not host:
            return str(self._request.url)
        if isinstance(host, bytes):
            host = host.decode("utf-8")
        return urlunsplit(urlsplit(str(self._request.url))._replace(netloc=str(host)))

    def has_header(self, name: str) -> bool:
        return name in self._request.headers or name in self._new

    def get_header(self, name: str, default: str | None = None) -> Any:
        return self._request.headers.get(name, self._new.get(name, default))

    def add_unredirected_header(self, name: str, value: str) -> None:
        self._new[name] = value


class _CookieResponse:
    def __init__(self, set_cookie: Iterable[str]) -> None:
        self._message = email.message.Message()
        for value in set_cookie:
            self._message["Set-Cookie"] = value

    def info(self) -> email.message.Message:
        return self._message


def store_cookies(jar: CookieJar, request: Any, set_cookie: Iterable[str]) -> None:
    """Put the cookies of ``Set-Cookie`` header values into *jar*, by the rules for *request*."""
    jar.extract_cookies(_CookieResponse(set_cookie), _CookieRequest(request))  # type: ignore[arg-type]


def extract_cookies_to_jar(jar: CookieJar, request: Any, response: Any) -> None:
    """Store a response's cookies in *jar*; *response* is a Response or its ``raw``."""
    set_cookie = getattr(response, "_set_cookie", None)
    if set_cookie:
        store_cookies(jar, request, set_cookie)


def is_empty_jar(jar: Any) -> bool:
    """Tell, quickly, that *jar* holds nothing; False where only a look at each item would tell."""
    return type(jar) is RequestsCookieJar and not jar._cookies  # type: ignore[attr-defined]


def get_cookie_header(jar: CookieJar, request: Any) -> str | None:
    """Return the ``Cookie`` header that *jar* holds for *request*, or None."""
    if not jar._cookies:  # type: ignore[attr-defined]  # an empty jar needs no request object
        return None
    wrapped = _CookieRequest(request)
    jar.add_cookie_header(wrapped)  # type: ignore[arg-type]
    return wrapped._new.get("Cookie")


def remove_cookie_by_name(
    cookiejar: CookieJar, name: str, domain: str | None = None, path: str | None = None
) -> None:
    """Remove the cookies called *name*, by default over all domains and paths."""
    doomed = [
        (c.domain, c.path, c.name)
        for c in cookiejar
        if c.name == name
        and (domain is None or c.domain == domain)
        and (path is None or c.path == path)
    ]
    for key in doomed:
        cookiejar.clear(*key)


class RequestsCookieJar(CookieJar, MutableMapping[str, Any]):
    """A cookie jar with the interface of a dict. Picklable; mapping operations are O(n)."""

    _policy: CookiePolicy

    def get(
        self, name: str, default: Any = None, domain: str | None = None, path: str | None = None
    ) -> Any:
        try:
            return self._find_no_duplicates(name, domain, path)
        except KeyError:
            return default

    def set(self, name: str, value: Any, **kwargs: Any) -> Cookie | None:
        """Set a cookie; None as the value removes it. Keywords are those of `create_cookie`."""
        if value is None:
            remove_cookie_by_name(self, name, domain=kwargs.get("domain"), path=kwargs.get("path"))
            return None
        cookie = (
            morsel_to_cookie(value)
            if isinstance(value, Morsel)
            else create_cookie(name, value, **kwargs)
        )
        self.set_cookie(cookie)
        return cookie

    def iterkeys(self) -> Iterator[str]:
        return (c.name for c in iter(self))

    def itervalues(self) -> Iterator[str | None]:
        return (c.value for c in iter(self))

    def iteritems(self) -> Iterator[tuple[str, str | None]]:
        return ((c.name, c.value) for c in iter(self))

    def keys(self) -> list[str]:  # type: ignore[override]
        return list(self.iterkeys())

    def values(self) -> list[str | None]:  # type: ignore[override]
        return list(self.itervalues())

    def items(self) -> list[tuple[str, str | None]]:  # type: ignore[override]
        return list(self.iteritems())

    def list_domains(self) -> list[str]:
        return list(dict.fromkeys(c.domain for c in iter(self)))

    def list_paths(self) -> list[str]:
        return list(dict.fromkeys(c.path for c in iter(self)))

    def multiple_domains(self) -> bool:
        domains = [c.domain for c in iter(self) if c.domain is not None]
        return len(domains) != len(set(domains))

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, Any]:
        return {
            c.name: c.value
            for c in iter(self)
            if (domain is None or c.domain == domain) and (path is None or c.path == path)
        }

    def __iter__(self) -> Iterator[Cookie]:  # type: ignore[override]
        return super().__iter__()

    def __contains__(self, name: object) -> bool:
        try:
            return super().__contains__(name)
        except CookieConflictError:
            return True

    def __getitem__(self, name: str) -> Any:
        return self._find_no_duplicates(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        remove_cookie_by_name(self, name)

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> None:
        value = cookie.value
        if isinstance(value, str) and value.startswith('"') and value.endswith('"'):
            cookie.value = value.replace('\\"', "")
        super().set_cookie(cookie, *args, **kwargs)

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        if isinstance(other, CookieJar):
            for cookie in other:
                self.set_cookie(copy.copy(cookie))
        else:
            super().update(other, **kwargs)

    def _find_no_duplicates(
        self, name: str, domain: str | None = None, path: str | None = None
    ) -> Any:
        found = [
            c.value
            for c in iter(self)
            if c.name == name
            and c.value is not None
            and (domain is None or c.domain == domain)
            and (path is None or c.path == path)
        ]
        if len(found) > 1:
            raise CookieConflictError(f"There are multiple cookies with name, {name!r}")
        if not found:
            raise KeyError(f"name={name!r}, domain={domain!r}, path={path!r}")
        return found[0]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_cookies_lock")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_cookies_lock", threading.RLock())

    def copy(self) -> RequestsCookieJar:
        other = RequestsCookieJar()
        other.set_policy(self.get_policy())
        other.update(self)
        return other

    def get_policy(self) -> CookiePolicy:
        return self._policy


def copy_cookie_jar(jar: CookieJar | None) -> CookieJar | None:
    """Copy a jar of any kind; cookies are copied too, so that the copies do not share state."""
    if jar is None:
        return None
    if isinstance(jar, RequestsCookieJar):
        return jar.copy()
    other = copy.copy(jar)
    other.clear()
    for cookie in jar:
        other.set_cookie(copy.copy(cookie))
    return other


def create_cookie(name: str, value: str, **kwargs: Any) -> Cookie:
    """Make a cookie; without ``domain`` it is sent to every host.

    Raises TypeError for an unknown keyword.
    """
    spec: dict[str, Any] = {
        "version": 0,
        "name": name,
        "value": value,
        "port": None,
        "domain": "",
        "path": "/",
        "secure": False,
        "expires": None,
        "discard": True,
        "comment": None,
        "comment_url": None,
        "rest": {"HttpOnly": None},
        "rfc2109": False,
    }
    unknown = set(kwargs) - set(spec)
    if unknown:
        raise TypeError(f"create_cookie() got unexpected keyword arguments: {sorted(unknown)}")
    spec.update(kwargs)
    spec["port_specified"] = bool(spec["port"])
    spec["domain_specified"] = bool(spec["domain"])
    spec["domain_initial_dot"] = spec["domain"].startswith(".")
    spec["path_specified"] = bool(spec["path"])
    return Cookie(**spec)


def morsel_to_cookie(morsel: Morsel[Any]) -> Cookie:
    """Convert a standard library Morsel to a Cookie.

    Raises TypeError when its ``max-age`` is not an integer.
    """
    expires: int | None = None
    if morsel["max-age"]:
        try:
            expires = int(time.time() + int(morsel["max-age"]))
        except ValueError:
            raise TypeError(f"max-age: {morsel['max-age']} must be integer") from None
    elif morsel["expires"]:
        expires = calendar.timegm(time.strptime(morsel["expires"], "%a, %d-%b-%Y %H:%M:%S GMT"))
    return create_cookie(
        comment=morsel["comment"],
        comment_url=bool(morsel["comment"]),
        discard=False,
        domain=morsel["domain"],
        expires=expires,
        name=morsel.key,
        path=morsel["path"],
        port=None,
        rest={"HttpOnly": morsel["httponly"]},
        rfc2109=False,
        secure=bool(morsel["secure"]),
        value=morsel.value,
        version=morsel["version"] or 0,
    )


def cookiejar_from_dict(
    cookie_dict: Mapping[str, str] | None, cookiejar: Any = None, overwrite: bool = True
) -> Any:
    """Put the items of *cookie_dict* into *cookiejar* (a new RequestsCookieJar by default)."""
    if cookiejar is None:
        cookiejar = RequestsCookieJar()
    if cookie_dict is not None:
        known = {c.name for c in cookiejar}
        for name, value in cookie_dict.items():
            if overwrite or name not in known:
                cookiejar.set_cookie(create_cookie(name, value))
    return cookiejar


def merge_cookies(cookiejar: Any, cookies: Any) -> Any:
    """Add *cookies* (a mapping or a jar) to *cookiejar* and return it; a mapping never overwrites.

    Raises ValueError when *cookiejar* is not a jar.
    """
    if not isinstance(cookiejar, CookieJar):
        raise ValueError("You can only merge into CookieJar")
    if isinstance(cookies, CookieJar):
        if isinstance(cookiejar, RequestsCookieJar):
            cookiejar.update(cookies)
        else:
            for cookie in cookies:
                cookiejar.set_cookie(cookie)
    elif isinstance(cookies, Mapping):
        cookiejar_from_dict(cookies, cookiejar=cookiejar, overwrite=False)
    return cookiejar
