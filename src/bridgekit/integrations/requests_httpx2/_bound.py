"""The classes of this module, bound to httpx2."""

from __future__ import annotations

from typing import Any

from .._requests.adapters import HTTPAdapterBase
from .._requests.binding import Binding, load
from .._requests.faces import AsyncFace, SyncFace
from .._requests.loops import PerLoop
from .._requests.models import PreparedRequestBase, RequestBase
from .._requests.response import ResponseBase
from .._requests.settings import Config

load("httpx2", "httpx2")

import httpx2 as _http  # noqa: E402  # after the check that names the extra

from . import exceptions  # noqa: E402

_SENDING = frozenset(
    ["request", "send", "get", "options", "head", "post", "put", "patch", "delete"]
)
_binding = Binding(_http, exceptions)


class Request(RequestBase):
    """A request as the user describes it."""

    _binding = _binding


class PreparedRequest(PreparedRequestBase):
    """A request as it will be sent."""

    _binding = _binding


class Response(ResponseBase, _http.Response):  # type: ignore[misc]  # requests' rules win
    """A response by requests' rules, also an `httpx2.Response`."""

    _binding = _binding


class HTTPAdapter(HTTPAdapterBase):
    """Connections and retries; for `Session.mount`."""

    _binding = _binding


_binding.request = Request
_binding.prepared = PreparedRequest
_binding.response = Response
_binding.adapter = HTTPAdapter


class Session(SyncFace, _http.Client):  # type: ignore[misc]  # requests' rules win
    """requests' Session; also an `httpx2.Client`.

    Parameters:
        transport: an `httpx2.BaseTransport` to send everything over, for tests.
    """

    _binding = _binding

    def __init__(self, *, transport: Any = None) -> None:
        self._start(transport)

    def _start(self, transport: Any) -> None:
        self._config = Config()
        # With a transport of its own the parent makes no TLS context and no pool.
        _http.Client.__init__(self, transport=_http.BaseTransport(), trust_env=False)
        self._configure(None, transport)
        self._aio: AsyncClient | None = None

    @property
    def aio(self) -> AsyncClient:
        """The asynchronous face of this session: same settings, cookies and adapters, live.

        Its connections belong to the running loop. Raises NotImplementedError when a subclass
        overrides `request`, `send` or a verb, since the override is synchronous.
        """
        for cls in type(self).__mro__:
            if cls is SyncFace:
                break
            for name in sorted(_SENDING.intersection(cls.__dict__)):
                raise NotImplementedError(
                    f"{type(self).__name__} overrides {name}(), which the asynchronous face cannot "
                    "call: subclass AsyncClient with an `async def` of the same name"
                )
        if self._aio is None:
            self._aio = AsyncClient(session=self)
        return self._aio


class AsyncClient(AsyncFace, _http.AsyncClient):  # type: ignore[misc]  # requests' rules win
    """The twin of `Session` in `async` code; also an `httpx2.AsyncClient`.

    Parameters:
        session: share the settings, cookies and rules of this session.
        transport: an `httpx2.AsyncBaseTransport` to send everything over, for tests.
    """

    _binding = _binding

    def __init__(self, *, session: Session | None = None, transport: Any = None) -> None:
        self._config = Config()
        _http.AsyncClient.__init__(self, transport=_http.AsyncBaseTransport(), trust_env=False)
        self._rules: Any = self if session is None else session
        self._configure(None if session is None else session._config, transport)


class _SharedClient(AsyncClient):
    """The client of module-level calls: it keeps no cookies between calls."""

    _keep_cookies = False


_shared: PerLoop[AsyncClient] = PerLoop(_SharedClient)


def async_client() -> AsyncClient:
    """Return the client that the running loop shares; closed when the loop shuts down.

    Like requests' module-level functions it keeps no cookies between calls, unlike them it keeps
    connections. Raises RuntimeError when no loop runs.
    """
    return _shared.get()


class AsyncFunctions:
    """The module-level functions as coroutine functions: ``await requests.aio.get(url)``.

    Each is the function of the same name of `requests`, sent by `async_client`.
    """

    async def request(self, method: str, url: Any, **kwargs: Any) -> Response:
        response: Response = await async_client().request(method, url, **kwargs)
        return response

    async def get(self, url: Any, params: Any = None, **kwargs: Any) -> Response:
        return await self.request("GET", url, params=params, **kwargs)

    async def options(self, url: Any, **kwargs: Any) -> Response:
        return await self.request("OPTIONS", url, **kwargs)

    async def head(self, url: Any, **kwargs: Any) -> Response:
        kwargs.setdefault("allow_redirects", False)
        return await self.request("HEAD", url, **kwargs)

    async def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
        return await self.request("POST", url, data=data, json=json, **kwargs)

    async def put(self, url: Any, data: Any = None, **kwargs: Any) -> Response:
        return await self.request("PUT", url, data=data, **kwargs)

    async def patch(self, url: Any, data: Any = None, **kwargs: Any) -> Response:
        return await self.request("PATCH", url, data=data, **kwargs)

    async def delete(self, url: Any, **kwargs: Any) -> Response:
        return await self.request("DELETE", url, **kwargs)


aio = AsyncFunctions()


def request(method: str, url: Any, **kwargs: Any) -> Response:
    """Send one request on a connection of its own. Parameters and errors: `Session.request`."""
    with Session() as session:
        response: Response = session.request(method, url, **kwargs)
        return response
