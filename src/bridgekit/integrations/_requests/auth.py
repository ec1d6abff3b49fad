"""Authentication: basic, proxy, digest and the base of the user's own."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit
from urllib.request import parse_http_list


def basic_auth_str(username: Any, password: Any) -> str:
    """Return the value of a basic ``Authorization`` header; strings are encoded as latin-1."""
    if not isinstance(username, (str, bytes)):
        username = str(username)
    if not isinstance(password, (str, bytes)):
        password = str(password)
    user = username.encode("latin-1") if isinstance(username, str) else username
    secret = password.encode("latin-1") if isinstance(password, str) else password
    return "Basic " + b64encode(user + b":" + secret).decode("ascii")


class AuthBase:
    """Base of authentication schemes: a callable from PreparedRequest to PreparedRequest."""

    def __call__(self, r: Any) -> Any:
        raise NotImplementedError("Auth hooks must be callable.")


class HTTPBasicAuth(AuthBase):
    """Attach basic credentials."""

    def __init__(self, username: Any, password: Any) -> None:
        self.username = username
        self.password = password

    def __eq__(self, other: object) -> bool:
        return bool(
            self.username == getattr(other, "username", None)
            and self.password == getattr(other, "password", None)
        )

    __hash__ = None  # type: ignore[assignment]  # as in requests

    def __call__(self, r: Any) -> Any:
        r.headers["Authorization"] = basic_auth_str(self.username, self.password)
        return r


class HTTPProxyAuth(HTTPBasicAuth):
    """Attach basic credentials for a proxy."""

    def __call__(self, r: Any) -> Any:
        r.headers["Proxy-Authorization"] = basic_auth_str(self.username, self.password)
        return r


_HASHES = {
    "MD5": "md5",
    "MD5-SESS": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA-512": "sha512",
}


def _parse_challenge(value: str) -> dict[str, str]:
    result: dict[str, str] = {}
    for item in parse_http_list(re.sub("digest ", "", value, count=1, flags=re.IGNORECASE)):
        name, _, content = item.partition("=")
        if content[:1] == content[-1:] == '"':
            content = content[1:-1].replace("\\\\", "\\").replace('\\"', '"')
        result[name] = content
    return result


class HTTPDigestAuth(AuthBase):
    """Digest authentication, in both colours.

    The last challenge is remembered, so that later requests need no extra round trip. State is
    guarded by a lock: one object may serve several threads and tasks.
    """

    def __init__(self, username: Any, password: Any) -> None:
        self.username = username
        self.password = password
        self._lock = threading.Lock()
        self._challenge: dict[str, str] = {}
        self._last_nonce = ""
        self._nonce_count = 0

    def __eq__(self, other: object) -> bool:
        return bool(
            self.username == getattr(other, "username", None)
            and self.password == getattr(other, "password", None)
        )

    __hash__ = None  # type: ignore[assignment]  # as in requests

    def build_digest_header(self, method: str, url: str) -> str | None:
        """Answer the remembered challenge; None when its algorithm or qop is not supported."""
        with self._lock:
            challenge = self._challenge
            algorithm = challenge.get("algorithm")
            name = (algorithm or "MD5").upper()
            qop = challenge.get("qop")
            if name not in _HASHES or (qop and "auth" not in qop.split(",")):
                return None

            def digest(text: str) -> str:
                return hashlib.new(_HASHES[name], text.encode(), usedforsecurity=False).hexdigest()

            realm, nonce = challenge["realm"], challenge["nonce"]
            parts = urlsplit(url)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            self._nonce_count = self._nonce_count + 1 if nonce == self._last_nonce else 1
            count = f"{self._nonce_count:08x}"
            seed = f"{self._nonce_count}{nonce}{time.ctime()}".encode() + os.urandom(8)
            cnonce = hashlib.sha1(seed, usedforsecurity=False).hexdigest()[:16]
            first = digest(f"{self.username}:{realm}:{self.password}")
            if name == "MD5-SESS":
                first = digest(f"{first}:{nonce}:{cnonce}")
            second = digest(f"{method}:{path}")
            middle = f"{nonce}:{count}:{cnonce}:auth" if qop else nonce
            answer = digest(f"{first}:{middle}:{second}")
            self._last_nonce = nonce
            header = (
                f'username="{self.username}", realm="{realm}", nonce="{nonce}", uri="{path}", '
                f'response="{answer}"'
            )
            if challenge.get("opaque"):
                header += f', opaque="{challenge["opaque"]}"'
            if algorithm:
                header += f', algorithm="{algorithm}"'
            if qop:
                header += f', qop="auth", nc={count}, cnonce="{cnonce}"'
            return f"Digest {header}"

    def __call__(self, r: Any) -> Any:
        if self._last_nonce:
            header = self.build_digest_header(r.method, r.url)
            if header:
                r.headers["Authorization"] = header
        r._challenge = self
        return r

    def answer(self, response: Any) -> str | None:
        """Return the header for a second attempt after *response*, or None for no attempt."""
        value = response.headers.get("www-authenticate", "")
        if not 400 <= response.status_code < 500 or "digest" not in value.lower():
            return None
        with self._lock:
            self._challenge = _parse_challenge(value)
        return self.build_digest_header(response.request.method, response.request.url)

    def __getstate__(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}

    def __setstate__(self, state: dict[str, Any]) -> None:
        HTTPDigestAuth.__init__(self, **state)
