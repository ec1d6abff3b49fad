"""How the body of a response is read, in one go or in pieces, in either colour."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from .binding import Binding
from .causes import undecodable
from .decoding import Decoder, DecodingError, decoder_for
from .raw import RawResponse
from .text import LineSplitter, Rechunker, slices
from .wire import Incoming

AWAIT = (
    "the body of this streamed response is read with `await response.aread()`, "
    "`async for chunk in response.aiter_content(n)` or `response.aiter_lines()`: it comes from the "
    "asynchronous client"
)


class SyncReading:
    """The body of a response, read by the thread that it belongs to."""

    _binding: ClassVar[Binding]
    headers: Any
    encoding: Any
    request: Any
    num_bytes_downloaded: int
    is_closed: bool
    is_stream_consumed: bool
    _content: Any
    _content_consumed: bool
    _incoming: Incoming | None
    _raw: Any

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

    def _iter_wire(self) -> Iterator[bytes]:
        incoming = self._incoming
        if incoming is None:
            return
        if incoming.asynchronous:
            raise RuntimeError(AWAIT)
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


class AsyncReading(SyncReading):
    """The same, and read by the task that it belongs to."""

    @property
    def content(self) -> bytes:
        raise NotImplementedError

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


async def _as_async(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
