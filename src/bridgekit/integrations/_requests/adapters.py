"""`HTTPAdapter`: connections, retries and the mapping of failures, for both colours."""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple

from . import aiohttp_pool
from .auth import basic_auth_str
from .binding import Binding
from .causes import MaxRetryError, cause_of, pool_name
from .deferred import AwaitedConnection, Deferred
from .environment import select_proxy
from .flow import AWAITING, BLOCKING, IO, run
from .loops import PerLoop, close_with_loop, running_asyncio_loop
from .pools import AsyncPool, PoolOptions, SyncPool
from .retry import Refused, Retry
from .timeouts import split_timeout
from .tls import check_cert, plain_context, tls_context, tls_key
from .urls import BadURL, get_auth_from_url, locate
from .wire import Outgoing, check_body, wire_headers

DEFAULT_POOLSIZE = 10
_POOL_KEYWORDS = frozenset(["ssl_context", "source_address", "socket_options"])
_awaiting: ContextVar[bool] = ContextVar("bridgekit_requests_awaiting", default=False)


class Where(NamedTuple):
    """Which pool of an adapter a request uses."""

    tls: Any
    proxy: str | None
    verify: Any
    cert: Any


class BaseAdapter:
    """The interface of adapters: `send` a PreparedRequest, `close`."""

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    async def _dispatch(self, request: Any, kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError(
            f"the adapter {type(self).__name__} is synchronous only: give it "
            "`async def asend(request, stream, timeout, verify, cert, proxies)` to use it in "
            "asynchronous code"
        )


def _discard(sync_pools: dict[Any, SyncPool], async_pools: PerLoop[dict[Any, Any]]) -> None:
    for pool in list(sync_pools.values()):
        pool.close()
    for _, pools in async_pools.items():
        for async_pool in list(pools.values()):
            async_pool.discard()


class HTTPAdapterBase(BaseAdapter):
    """Sends over pools of connections it owns: one for threads, one for each event loop.

    Connections in use are not limited; ``pool_connections * pool_maxsize`` idle ones are kept by
    the synchronous pool. Closing lets responses in progress finish, and the adapter can be used
    afterwards. Thread-safe.

    Parameters as in requests; *max_retries* is a count, a `Retry` or an object with urllib3's
    `Retry` attributes.
    """

    _binding: ClassVar[Binding]
    __attrs__: ClassVar[list[str]] = [
        "max_retries",
        "config",
        "_pool_connections",
        "_pool_maxsize",
        "_pool_block",
    ]

    def __init__(
        self,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: Any = 0,
        pool_block: bool = False,
        *,
        transport: Any = None,
    ) -> None:
        no_retries = isinstance(max_retries, int) and max_retries == 0
        self.max_retries: Any = Retry(0, read=False) if no_retries else Retry.from_int(max_retries)
        self.config: dict[str, Any] = {}
        self.proxy_manager: dict[str, Any] = {}
        self._transport = transport
        self._open(pool_connections, pool_maxsize, pool_block)

    def _open(self, connections: int, maxsize: int, block: bool) -> None:
        self._lock = threading.Lock()
        self._sync_pools: dict[Any, SyncPool] = {}
        self._async_pools: PerLoop[dict[Any, Any]] = PerLoop(dict)
        self._pool_kwargs: dict[str, Any] = {}
        weakref.finalize(self, _discard, self._sync_pools, self._async_pools)
        self.poolmanager: Any = None
        self.init_poolmanager(connections, maxsize, block=block)
        if self.poolmanager is not None:
            raise NotImplementedError(
                f"{type(self).__name__}.init_poolmanager() makes a urllib3 pool: pass "
                "`ssl_context`, `source_address` or `socket_options` to "
                "super().init_poolmanager() instead"
            )

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Note how connections are made; called by the constructor, for overriding.

        Raises NotImplementedError for keywords other than ``ssl_context``, ``source_address`` and
        ``socket_options``.
        """
        unknown = set(pool_kwargs) - _POOL_KEYWORDS
        if unknown:
            raise NotImplementedError(
                f"pool options {sorted(unknown)} have no equivalent here; supported: "
                f"{sorted(_POOL_KEYWORDS)}"
            )
        if block:
            raise NotImplementedError(
                "pool_block=True is not supported: limit concurrency in the program, for example "
                "with bridgekit.CapacityLimiter"
            )
        self._pool_connections = connections
        self._pool_maxsize = maxsize
        self._pool_block = block
        self._pool_kwargs = pool_kwargs

    # -- for overriding, as in requests --------------------------------------------------------

    def add_headers(self, request: Any, **kwargs: Any) -> None:
        """Add headers to *request* before it is sent; does nothing by default."""

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the headers for the proxy itself."""
        username, password = get_auth_from_url(proxy)
        return {"Proxy-Authorization": basic_auth_str(username, password)} if username else {}

    def build_response(self, req: Any, resp: Any) -> Any:
        """Make the Response of what came off the wire."""
        connection = AwaitedConnection(self) if resp.asynchronous else self
        return self._binding.response._from_wire(resp, req, connection)

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """Send *request* and return its Response, the body unread.

        Raises ConnectionError, ConnectTimeout, ReadTimeout, SSLError, ProxyError, RetryError,
        InvalidURL, InvalidHeader.
        """
        kwargs: dict[str, Any] = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
        }
        if _awaiting.get():
            return Deferred(self, request, kwargs)
        return run(self._attempts(BLOCKING, request, **kwargs))

    async def asend(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """The asynchronous twin of `send`."""
        return await self._attempts(
            AWAITING,
            request,
            stream=stream,
            timeout=timeout,
            verify=verify,
            cert=cert,
            proxies=proxies,
        )

    async def _dispatch(self, request: Any, kwargs: dict[str, Any]) -> Any:
        cls = type(self)
        if cls.send is HTTPAdapterBase.send or cls.asend is not HTTPAdapterBase.asend:
            return await self.asend(request, **kwargs)
        # A synchronous override: let it change the arguments, then send asynchronously.
        token = _awaiting.set(True)
        try:
            result = self.send(request, **kwargs)
        finally:
            _awaiting.reset(token)
        if isinstance(result, Deferred):
            return await result._adapter.asend(result._request, **result._kwargs)
        return result

    # -- the exchange --------------------------------------------------------------------------

    async def _attempts(
        self,
        io: IO,
        request: Any,
        *,
        stream: bool,
        timeout: Any,
        verify: Any,
        cert: Any,
        proxies: Any,
    ) -> Any:
        errors = self._binding.errors
        connect, read = split_timeout(timeout)
        try:
            location = locate(request.url)
        except BadURL as error:
            raise errors.InvalidURL(str(error), request=request) from None
        self.add_headers(
            request,
            stream=stream,
            timeout=timeout,
            verify=verify,
            cert=cert,
            proxies=proxies,
        )
        proxy = select_proxy(request.url, proxies) or None
        secure = location.scheme == "https"
        check_cert(cert)
        where = Where(tls_key(verify, cert) if secure else None, proxy, verify, cert)
        headers = wire_headers(request, location)
        check_body(request.body)
        outgoing = Outgoing(request.method, location, headers, request.body, connect, read, request)
        retries = Retry.from_int(self.max_retries)
        while True:
            try:
                incoming = await io.exchange(self, where, outgoing)
            except errors.RequestException as error:
                if getattr(error, "_kind", None) is None:
                    raise
                after = self._after_failure(retries, error, outgoing)
                if not isinstance(after, Retry):
                    error = after
                    del after  # else the traceback would lead back to the exception
                    raise error
                retries = after
                self._rewind(request)
                if pause := retries.pause(None):
                    await io.sleep(pause)
                continue
            response = self.build_response(request, incoming)
            retry_after = response.headers.get("retry-after")
            if not retries.is_retry(request.method, response.status_code, bool(retry_after)):
                return response
            refused = Refused(response.status_code, response.headers, response.reason)
            try:
                retries = retries.increment(
                    request.method, request.path_url, response=refused, _pool=pool_name(outgoing)
                )
            except MaxRetryError as exhausted:
                if not retries.raise_on_status:
                    return response
                await self._drain(io, response)
                raise errors.RetryError(exhausted, request=request) from None
            await self._drain(io, response)
            self._rewind(request)
            try:
                pause = retries.pause(retry_after)
            except ValueError as error:
                raise errors.InvalidHeader(str(error), request=request) from error
            if pause:
                await io.sleep(pause)

    def _after_failure(self, retries: Retry, error: Any, outgoing: Outgoing) -> Any:
        """The budget after *error*, or what requests raises when nothing is left of it.

        A read timeout loses its type there. Raises what an override of `Retry.increment` raises.
        """
        request, errors = outgoing.request, self._binding.errors
        cause = cause_of(error, outgoing)
        known = cause.__traceback__, cause.__context__
        try:
            return retries.increment(
                request.method, request.path_url, error=cause, _pool=pool_name(outgoing)
            )
        except MaxRetryError as exhausted:
            exhausted.__context__ = None  # no cycle: it becomes a part of the exception
            part: Exception = exhausted.with_traceback(None)
            if isinstance(error, errors.ConnectionError):
                final = error
            else:
                final = errors.ConnectionError(request=request)
                final.__cause__ = error
        except BaseException as raised:
            if raised is not cause:
                raise
            cause.__traceback__, cause.__context__ = known
            final, part = error, cause
        final.args = (part,)
        return final

    async def _drain(self, io: IO, response: Any) -> None:
        try:
            await io.read(response)
        except self._binding.errors.RequestException:
            await io.close(response)

    def _rewind(self, request: Any) -> None:
        position = request._body_position
        if isinstance(position, int):
            request.body.seek(position)
        elif position is not None:
            raise self._binding.errors.UnrewindableBodyError(
                "Unable to record file position for rewinding request body during a retry."
            )

    # -- pools ---------------------------------------------------------------------------------

    def _options(self, where: Where) -> PoolOptions:
        given = self._pool_kwargs.get("ssl_context")
        if where.tls is None:
            context = plain_context()
        elif given is not None:
            context = given
        else:
            context = tls_context(where.verify, where.cert)
        source = self._pool_kwargs.get("source_address")
        return PoolOptions(
            context=context,
            proxy=where.proxy,
            idle=max(self._pool_connections, 1) * max(self._pool_maxsize, 1),
            source_address=source[0] if isinstance(source, tuple) else source,
            socket_options=self._pool_kwargs.get("socket_options"),
            transport=self._transport,
        )

    def _sync_pool(self, where: Where) -> SyncPool:
        key = (where.tls, where.proxy)
        with self._lock:
            pool = self._sync_pools.get(key)
            if pool is None:
                pool = SyncPool(self._binding, self._options(where))
                self._sync_pools[key] = pool
            return pool

    def _async_pool(self, where: Where, outgoing: Outgoing) -> Any:
        pools = self._async_pools.get()
        fast = (
            aiohttp_pool.AVAILABLE
            and where.proxy is None
            and self._transport is None
            and "socket_options" not in self._pool_kwargs
            and running_asyncio_loop() is not None
            and aiohttp_pool.can_send(outgoing)
        )
        key = (where.tls, where.proxy, fast)
        pool = pools.get(key)
        if pool is None or pool.closed:
            make: Any = aiohttp_pool.AiohttpPool if fast else AsyncPool
            pool = pools[key] = make(self._binding, self._options(where))
            close_with_loop(pool)
        return pool

    def close(self) -> None:
        """Close idle connections, of all loops too; usable afterwards."""
        with self._lock:
            pools = list(self._sync_pools.values())
            self._sync_pools.clear()
        for pool in pools:
            pool.close()
        for _, async_pools in self._async_pools.items():
            for async_pool in list(async_pools.values()):
                async_pool.discard()
            async_pools.clear()

    async def aclose(self) -> None:
        """Close the idle connections of the running loop; usable afterwards."""
        pools = self._async_pools.pop() or {}
        for pool in pools.values():
            await pool.aclose()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.proxy_manager = {}
        self._transport = None
        for name, value in state.items():
            setattr(self, name, value)
        self._open(self._pool_connections, self._pool_maxsize, self._pool_block)
