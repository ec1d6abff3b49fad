"""What went wrong on the wire, in the words and under the names of urllib3.

requests puts urllib3's exception into its own (`error.args[0]`, with `reason`), and programs read
both the message and these parts. The classes here have urllib3's names, messages and `repr`; they
are not urllib3's, so nothing can catch them by those.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
from typing import Any

from .wire import Outgoing

# Only the texts of h11 and aiohttp say how much of a body was missing.
_LENGTHS = re.compile(r"received (\d+) (?:bytes, expected|of) (\d+)")


class Cause(Exception):
    """Base of what a retry budget is spent on.

    Attributes:
        kind: the budget: ``connect``, ``read``, ``status`` or ``other``.
    """

    kind = "other"


class NewConnectionError(Cause):
    """The server cannot be reached."""

    kind = "connect"


class NameResolutionError(NewConnectionError):
    """The name of the server cannot be resolved."""


class ConnectTimeoutError(Cause):
    """The server did not take the connection in time."""

    kind = "connect"


class ReadTimeoutError(Cause):
    """The server did not send in time."""

    kind = "read"


class ProtocolError(Cause):
    """The connection broke, or what came over it is not HTTP."""

    kind = "read"


class SSLError(Cause):
    """TLS could not be negotiated."""


class ResponseError(Cause):
    """Too many responses were a reason to try again."""

    kind = "status"


class DecodeError(Cause):
    """The body is not what its Content-Encoding says."""


class MaxRetryError(Exception):
    """No attempt is left.

    Attributes:
        pool: the pool of connections, as text.
        url: path and query of the request.
        reason: the cause of the last failure.
    """

    def __init__(self, pool: Any, url: str | None, reason: BaseException | None) -> None:
        self.pool = pool
        self.url = url
        self.reason = reason
        super().__init__(f"{pool}: Max retries exceeded with url: {url} (Caused by {reason!r})")

    def __reduce__(self) -> Any:
        return type(self), (self.pool, self.url, self.reason)


class _Incomplete(http.client.IncompleteRead):
    """A body that ended early; only its length is known here."""

    def __init__(self, received: int, expected: int) -> None:
        super().__init__(b"", expected)
        self.received = received

    def __repr__(self) -> str:
        return f"IncompleteRead({self.received} bytes read, {self.expected} more expected)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        return type(self), (self.received, self.expected)


def pool_name(outgoing: Outgoing) -> str:
    """The pool of connections as urllib3 prints it."""
    where = outgoing.location
    secure = "S" if where.scheme == "https" else ""
    return f"HTTP{secure}ConnectionPool(host={where.host!r}, port={_port(outgoing)})"


def cause_of(error: Any, outgoing: Outgoing) -> Exception:
    """The cause behind an exception of requests' tree that a pool raised.

    What has no counterpart in urllib3 stays the exception of the HTTP library.
    """
    original = error.args[0] if error.args else error
    kind = getattr(error, "_kind", "other")
    found: Exception | None = _known(type(error).__name__, kind, original, outgoing)
    if found is not None:
        return found
    own: Exception = original if isinstance(original, Exception) else error
    return own


def body_cause(error: BaseException, outgoing: Outgoing, *, timed_out: bool) -> BaseException:
    """The cause behind a failure while the body was read; the library's own where none is known."""
    if timed_out:
        return ReadTimeoutError(f"{pool_name(outgoing)}: Read timed out.")
    lengths = _LENGTHS.search(str(error))
    if lengths is None:
        return error
    received, declared = map(int, lengths.groups())
    incomplete = _Incomplete(received, declared - received)
    return ProtocolError(f"Connection broken: {incomplete!r}", incomplete)


def undecodable(encoding: str, error: BaseException) -> DecodeError:
    """The cause of a body that is not in its Content-Encoding."""
    return DecodeError(
        f"Received response with content-encoding: {encoding}, but failed to decode it.",
        error.__cause__ or error,
    )


def _port(outgoing: Outgoing) -> int:
    where = outgoing.location
    return where.port or (443 if where.scheme == "https" else 80)


def _known(name: str, kind: str, original: Any, outgoing: Outgoing) -> Exception | None:
    where = outgoing.location
    secure = "S" if where.scheme == "https" else ""
    connection = f"HTTP{secure}Connection(host={where.host!r}, port={_port(outgoing)})"
    system = _system_error(original)
    if name == "ConnectTimeout":
        return ConnectTimeoutError(
            f"{connection}: Connection to {where.host} timed out. "
            f"(connect timeout={outgoing.connect})"
        )
    if name == "ReadTimeout":
        return ReadTimeoutError(
            f"{pool_name(outgoing)}: Read timed out. (read timeout={outgoing.read})"
        )
    if name == "SSLError":
        return SSLError(system) if system is not None else None
    if name != "ConnectionError":
        return None
    if kind == "connect" and isinstance(system, socket.gaierror):
        return NameResolutionError(
            f"{connection}: Failed to resolve {where.host!r} "
            f"([Errno {system.errno}] {system.strerror})"
        )
    if kind == "connect" and system is not None and system.errno:
        return NewConnectionError(
            f"{connection}: Failed to establish a new connection: "
            f"[Errno {system.errno}] {os.strerror(system.errno)}"
        )
    if kind == "read":
        return _broken(original, system)
    return None


def _broken(original: Any, system: OSError | None) -> ProtocolError | None:
    """A connection that the server closed or reset before it answered."""
    if isinstance(system, ConnectionResetError | BrokenPipeError):
        number = system.errno or 0
        return ProtocolError("Connection aborted.", type(system)(number, os.strerror(number)))
    if type(original).__name__ in ("RemoteProtocolError", "ServerDisconnectedError") and (
        "disconnected" in str(original)
    ):
        gone = http.client.RemoteDisconnected("Remote end closed connection without response")
        return ProtocolError("Connection aborted.", gone)
    return None


def _system_error(error: BaseException | None) -> OSError | None:
    """The operating system's error at the bottom of a chain of causes."""
    found: OSError | None = None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
        plain = type(error).__module__ in ("builtins", "socket", "ssl")
        if isinstance(error, OSError) and plain:
            found = error
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return found
