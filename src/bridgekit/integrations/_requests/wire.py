"""One exchange on the wire, in either colour: what goes out and what comes in."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from .bodies import BLOCK, body_chunks
from .urls import Location


@dataclass(slots=True)
class Outgoing:
    """A prepared request with everything a pool needs; *body* is bytes, a stream or None."""

    method: str
    location: Location
    lines: list[tuple[str, str]]
    body: Any
    connect: float | None
    read: float | None
    request: Any

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header lines as they go over the wire: latin-1. Raises UnicodeEncodeError."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.lines]

    @property
    def url(self) -> str:
        where = self.location
        return f"{where.scheme}://{where.host_header}{where.target}"


class Incoming:
    """A response whose body is still on the wire.

    Either *chunks* with *close* (synchronous) or *achunks* with *aclose* and *abandon*. All closing
    is idempotent. `read` takes the whole body at once where the pool has a cheap way to do so.
    """

    __slots__ = (
        "_abandon",
        "_aclose",
        "_aread",
        "_close",
        "_done",
        "astream",
        "headers",
        "http_version",
        "reason",
        "status",
        "stream",
    )

    def __init__(
        self,
        status: int,
        reason: str,
        headers: list[tuple[bytes, bytes]],
        http_version: str,
        *,
        stream: Iterator[bytes] | None = None,
        close: Callable[[], None] | None = None,
        astream: Callable[[], AsyncIterator[bytes]] | None = None,
        aread: Callable[[], Any] | None = None,
        aclose: Callable[[], Any] | None = None,
        abandon: Callable[[], None] | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.http_version = http_version
        self.stream: Any = stream
        self.astream: Any = astream
        self._close = close
        self._aread = aread
        self._aclose = aclose
        self._abandon = abandon
        self._done = False

    @property
    def asynchronous(self) -> bool:
        return self.astream is not None

    async def read(self) -> bytes:
        if self._aread is not None:
            return await self._aread()  # type: ignore[no-any-return]
        return b"".join([chunk async for chunk in self.astream()])

    def close(self) -> None:
        if not self._done:
            self._done = True
            if self._close is not None:
                self._close()

    async def aclose(self) -> None:
        if not self._done:
            self._done = True
            if self._aclose is not None:
                await self._aclose()

    def abandon(self) -> None:
        """Drop the connection of an asynchronous response without awaiting."""
        if not self._done:
            self._done = True
            if self._abandon is not None:
                self._abandon()

    def __del__(self) -> None:
        # A response that nobody read nor closed: requests closes it silently too.
        if not getattr(self, "_done", True):
            if self.asynchronous:
                self.abandon()
            else:
                self.close()


def wire_headers(request: Any, location: Location) -> list[tuple[str, str]]:
    """Return the header lines of *request*, ``Host`` first. Bytes are decoded as latin-1."""
    headers = request.headers
    lines = [
        pair if type(pair[1]) is str else (pair[0], _decoded(pair[1])) for pair in headers.items()
    ]
    if "accept-encoding" not in headers:
        lines.insert(0, ("Accept-Encoding", "identity"))  # as http.client does
    if "host" not in headers:
        lines.insert(0, ("Host", location.host_header))
    return lines


def _decoded(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def check_body(body: Any) -> None:
    """Raise TypeError, as http.client does, for a body that cannot be sent."""
    if body is None or isinstance(body, (str, bytes)) or hasattr(body, "read"):
        return
    if not (hasattr(body, "__iter__") or hasattr(body, "__aiter__")):
        memoryview(body)


async def async_body_chunks(body: Any) -> AsyncIterator[bytes]:
    """Iterate over a stream body without blocking the loop: files and iterators in a thread."""
    if hasattr(body, "__aiter__"):
        async for chunk in body:
            if chunk:
                yield chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)
        return
    if isinstance(body, (bytes, bytearray)):
        for start in range(0, len(body), BLOCK * 16):
            yield bytes(body[start : start + BLOCK * 16])
        return
    chunks = body_chunks(body)
    if isinstance(body, (io.BytesIO, io.StringIO)):
        for piece in chunks:
            yield piece
        return
    while (item := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
        yield item
