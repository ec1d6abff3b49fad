"""`Response.raw`: the undecoded body as a file, for the synchronous face."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from .decoding import decoder_for


class RawResponse(io.RawIOBase):
    """Reads the body of a streamed response as it is on the wire (urllib3's `HTTPResponse`, small).

    `read`, `readinto`, `stream`, iteration by lines and the file protocol work, so that
    `shutil.copyfileobj`, `io.BufferedReader`, `gzip.GzipFile` do. Not thread-safe.
    """

    decode_content = False

    def __init__(self, response: Any, chunks: Iterator[bytes], set_cookie: list[str]) -> None:
        super().__init__()
        self.status: int = response.status_code
        self.reason: str | None = response.reason
        self.headers = response.headers
        self._response = response
        self._chunks = chunks
        self._buffer = b""
        self._decoding: Iterator[bytes] | None = None
        self._set_cookie = set_cookie

    def readable(self) -> bool:
        return True

    def _decoder(self, decode_content: bool | None) -> Any:
        wanted = self.decode_content if decode_content is None else decode_content
        encoding = self.headers.get("content-encoding")
        return decoder_for(encoding) if wanted and encoding else None

    def _pieces(self, decode_content: bool | None) -> Iterator[bytes]:
        decoder = self._decoder(decode_content)
        for chunk in self._chunks:
            piece = decoder.decode(chunk) if decoder else chunk
            if piece:
                yield piece
        if decoder and (rest := decoder.flush()):
            yield rest

    def read(self, amt: int | None = -1, decode_content: bool | None = None) -> bytes:
        """Read *amt* bytes, or everything; ``b""`` at the end and after the body was consumed."""
        if self.closed:
            return b""
        everything = amt is None or amt < 0
        if self._decoding is None:  # whether to decode is settled by the first read
            self._decoding = self._pieces(decode_content)
        pieces = self._decoding
        parts, size = [self._buffer], len(self._buffer)
        while everything or size < (amt or 0):
            piece = next(pieces, None)
            if piece is None:
                break
            parts.append(piece)
            size += len(piece)
        data = b"".join(parts)
        if everything:
            self._buffer = b""
            return data
        self._buffer = data[amt:]
        return data[:amt]

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self.read()

    def stream(
        self, amt: int | None = 2**16, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        """Iterate over the body in pieces of *amt* bytes."""
        while data := self.read(amt, decode_content):
            yield data

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._response.close()

    def release_conn(self) -> None:
        """Give the connection back; the rest of the body is dropped."""
        self._response.close()
