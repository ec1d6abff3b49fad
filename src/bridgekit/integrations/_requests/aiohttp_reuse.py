"""Requests over idle connections of aiohttp's connector, without its session.

A session of aiohttp builds a request, a writer, a response and their timers anew for each request;
where a connection is open already and the body is at hand, none of them is needed. Connecting, TLS,
the pool, the parser and the read timeout stay aiohttp's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .urls import DEFAULT_PORTS, Location
from .wire import Outgoing

#: Written in one piece; a larger body waits for the socket, which is the session's work.
_LARGE = 1 << 16
_METHODS = frozenset(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
_WITH_LENGTH = frozenset(["POST", "PUT", "PATCH"])
_UNFIT = frozenset("\r\n\0")
_OTHERWISE = frozenset(["transfer-encoding", "connection", "upgrade", "te", "trailer"])


class Reply:
    """The head of a response, and its body as aiohttp's stream."""

    __slots__ = ("connection", "message", "payload")

    def __init__(self, connection: Any, message: Any, payload: Any) -> None:
        self.connection = connection
        self.message = message
        self.payload = payload

    async def read(self) -> bytes:
        payload = self.payload
        if payload.is_eof() and payload.exception() is None:
            return payload.read_nowait(-1)  # type: ignore[no-any-return]
        return await payload.read()  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        if self.payload.at_eof():
            self.connection.release()
        else:
            self.connection.close()


def endpoint(location: Location) -> tuple[str, int | None, bool]:
    """What tells connections apart within a pool: the fields of aiohttp's key that vary there."""
    return (location.host, location.port or DEFAULT_PORTS[location.scheme],
            location.scheme == "https")  # fmt: skip


def message_bytes(outgoing: Outgoing) -> bytes | None:
    """The request as it goes over the wire; None where the session must send it."""
    body = outgoing.body
    if outgoing.method not in _METHODS:
        return None
    if body is not None and (type(body) is not bytes or len(body) > _LARGE):
        return None
    if (
        body is None
        and outgoing.method in _WITH_LENGTH
        and not any(name.lower() == "content-length" for name, _ in outgoing.lines)
    ):
        return None  # aiohttp adds one
    pieces = [_plain(f"{outgoing.method} {outgoing.location.target} HTTP/1.1")]
    pieces += map(_line, outgoing.lines)
    if None in pieces:
        return None
    pieces.append(b"\r\n" if body is None else b"\r\n" + body)
    return b"".join(pieces)  # type: ignore[arg-type]  # there is no None


def _plain(text: str) -> bytes | None:
    """A line of a head; None for what aiohttp refuses, so that it says what is wrong."""
    if not text.isascii() or not _UNFIT.isdisjoint(text):
        return None
    return text.encode("ascii") + b"\r\n"


@lru_cache(maxsize=512)
def _line(line: tuple[str, str]) -> bytes | None:
    name, value = line
    lowered = name.lower()
    if lowered in _OTHERWISE and not (lowered == "connection" and value == "keep-alive"):
        return None
    return _plain(f"{name}: {value}")


async def send(
    connection: Any, data: bytes, method: str, read: float | None, line_limit: int
) -> Reply:
    """Send ``data`` and await the head of the response; the connection is closed on any failure.

    Raises aiohttp's exceptions.
    """
    try:
        protocol = connection.protocol
        protocol.set_response_params(
            skip_payload=method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=read,
            max_line_size=line_limit,
            max_field_size=line_limit,
        )
        protocol.transport.write(data)
        protocol.start_timeout()
        while True:
            message, payload = await protocol.read()
            if message.code == 101 or not 100 <= message.code < 200:
                return Reply(connection, message, payload)
    except BaseException:
        connection.close()
        raise
