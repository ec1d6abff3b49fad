"""The fast pool of the asynchronous face: aiohttp's connector and parser.

The HTTP libraries' own asynchronous pools slow down quadratically with the requests in flight;
aiohttp's does not. Limits, stated: connections in use unlimited, idle ones kept until the server
closes them, no timeout but those given (connect, read between two bytes), header lines up to
64 KiB like `http.client`.
"""

# Nothing here is used unless AVAILABLE says that the imports have succeeded.
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from . import aiohttp_reuse
from .binding import Binding
from .causes import body_cause
from .loops import forget_with_loop
from .pools import Pool, PoolOptions, tag
from .wire import Incoming, Outgoing, async_body_chunks

try:
    import aiohttp
    from yarl import URL
except ImportError:  # the libraries' own transports are the fallback
    AVAILABLE = False
else:
    AVAILABLE = True

_LINE = 65536
_QUAD = re.compile(r"\d+\.\d+\.\d+\.\d+")
_NUMERIC = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)(\.(0[xX][0-9a-fA-F]+|\d+))*")
_LARGE = 1 << 18
_ENDPOINTS = 256
_MONTH = 30 * 24 * 3600.0  # in place of no limit, which aiohttp before 3.14 cannot count with
_POLL = "_bridgekit_poll"
_tasks: set[asyncio.Task[None]] = set()
_BODILESS = frozenset(["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH"])


@lru_cache(maxsize=256)
def _timeout(connect: float | None, read: float | None) -> Any:
    return aiohttp.ClientTimeout(total=None, connect=None, sock_connect=connect, sock_read=read)


@lru_cache(maxsize=1024)
def _url(text: str) -> Any:
    return URL(text, encoded=True)


@lru_cache(maxsize=1)
def _connector_class() -> type[Any]:
    """aiohttp's connector, looking whether an idle connection is still alive before using it.

    urllib3 does the same. aiohttp by itself notices a closed connection only when the loop has got
    round to it and repeats the request instead, which would hide failures from the retry rules.
    """

    class Connector(aiohttp.TCPConnector):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            #: The keys of the idle connections, by what varies within a pool.
            self.endpoints: dict[tuple[str, int | None, bool], Any] = {}

        def _release(self, key: Any, *args: Any, **kwargs: Any) -> None:
            super()._release(key, *args, **kwargs)
            self.endpoints[key.host, key.port, key.is_ssl] = key
            if len(self.endpoints) > _ENDPOINTS:
                self.endpoints = {e: k for e, k in self.endpoints.items() if k in self._conns}

        async def idle(self, endpoint: tuple[str, int | None, bool]) -> Any:
            """Take an idle connection, or None."""
            key = self.endpoints.get(endpoint)
            if key is None:
                return None
            connection = await self._get(key, [])
            if connection is None:
                self.endpoints.pop(endpoint, None)
            return connection

        async def _get(self, *args: Any, **kwargs: Any) -> Any:
            while True:
                connection = await super()._get(*args, **kwargs)
                if connection is None or not _stale(connection):
                    return connection
                connection.close()

    return Connector


def _stale(connection: Any) -> bool:
    transport = connection.transport
    if transport is None:
        return True
    protocol = connection.protocol
    poll = getattr(protocol, _POLL, None)
    if poll is None:
        sock = transport.get_extra_info("socket")
        if sock is None or not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        setattr(protocol, _POLL, poll)  # the descriptor stays while the transport is there
    return bool(poll.poll(0))  # nothing is expected: the server has closed, or has lost the thread


def can_send(outgoing: Outgoing) -> bool:
    """Tell whether aiohttp can put this request on the wire byte for byte.

    It encodes header values as UTF-8, so anything but ASCII goes through the other pool, and so
    do a request without a body to which it would add a length (a redirected DELETE) and a host
    that is a number but no dotted quad, which it refuses, and an ``Expect`` header, on which it
    would wait for the server.
    """
    if (
        outgoing.body is None
        and outgoing.method not in _BODILESS
        and not any(name.lower() == "content-length" for name, _ in outgoing.lines)
    ):
        return False
    if not _takes_host(outgoing.location.host):
        return False
    for line in outgoing.lines:  # noqa: SIM110  # a generator costs more than the loop
        if not _takes_line(line):
            return False
    return True


@lru_cache(maxsize=512)
def _takes_line(line: tuple[str, str]) -> bool:
    name, value = line
    return value.isascii() and name.lower() != "expect"


@lru_cache(maxsize=256)
def _takes_host(host: str) -> bool:
    return not host[0].isdigit() or bool(_QUAD.fullmatch(host)) or not _NUMERIC.fullmatch(host)


class _Watched:
    """A body that remembers why it failed, since aiohttp reports only that sending did.

    A body that is longer or shorter than its Content-Length fails too: aiohttp would cut off the
    rest, or leave the server waiting for it.
    """

    def __init__(self, chunks: AsyncIterator[bytes], errors: ModuleType, request: Any) -> None:
        self._chunks = chunks
        self._errors = errors
        self._request = request
        declared = request.headers.get("Content-Length")
        self._length = int(declared) if declared is not None and declared.isdigit() else None
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length, sent = self._length, 0
        try:
            async for chunk in self._chunks:
                sent += len(chunk)
                if length is not None and sent > length:
                    raise self._wrong_length("Too much data for declared Content-Length")
                yield chunk
            if length is not None and sent < length:
                raise self._wrong_length("Too little data for declared Content-Length")
        except Exception as error:
            self.error = error
            raise

    def _wrong_length(self, message: str) -> Exception:
        error: Exception = self._errors.InvalidHeader(message, request=self._request)
        return error


class AiohttpPool(Pool):
    """Connections of one loop. Used from that loop's thread only."""

    def __init__(self, binding: Binding, options: PoolOptions) -> None:
        super().__init__()
        self._binding = binding
        self._loop = asyncio.get_running_loop()
        local = (options.source_address, 0) if options.source_address else None
        connector = _connector_class()(
            limit=0,
            limit_per_host=0,
            ssl=options.context,
            keepalive_timeout=_MONTH,
            local_addr=local,
        )
        self._connector = connector
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=_LINE,
            max_field_size=_LINE,
        )
        self._session._retry_connection = False  # repeating is for the retry rules to decide

    async def exchange(self, outgoing: Outgoing) -> Incoming:
        """Send and await the head of the response. Raises the mapped exceptions."""
        reply = await self._exchange_over_idle(outgoing)
        if reply is not None:
            return reply
        headers = dict(outgoing.lines)
        body = outgoing.body
        chunked: bool | None = None
        chunks: _Watched | None = None
        if isinstance(body, str):
            body = body.encode("utf-8")
        if body is not None and (not isinstance(body, bytes) or len(body) > _LARGE):
            chunks = _Watched(async_body_chunks(body), self._binding.errors, outgoing.request)
            body = chunks
            if "Transfer-Encoding" in headers:
                del headers["Transfer-Encoding"]  # aiohttp writes it
                chunked = True
        self.enter()
        try:
            response = await self._session.request(
                outgoing.method,
                _url(outgoing.url),
                headers=headers,
                data=body,
                chunked=chunked,
                allow_redirects=False,
                timeout=_timeout(outgoing.connect, outgoing.read),
            )
        except BaseException as error:
            await self._left()
            if chunks is not None and chunks.error is not None and isinstance(error, Exception):
                raise chunks.error from None  # the program's own, from its generator or file
            mapped = self._map(error, outgoing, in_body=False)
            if mapped is None:
                raise
            raise mapped from error
        version = response.version
        return Incoming(
            response.status,
            response.reason or "",
            list(response.raw_headers),
            "HTTP/1.1" if version is None else f"HTTP/{version.major}.{version.minor}",
            astream=self._stream(response.content, outgoing),
            aread=lambda: self._read(response, outgoing),
            aclose=lambda: self._finish(response),
            abandon=lambda: self._abandon(response),
        )

    async def _exchange_over_idle(self, outgoing: Outgoing) -> Incoming | None:
        data = aiohttp_reuse.message_bytes(outgoing)
        if data is None:
            return None
        connection = await self._connector.idle(aiohttp_reuse.endpoint(outgoing.location))
        if connection is None:
            return None
        self.enter()
        try:
            reply = await aiohttp_reuse.send(
                connection, data, outgoing.method, outgoing.read, _LINE
            )
        except BaseException as error:
            await self._left()
            mapped = self._map(error, outgoing, in_body=False)
            if mapped is None:
                raise
            raise mapped from error
        message = reply.message
        version = message.version
        return Incoming(
            message.code,
            message.reason or "",
            list(message.raw_headers),
            f"HTTP/{version.major}.{version.minor}",
            astream=self._stream(reply.payload, outgoing),
            aread=lambda: self._read(reply, outgoing),
            aclose=lambda: self._finish_reply(reply),
            abandon=lambda: self._abandon(reply.connection),
        )

    async def _finish_reply(self, reply: aiohttp_reuse.Reply) -> None:
        reply.finish()
        await self._left()

    def _map(self, error: BaseException, outgoing: Outgoing, *, in_body: bool) -> Any:
        errors, request = self._binding.errors, outgoing.request
        if isinstance(error, aiohttp.ClientSSLError):
            return tag(errors.SSLError(error, request=request), "other")
        if in_body:
            if isinstance(error, (aiohttp.ServerTimeoutError, asyncio.TimeoutError)):
                cause = body_cause(error, outgoing, timed_out=True)
                return errors.ConnectionError(cause, request=request)
            if isinstance(error, (aiohttp.ClientError, OSError)):
                cause = body_cause(error, outgoing, timed_out=False)
                return errors.ChunkedEncodingError(cause, request=request)
            return None
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return tag(errors.ConnectTimeout(error, request=request), "connect")
        if isinstance(error, aiohttp.ServerTimeoutError):
            return tag(errors.ReadTimeout(error, request=request), "read")
        if isinstance(error, aiohttp.ClientConnectorError):
            return tag(errors.ConnectionError(error, request=request), "connect")
        if isinstance(error, aiohttp.InvalidURL):
            return errors.InvalidURL(error, request=request)
        if isinstance(error, (aiohttp.ClientError, aiohttp.http.HttpProcessingError)):
            return tag(errors.ConnectionError(error, request=request), "read")
        if isinstance(error, errors.RequestException):
            return None
        if isinstance(error, OSError):
            return tag(errors.ConnectionError(error, request=request), "read")
        return None

    async def _read(self, response: Any, outgoing: Outgoing) -> bytes:
        try:
            return await response.read()  # type: ignore[no-any-return]
        except Exception as error:
            mapped = self._map(error, outgoing, in_body=True)
            if mapped is None:
                raise
            raise mapped from error

    def _stream(self, content: Any, outgoing: Outgoing) -> Callable[[], AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in content.iter_any():
                    yield chunk
            except Exception as error:
                mapped = self._map(error, outgoing, in_body=True)
                if mapped is None:
                    raise
                raise mapped from error

        return chunks

    async def _finish(self, response: Any) -> None:
        if response.content.at_eof():
            response.release()
        else:
            response.close()
        await self._left()

    def _abandon(self, closeable: Any) -> None:
        if self._loop.is_closed():
            return
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            closeable.close()
        else:
            self._loop.call_soon_threadsafe(closeable.close)
        self.leave()

    async def _left(self) -> None:
        if self.leave():
            await self._tear_down()

    async def _tear_down(self) -> None:
        await self._session.close()
        forget_with_loop(self._loop, self)

    async def aclose(self) -> None:
        """Close idle connections now and the others when their responses end."""
        if self.retire():
            await self._tear_down()

    async def close_now(self) -> None:
        """Close everything: the loop shuts down."""
        self.retire()
        await self._tear_down()

    def discard(self) -> None:
        """Close without awaiting, from any thread: the owner was collected."""
        if self._session.closed:
            return
        if self._loop.is_closed():
            self._session.detach()
        elif self.retire():
            self._loop.call_soon_threadsafe(self._discard_here)

    def _discard_here(self) -> None:
        # The guard of the loop closes the pool too, should the loop end before this task.
        task = self._loop.create_task(self._tear_down())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
