"""`Request` and `PreparedRequest` with requests' interface."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from http.cookiejar import CookieJar
from typing import Any, ClassVar

from .auth import HTTPBasicAuth
from .binding import Binding
from .bodies import encode_files, encode_form, encode_json, is_stream, super_len
from .cookies import (
    RequestsCookieJar,
    cookiejar_from_dict,
    copy_cookie_jar,
    get_cookie_header,
)
from .structures import CaseInsensitiveDict
from .urls import get_auth_from_url, path_url, prepare_url

Hook = Callable[..., Any]

# A header's first character is no space and no part contains a line break.
_NAME: dict[type[Any], re.Pattern[Any]] = {
    str: re.compile(r"^[^:\s][^:\r\n]*\Z"),
    bytes: re.compile(rb"^[^:\s][^:\r\n]*\Z"),
}
_VALUE: dict[type[Any], re.Pattern[Any]] = {
    str: re.compile(r"^\S[^\r\n]*\Z|^\Z"),
    bytes: re.compile(rb"^\S[^\r\n]*\Z|^\Z"),
}


@lru_cache(maxsize=512)
def _is_sound(name: str, value: str) -> bool:
    return bool(_NAME[str].match(name) and _VALUE[str].match(value))


def default_hooks() -> dict[str, list[Hook]]:
    return {"response": []}


class _Hooks:
    hooks: dict[str, list[Hook]]

    def register_hook(self, event: str, hook: Hook | Iterable[Hook]) -> None:
        """Add one hook or several. Raises ValueError for an unknown event."""
        if event not in self.hooks:
            raise ValueError(f'Unsupported event specified, with event name "{event}"')
        if callable(hook):
            self.hooks[event].append(hook)
        elif hasattr(hook, "__iter__"):
            self.hooks[event].extend(h for h in hook if callable(h))

    def deregister_hook(self, event: str, hook: Hook) -> bool:
        """Remove a hook; tell whether it was there."""
        try:
            self.hooks[event].remove(hook)
        except ValueError:
            return False
        return True


class RequestBase(_Hooks):
    """A request as the user describes it; `prepare` or `Session.prepare_request` encodes it."""

    _binding: ClassVar[Binding]

    def __init__(
        self,
        method: str | None = None,
        url: Any = None,
        headers: Any = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Any = None,
        json: Any = None,
    ) -> None:
        self.hooks = default_hooks()
        for event, hook in (hooks or {}).items():
            self.register_hook(event, hook)
        self.method = method
        self.url = url
        self.headers = {} if headers is None else headers
        self.files = [] if files is None else files
        self.data = [] if data is None else data
        self.json = json
        self.params = {} if params is None else params
        self.auth = auth
        self.cookies = cookies

    def __repr__(self) -> str:
        return f"<Request [{self.method}]>"

    def prepare(self) -> Any:
        """Encode without a session. Returns a PreparedRequest."""
        prepared = self._binding.prepared()
        prepared.prepare(
            method=self.method,
            url=self.url,
            headers=self.headers,
            files=self.files,
            data=self.data,
            json=self.json,
            params=self.params,
            auth=self.auth,
            cookies=self.cookies,
            hooks=self.hooks,
        )
        return prepared


class PreparedRequestBase(_Hooks):
    """The request as it will be sent: `method`, `url`, `headers`, `body`, all changeable.

    Authentication callables get and return an object of this kind.
    """

    _binding: ClassVar[Binding]

    def __init__(self) -> None:
        self.method: str | None = None
        self.url: str | None = None
        self.headers: CaseInsensitiveDict = None  # type: ignore[assignment]  # until prepared
        self._jar: CookieJar | None = None
        self.body: Any = None
        self.hooks = default_hooks()
        self._body_position: Any = None
        self._challenge: Any = None  # an auth object that answers a 401 (digest)

    def prepare(
        self,
        method: str | None = None,
        url: Any = None,
        headers: Any = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Any = None,
        json: Any = None,
    ) -> None:
        """Encode everything. Raises InvalidURL, MissingSchema, InvalidHeader, InvalidJSONError."""
        self.prepare_method(method)
        self.prepare_url(url, params)
        self.prepare_headers(headers)
        self.prepare_cookies(cookies)
        self.prepare_body(data, files, json)
        self.prepare_auth(auth, url)
        self.prepare_hooks(hooks)

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method}]>"

    def copy(self) -> Any:
        other = type(self)()
        other.method = self.method
        other.url = self.url
        other.headers = self.headers.copy() if self.headers is not None else self.headers
        other._jar = copy_cookie_jar(self._jar)
        other.body = self.body
        other.hooks = self.hooks
        other._body_position = self._body_position
        other._challenge = self._challenge
        return other

    @property
    def _cookies(self) -> CookieJar:
        """The cookies this request was prepared with; made when first asked for."""
        if self._jar is None:
            self._jar = RequestsCookieJar()
        return self._jar

    @_cookies.setter
    def _cookies(self, jar: CookieJar | None) -> None:
        self._jar = jar

    @property
    def path_url(self) -> str:
        """Path and query of the URL."""
        return path_url(self.url or "")

    @property
    def content(self) -> bytes:
        """The body as bytes (httpx's name). Raises TypeError when the body is a stream."""
        if self.body is None:
            return b""
        if isinstance(self.body, str):
            return self.body.encode("utf-8")
        if isinstance(self.body, (bytes, bytearray)):
            return bytes(self.body)
        raise TypeError("the body of this request is a stream")

    def prepare_method(self, method: str | bytes | None) -> None:
        if isinstance(method, bytes):
            method = method.decode("ascii")
        self.method = method if method is None else method.upper()

    def prepare_url(self, url: Any, params: Any) -> None:
        self.url = prepare_url(url, params, self._binding.errors)

    def prepare_headers(self, headers: Any) -> None:
        self.headers = checked = CaseInsensitiveDict()
        if type(headers) is CaseInsensitiveDict and headers.copy_into(checked, _is_sound):
            return
        for name, value in (headers or {}).items():
            if type(name) is str and type(value) is str and _is_sound(name, value):
                checked[name] = value
                continue
            self._check_header(name, value)
            checked[name.decode("ascii") if isinstance(name, bytes) else name] = value

    def _check_header(self, name: Any, value: Any) -> None:
        for part, rules, kind in ((name, _NAME, "name"), (value, _VALUE, "value")):
            if not isinstance(part, (str, bytes)):
                raise self._binding.errors.InvalidHeader(
                    f"Header part ({part!r}) from {(name, value)} must be of type str or bytes, "
                    f"not {type(part)}"
                )
            rule: Any = rules[str if isinstance(part, str) else bytes]
            if not rule.match(part):
                raise self._binding.errors.InvalidHeader(
                    "Invalid leading whitespace, reserved character(s), or return character(s) in "
                    f"header {kind}: {part!r}"
                )

    def prepare_cookies(self, cookies: Any) -> None:
        """Set the ``Cookie`` header from *cookies*, unless it is there already."""
        if cookies is None:
            self._jar = None
            return
        jar = cookies if isinstance(cookies, CookieJar) else cookiejar_from_dict(cookies)
        self._cookies = jar
        header = get_cookie_header(jar, self)
        if header is not None:
            self.headers["Cookie"] = header

    def prepare_body(self, data: Any, files: Any, json: Any = None) -> None:
        errors = self._binding.errors
        body: Any = None
        content_type: str | None = None
        if not data and json is not None:
            content_type = "application/json"
            body = encode_json(json, errors, self)
        if data is not None and is_stream(data):
            try:
                length = super_len(data, errors)
            except (TypeError, AttributeError):
                length = 0
            body = data
            if getattr(body, "tell", None) is not None:
                try:
                    self._body_position = body.tell()
                except OSError:
                    self._body_position = object()  # known to be not rewindable
            if files:
                raise NotImplementedError("Streamed bodies and files are mutually exclusive.")
            if length:
                self.headers["Content-Length"] = str(length)
            else:
                self.headers["Transfer-Encoding"] = "chunked"
        else:
            if files:
                body, content_type = encode_files(files, data)
            elif data:
                body, content_type = encode_form(data)
            self.prepare_content_length(body)
            if content_type and "content-type" not in self.headers:
                self.headers["Content-Type"] = content_type
        self.body = body

    def prepare_content_length(self, body: Any) -> None:
        if body is not None:
            length = len(body) if type(body) is bytes else super_len(body, self._binding.errors)
            if length:
                self.headers["Content-Length"] = str(length)
        elif self.method not in ("GET", "HEAD") and self.headers.get("Content-Length") is None:
            self.headers["Content-Length"] = "0"

    def prepare_auth(self, auth: Any, url: Any = "") -> None:
        """Apply *auth*: a pair, or a callable that takes and returns a PreparedRequest."""
        if auth is None:
            from_url = get_auth_from_url(self.url or "")
            auth = from_url if any(from_url) else None
        if auth:
            handler: Any = (
                HTTPBasicAuth(*auth) if isinstance(auth, tuple) and len(auth) == 2 else auth
            )
            result = handler(self)
            self.__dict__.update(result.__dict__)
            self.prepare_content_length(self.body)

    def prepare_hooks(self, hooks: Any) -> None:
        for event, hook in (hooks or {}).items():
            self.register_hook(event, hook)
