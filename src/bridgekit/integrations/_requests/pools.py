"""Connection pools over the HTTP library's own transports, synchronous and asynchronous."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .binding import Binding
from .bodies import body_chunks
from .causes import body_cause
from .loops import forget_with_loop, running_asyncio_loop
from .wire import Incoming, Outgoing, async_body_chunks


@dataclass(frozen=True)
class PoolOptions:
    """How connections of one pool are made.

    Attributes:
        context: the TLS context.
        proxy: URL of the proxy, or None.
        idle: how many idle connections are kept; the number in use is never limited, so that no
            request waits for a connection.
        source_address, socket_options: as for urllib3.
        transport: a transport to use instead (tests).
    """

    context: ssl.SSLContext
    proxy: str | None = None
    idle: int = 100
    source_address: str | None = None
    socket_options: Any = None
    transport: Any = None

    @property
    def is_socks(self) -> bool:
        return bool(self.proxy and self.proxy.lower().startswith("socks"))

    def make(self, binding: Binding, transport_class: str) -> Any:
        if self.transport is not None:
            return self.transport
        http = binding.http
        limits = http.Limits(
            max_connections=None, max_keepalive_connections=self.idle, keepalive_expiry=None
        )
        proxy: Any = None
        if self.proxy:
            url = self.proxy if "://" in self.proxy else f"http://{self.proxy}"
            malformed = binding.errors.InvalidProxyURL(
                "Please check proxy URL. It is malformed and could be missing the host."
            )
            try:
                proxy = http.Proxy(url)
            except (ValueError, http.InvalidURL) as error:
                raise malformed from error
            if not proxy.url.host:
                raise malformed
        return getattr(http, transport_class)(
            verify=self.context,
            trust_env=False,
            limits=limits,
            proxy=proxy,
            local_address=self.source_address,
            socket_options=self.socket_options,
        )


class Pool:
    """Counts the responses in flight: a closed pool gives way only when the last has ended.

    requests closes idle connections and lets running downloads finish; so does this.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0
        self._closing = False

    @property
    def closed(self) -> bool:
        """Whether the pool takes no more requests."""
        return self._closing

    def enter(self) -> None:
        with self._lock:
            self._active += 1

    def leave(self) -> bool:
        """Count one response less; tell whether the pool is to be torn down now."""
        with self._lock:
            self._active -= 1
            return self._closing and self._active == 0

    def retire(self) -> bool:
        """Ask for tear-down; tell whether it is to happen now."""
        with self._lock:
            self._closing = True
            return self._active == 0


def _ssl_cause(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_protocol(error: BaseException) -> bool:
    """Tell whether the request breaks HTTP; h11's own exception may come through unmapped."""
    return type(error).__name__ == "LocalProtocolError"


def tag(error: Any, kind: str) -> Any:
    """Note on *error* which retry budget it spends: ``connect``, ``read`` or ``other``."""
    error._kind = kind
    return error


def map_error(
    binding: Binding, error: BaseException, outgoing: Outgoing, *, in_body: bool = False
) -> Any:
    """Return the exception of requests' tree for one of the HTTP library."""
    http, errors, request = binding.http, binding.errors, outgoing.request
    if isinstance(error, errors.RequestException):
        return error
    if _ssl_cause(error):
        return tag(errors.SSLError(error, request=request), "other")
    if in_body:
        timed_out = isinstance(error, http.TimeoutException)
        kind = errors.ConnectionError if timed_out else errors.ChunkedEncodingError
        return kind(body_cause(error, outgoing, timed_out=timed_out), request=request)
    if isinstance(error, http.ConnectTimeout):
        return tag(errors.ConnectTimeout(error, request=request), "connect")
    if isinstance(error, http.PoolTimeout):
        return tag(errors.ConnectionError(error, request=request), "other")
    if isinstance(error, http.TimeoutException):
        return tag(errors.ReadTimeout(error, request=request), "read")
    if isinstance(error, http.ProxyError):
        return tag(errors.ProxyError(error, request=request), "other")
    if isinstance(error, http.UnsupportedProtocol):
        return errors.InvalidSchema(str(error), request=request)
    if _is_protocol(error):
        return errors.InvalidHeader(error, request=request)
    if isinstance(error, http.ConnectError):
        return tag(errors.ConnectionError(error, request=request), "connect")
    return tag(errors.ConnectionError(error, request=request), "read")


def _library_request(
    binding: Binding, outgoing: Outgoing, content: Any, options: PoolOptions
) -> Any:
    target = outgoing.location.target
    if options.proxy and outgoing.location.scheme == "http" and not options.is_socks:
        target = outgoing.url  # a proxy is told the whole URL
    return binding.http.Request(
        outgoing.method,
        outgoing.url,
        headers=outgoing.headers,
        content=content,
        extensions={
            "timeout": {
                "connect": outgoing.connect,
                "read": outgoing.read,
                "write": None,
                "pool": None,
            },
            # The exact bytes: the library's URL would quote some characters differently.
            "target": target.encode("ascii"),
        },
    )


def _head(response: Any) -> tuple[int, str, list[tuple[bytes, bytes]], str]:
    extensions = response.extensions
    reason = extensions.get("reason_phrase")
    if reason is None:
        try:
            reason = HTTPStatus(response.status_code).phrase.encode()
        except ValueError:
            reason = b""
    version = extensions.get("http_version", b"HTTP/1.1").decode("ascii")
    return response.status_code, reason.decode("latin-1"), response.headers.raw, version


def _plain(body: Any) -> Any:
    return body.encode("utf-8") if isinstance(body, str) else body


class SyncPool(Pool):
    """A pool for the synchronous face. Thread-safe."""

    def __init__(self, binding: Binding, options: PoolOptions) -> None:
        super().__init__()
        self._binding = binding
        self._options = options
        self._proxied = options.proxy is not None
        self._transport = options.make(binding, "HTTPTransport")
        self._owned = options.transport is None

    def exchange(self, outgoing: Outgoing) -> Incoming:
        """Send and wait for the head of the response. Raises the mapped exceptions."""
        body = _plain(outgoing.body)
        content = body if body is None or isinstance(body, bytes) else body_chunks(body)
        request = _library_request(self._binding, outgoing, content, self._options)
        self.enter()
        try:
            response = self._transport.handle_request(request)
        except BaseException as error:
            self._left()
            if not isinstance(error, self._binding.http.HTTPError) and not _is_protocol(error):
                raise
            raise self._mapped(error, outgoing) from error
        return Incoming(
            *_head(response),
            stream=self._stream(response, outgoing),
            close=lambda: self._finish(response),
        )

    def _mapped(self, error: Any, outgoing: Outgoing) -> Any:
        mapped = map_error(self._binding, error, outgoing)
        if self._proxied and isinstance(error, self._binding.http.ConnectError):
            return tag(self._binding.errors.ProxyError(error, request=outgoing.request), "connect")
        return mapped

    def _stream(self, response: Any, outgoing: Outgoing) -> Iterator[bytes]:
        try:
            yield from response.stream
        except self._binding.http.HTTPError as error:
            raise map_error(self._binding, error, outgoing, in_body=True) from error

    def _finish(self, response: Any) -> None:
        try:
            response.stream.close()
        finally:
            self._left()

    def _left(self) -> None:
        if self.leave():
            self._tear_down()

    def _tear_down(self) -> None:
        if self._owned:
            self._transport.close()

    def close(self) -> None:
        """Close idle connections now and the others when their responses end."""
        if self.retire():
            self._tear_down()


class AsyncPool(Pool):
    """A pool for the asynchronous face over the library's own transport. For one loop."""

    def __init__(self, binding: Binding, options: PoolOptions) -> None:
        super().__init__()
        self._binding = binding
        self._options = options
        self._proxied = options.proxy is not None
        self._transport = options.make(binding, "AsyncHTTPTransport")
        self._owned = options.transport is None
        self._loop = running_asyncio_loop()
        self._closing_task: Any = None

    async def exchange(self, outgoing: Outgoing) -> Incoming:
        """Send and await the head of the response. Raises the mapped exceptions."""
        body = _plain(outgoing.body)
        content = body if body is None or isinstance(body, bytes) else async_body_chunks(body)
        request = _library_request(self._binding, outgoing, content, self._options)
        self.enter()
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            await self._left()
            if not isinstance(error, self._binding.http.HTTPError) and not _is_protocol(error):
                raise
            mapped = map_error(self._binding, error, outgoing)
            if self._proxied and isinstance(error, self._binding.http.ConnectError):
                mapped = tag(
                    self._binding.errors.ProxyError(error, request=outgoing.request), "connect"
                )
            raise mapped from error
        return Incoming(
            *_head(response),
            astream=self._stream(response, outgoing),
            aclose=lambda: self._finish(response),
        )

    def _stream(self, response: Any, outgoing: Outgoing) -> Callable[[], AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in response.stream:
                    yield chunk
            except self._binding.http.HTTPError as error:
                raise map_error(self._binding, error, outgoing, in_body=True) from error

        return chunks

    async def _finish(self, response: Any) -> None:
        try:
            await response.stream.aclose()
        finally:
            await self._left()

    async def _left(self) -> None:
        if self.leave():
            await self._tear_down()

    async def _tear_down(self) -> None:
        if self._owned:
            await self._transport.aclose()
        if self._loop is not None:
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
        """Close without awaiting, from any thread: the owner was collected or closed."""
        loop = self._loop
        if loop is None or loop.is_closed() or not self.retire():
            return
        loop.call_soon_threadsafe(self._discard_here)

    def _discard_here(self) -> None:
        if self._loop is not None:
            self._closing_task = self._loop.create_task(self._tear_down())
