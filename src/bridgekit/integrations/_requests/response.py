"""`Response`: requests' interface and rules; one class for both colours."""

from __future__ import annotations

import datetime
import json as jsonlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from .binding import Binding
from .causes import undecodable
from .cookies import RequestsCookieJar, cookiejar_from_dict, store_cookies
from .decoding import Decoder, DecodingError, decoder_for
from .raw import RawResponse
from .structures import CaseInsensitiveDict
from .text import (
    LineSplitter,
    Rechunker,
    detect_encoding,
    encoding_from_headers,
    guess_json_utf,
    slices,
)
from .urls import parse_header_links
from .wire import Incoming

REDIRECTS = (301, 302, 303, 307, 308)
_AWAIT = (
    "the body of this streamed response is read with `await response.aread()`, "
    "`async for chunk in response.aiter_content(n)` or `response.aiter_lines()`: it comes from the "
    "asynchronous client"
)


class ResponseBase:
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
                raise RuntimeError(_AWAIT)
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

    def _decoder(self) -> Decoder | None:
        encoding = self.headers.get("content-encoding")
        return decoder_for(encoding) if encoding else None

    def _decode(self, decoder: Decoder, data: bytes | None) -> bytes:
        try:
            return decoder.flush() if data is None else decoder.decode(data)
        except DecodingError as error:
            # No name for the cause: with its traceback it would keep this frame alive.
            raise self._binding.errors.ContentDecodingError(
                undecodable(self.headers["content-encoding"], error), request=self.request
            ) from error

    def _start_iteration(self, chunk_size: Any) -> Rechunker:
        if self._content_consumed and isinstance(self._content, bool):
            raise self._binding.errors.StreamConsumedError()
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError(f"chunk_size must be an int, it is instead a {type(chunk_size)}.")
        chunked = "chunked" in (self.headers.get("transfer-encoding") or "").lower()
        return Rechunker(chunk_size, exact=not chunked)

    # -- body, synchronous ---------------------------------------------------------------------

    def _iter_wire(self) -> Iterator[bytes]:
        incoming = self._incoming
        if incoming is None:
            return
        if incoming.asynchronous:
            raise RuntimeError(_AWAIT)
        try:
            for chunk in incoming.stream:
                self.num_bytes_downloaded += len(chunk)
                yield chunk
        finally:
            incoming.close()
        self.is_stream_consumed = self.is_closed = True

    def _iter_decoded(self) -> Iterator[bytes]:
        if self._raw is not None and not isinstance(self._raw, RawResponse):
            read = self._raw.read
            while chunk := read(10240):
                yield chunk
            return
        decoder = self._decoder()
        source = (
            self._iter_wire() if self._raw is None else iter(lambda: self._raw.read(16384), b"")
        )
        for chunk in source:
            yield self._decode(decoder, chunk) if decoder else chunk
        if decoder:
            yield self._decode(decoder, None)

    def iter_content(
        self, chunk_size: int | None = 1, decode_unicode: bool = False
    ) -> Iterator[Any]:
        """Iterate over the body in pieces of *chunk_size* bytes (a chunked body: at most that).

        Raises StreamConsumedError for a second iteration of an unread body, TypeError for a
        chunk size that is no int.
        """
        rechunker = self._start_iteration(chunk_size)
        pieces: Iterator[Any] = (
            slices(self._content or b"", chunk_size)
            if self._content_consumed
            else self._generate(rechunker)
        )
        if not decode_unicode or self.encoding is None:
            return pieces
        return self._decode_unicode(pieces)

    def _generate(self, rechunker: Rechunker) -> Iterator[bytes]:
        for chunk in self._iter_decoded():
            yield from rechunker.feed(chunk)
        yield from rechunker.finish()
        self._content_consumed = True

    def _decode_unicode(self, pieces: Iterator[bytes]) -> Iterator[str]:
        import codecs

        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        for piece in pieces:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def iter_lines(
        self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None
    ) -> Iterator[Any]:
        """Iterate over the lines of the body (bytes, or text with *decode_unicode*)."""
        splitter = LineSplitter(delimiter)
        for chunk in self.iter_content(chunk_size, decode_unicode):
            yield from splitter.feed(chunk)
        yield from splitter.finish()

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """httpx's name for `iter_content`; by default in pieces as they arrive."""
        rechunker = self._start_iteration(chunk_size)
        if self._content_consumed:
            return slices(self._content or b"", chunk_size)
        return self._generate(rechunker if chunk_size else Rechunker(None, exact=False))

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate over the undecoded body."""
        rechunker = Rechunker(chunk_size, exact=chunk_size is not None)
        self._start_iteration(chunk_size)
        for chunk in self._iter_wire():
            yield from rechunker.feed(chunk)
        yield from rechunker.finish()
        self._content_consumed = True

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """Iterate over the body as text."""
        if self.encoding is None:
            self.encoding = "utf-8"
        return self._decode_unicode(self.iter_bytes(chunk_size))

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content(128)

    def close(self) -> None:
        """Give the connection back; an unread body is dropped. A no-op when already closed."""
        self.is_closed = True
        if self._incoming is not None:
            if self._incoming.asynchronous:
                self._incoming.abandon()
            else:
                self._incoming.close()
        elif self._raw is not None and not self._content_consumed:
            self._raw.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- body, asynchronous --------------------------------------------------------------------

    async def aread(self) -> bytes:
        """Read and keep the body. Works on responses of either face."""
        incoming = self._incoming
        if self._content is not False or incoming is None or not incoming.asynchronous:
            return self.content
        if self._content_consumed:
            raise RuntimeError("The content for this response was already consumed")
        try:
            data = await incoming.read()
        finally:
            await incoming.aclose()
        self.num_bytes_downloaded = len(data)
        decoder = self._decoder()
        if decoder and data:
            data = self._decode(decoder, data) + self._decode(decoder, None)
        self._content = data
        self._content_consumed = self.is_stream_consumed = self.is_closed = True
        return data

    async def _aiter_wire(self) -> AsyncIterator[bytes]:
        incoming = self._incoming
        if incoming is None or not incoming.asynchronous:
            for chunk in self._iter_wire():
                yield chunk
            return
        try:
            async for chunk in incoming.astream():
                self.num_bytes_downloaded += len(chunk)
                yield chunk
        finally:
            await incoming.aclose()
        self.is_stream_consumed = self.is_closed = True

    async def _agenerate(self, rechunker: Rechunker) -> AsyncIterator[bytes]:
        decoder = self._decoder()
        async for chunk in self._aiter_wire():
            for piece in rechunker.feed(self._decode(decoder, chunk) if decoder else chunk):
                yield piece
        if decoder:
            for piece in rechunker.feed(self._decode(decoder, None)):
                yield piece
        for piece in rechunker.finish():
            yield piece
        self._content_consumed = True

    def aiter_content(
        self, chunk_size: int | None = 1, decode_unicode: bool = False
    ) -> AsyncIterator[Any]:
        """The asynchronous twin of `iter_content`."""
        rechunker = self._start_iteration(chunk_size)
        pieces: AsyncIterator[Any] = (
            _as_async(slices(self._content or b"", chunk_size))
            if self._content_consumed
            else self._agenerate(rechunker)
        )
        if not decode_unicode or self.encoding is None:
            return pieces
        return self._adecode_unicode(pieces)

    async def _adecode_unicode(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
        import codecs

        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        async for piece in pieces:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    async def aiter_lines(
        self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None
    ) -> AsyncIterator[Any]:
        """The asynchronous twin of `iter_lines`: bytes by default, unlike httpx's own."""
        splitter = LineSplitter(delimiter)
        async for chunk in self.aiter_content(chunk_size, decode_unicode):
            for line in splitter.feed(chunk):
                yield line
        for line in splitter.finish():
            yield line

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """httpx's name for `aiter_content`; by default in pieces as they arrive."""
        rechunker = self._start_iteration(chunk_size)
        if self._content_consumed:
            return _as_async(slices(self._content or b"", chunk_size))
        return self._agenerate(rechunker if chunk_size else Rechunker(None, exact=False))

    async def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over the undecoded body."""
        rechunker = Rechunker(chunk_size, exact=chunk_size is not None)
        self._start_iteration(chunk_size)
        async for chunk in self._aiter_wire():
            for piece in rechunker.feed(chunk):
                yield piece
        for piece in rechunker.finish():
            yield piece
        self._content_consumed = True

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """Iterate over the body as text."""
        if self.encoding is None:
            self.encoding = "utf-8"
        return self._adecode_unicode(self.aiter_bytes(chunk_size))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.aiter_content(128)

    async def aclose(self) -> None:
        """Give the connection back; an unread body is dropped."""
        self.is_closed = True
        if self._incoming is not None and self._incoming.asynchronous:
            await self._incoming.aclose()
        else:
            self.close()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

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


async def _as_async(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
