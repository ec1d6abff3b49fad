"""`Response`: requests' interface and rules; one class for both colours."""

from __future__ import annotations

import datetime
import json as jsonlib
from collections.abc import Iterator
from typing import Any, ClassVar

from .binding import Binding
from .cookies import RequestsCookieJar, cookiejar_from_dict, store_cookies
from .raw import RawResponse
from .reading import AWAIT, AsyncReading
from .structures import CaseInsensitiveDict
from .text import (
    detect_encoding,
    encoding_from_headers,
    guess_json_utf,
)
from .urls import parse_header_links
from .wire import Incoming

REDIRECTS = (301, 302, 303, 307, 308)


class ResponseBase(AsyncReading):
    """A response by requests' rules; bound classes are also the HTTP library's `Response`.

    Invariants: `content` is read at most once from the wire and kept; after the body was streamed
    away `content` raises RuntimeError and iteration raises StreamConsumedError. A response belongs
    to the thread or task that reads it.

    Can be made without arguments and filled by attribute (`status_code`, `_content`, `raw`, ...),
    as tests of programs using requests do.
    """

    _binding: ClassVar[Binding]
    __attrs__: ClassVar[list[str]] = [
        "_content",
        "status_code",
        "headers",
        "url",
        "history",
        "encoding",
        "reason",
        "cookies",
        "elapsed",
        "request",
    ]

    # Class-level defaults also hide the HTTP library's properties of the same names.
    status_code: int
    headers: Any = None
    url: Any = None
    reason: Any = None
    encoding: Any = None
    elapsed: Any = datetime.timedelta(0)
    request: Any = None
    connection: Any = None
    next_request: Any = None
    extensions: Any = None
    num_bytes_downloaded: int = 0

    def __init__(self, status_code: int | None = None) -> None:
        self.status_code = status_code  # type: ignore[assignment]  # None until set, as in requests
        self.headers = CaseInsensitiveDict()
        self.history: list[Any] = []
        self.extensions = {}
        self._content: Any = False
        self._content_consumed = False
        self._next: Any = None
        self._incoming: Incoming | None = None
        self._raw: Any = None
        self._cookies: Any = None
        self._set_cookie: list[str] = []
        self.is_closed = False
        self.is_stream_consumed = False

    @classmethod
    def _from_wire(cls, incoming: Incoming, request: Any, connection: Any) -> Any:
        self = cls(incoming.status)
        self.headers = CaseInsensitiveDict.from_wire(incoming.headers)
        if "set-cookie" in self.headers:
            self._set_cookie = [
                value.decode("latin-1")
                for name, value in incoming.headers
                if name.lower() == b"set-cookie"
            ]
        self.reason = incoming.reason
        self.encoding = encoding_from_headers(self.headers)
        self.url = request.url
        self.request = request
        self.connection = connection
        self.extensions["http_version"] = incoming.http_version.encode()
        self.extensions["reason_phrase"] = incoming.reason.encode("latin-1", "replace")
        self._incoming = incoming
        return self

    # -- plain facts ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    def __bool__(self) -> bool:
        return self.ok

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        try:
            self.raise_for_status()
        except self._binding.errors.HTTPError:
            return False
        return True

    @property
    def is_redirect(self) -> bool:
        """Whether a session would follow this response."""
        return "location" in self.headers and self.status_code in REDIRECTS

    @property
    def is_permanent_redirect(self) -> bool:
        return "location" in self.headers and self.status_code in (301, 308)

    @property
    def next(self) -> Any:
        """The PreparedRequest of the redirect that was not followed, if there is one."""
        return self._next

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The ``Link`` header by relation (or by URL)."""
        links = parse_header_links(self.headers.get("link") or "")
        return {link.get("rel") or link["url"]: link for link in links}

    @property
    def cookies(self) -> Any:
        """The cookies this response set."""
        if self._cookies is None:
            self._cookies = RequestsCookieJar()
            if self._set_cookie and self.request is not None:
                store_cookies(self._cookies, self.request, self._set_cookie)
        return self._cookies

    @cookies.setter
    def cookies(self, value: Any) -> None:
        self._cookies = cookiejar_from_dict(value) if isinstance(value, dict) else value

    @property
    def reason_phrase(self) -> str:
        return self.reason or ""

    def raise_for_status(self) -> None:  # type: ignore[override,unused-ignore]
        """Raise HTTPError for a 4xx or 5xx status; return None otherwise."""
        if self.status_code < 400:
            return
        reason = self.reason
        if isinstance(reason, bytes):
            try:
                reason = reason.decode("utf-8")
            except UnicodeDecodeError:
                reason = reason.decode("iso-8859-1")
        kind = {4: "Client", 5: "Server"}.get(self.status_code // 100)
        if kind:
            raise self._binding.errors.HTTPError(
                f"{self.status_code} {kind} Error: {reason} for url: {self.url}", response=self
            )

    # -- body, both colours --------------------------------------------------------------------

    @property
    def raw(self) -> Any:
        """The undecoded body as a file object (synchronous face), or what was assigned.

        Raises RuntimeError for a streamed response of the asynchronous client.
        """
        if self._raw is None and self._incoming is not None:
            if self._incoming.asynchronous and self._content is False:
                raise RuntimeError(AWAIT)
            chunks: Iterator[bytes] = iter(()) if self._incoming.asynchronous else self._iter_wire()
            self._raw = RawResponse(self, chunks, self._set_cookie)
        return self._raw

    @raw.setter
    def raw(self, value: Any) -> None:
        self._raw = value

    @property
    def content(self) -> bytes:
        """The decoded body, read on first use.

        Raises RuntimeError when it was streamed away, or when it must be awaited; reading raises
        ChunkedEncodingError, ContentDecodingError, ConnectionError.
        """
        if self._content is False:
            if self._content_consumed:
                raise RuntimeError("The content for this response was already consumed")
            if self.status_code == 0 or (self._incoming is None and self._raw is None):
                self._content = None
            else:
                self._content = b"".join(self._iter_decoded())
        self._content_consumed = True
        return self._content  # type: ignore[no-any-return]

    def read(self) -> bytes:
        return self.content

    @property
    def text(self) -> str:
        """The body as text: by `encoding`, or by detection when that is None."""
        content = self.content
        if not content:
            return ""
        encoding = self.encoding if self.encoding is not None else self.apparent_encoding
        try:
            return str(content, encoding or "utf-8", errors="replace")
        except (LookupError, TypeError):
            return str(content, errors="replace")

    @property
    def apparent_encoding(self) -> str | None:
        return detect_encoding(self.content)

    def json(self, **kwargs: Any) -> Any:
        """Parse the body. Raises JSONDecodeError, a RequestException and a ValueError."""
        errors = self._binding.errors
        content = self.content
        try:
            if not self.encoding and content and len(content) > 3:
                utf = guess_json_utf(content)
                if utf is not None:
                    try:
                        return jsonlib.loads(content.decode(utf), **kwargs)
                    except UnicodeDecodeError:
                        return jsonlib.loads(self.text, **kwargs)
            return jsonlib.loads(self.text, **kwargs)
        except jsonlib.JSONDecodeError as error:
            raise errors.JSONDecodeError(error.msg, error.doc, error.pos) from None

    # -- pickling ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        if not self._content_consumed:
            _ = self.content
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ResponseBase.__init__(self)
        for name, value in state.items():
            setattr(self, name, value)
        self._content_consumed = True
