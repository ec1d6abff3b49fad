"""What a session is set to, and how a request's own settings go over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cookies import RequestsCookieJar, cookiejar_from_dict
from .decoding import ACCEPT_ENCODING
from .models import default_hooks
from .structures import CaseInsensitiveDict

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


class Setting:
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
