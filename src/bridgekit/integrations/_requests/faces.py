"""The two faces of a session: methods to mix into the HTTP library's clients."""

from __future__ import annotations

import functools
import io as stdio
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import anyio.to_thread

from .flow import AWAITING, BLOCKING, run
from .sessions import SessionRules
from .settings import Config

_UNSUPPORTED = "the requests-compatible client has no {name!r}: use {instead}"


class Unsupported:
    """An attribute of the HTTP library's client that would silently do nothing here."""

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def _error(self) -> NotImplementedError:
        return NotImplementedError(_UNSUPPORTED.format(name=self._name, instead=self._instead))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise self._error()

    def __set__(self, instance: Any, value: Any) -> None:
        if getattr(instance, "_ready", False):
            raise self._error()


class StreamSwitch:
    """Both meanings of ``stream``: requests' flag of a session and httpx's method.

    As a truth value it is the flag; called, it is ``client.stream("GET", url)``.
    """

    def __init__(self, flag: Any, open_stream: Any) -> None:
        self._flag = flag
        self._open = open_stream

    def __bool__(self) -> bool:
        return bool(self._flag)

    def __eq__(self, other: object) -> bool:
        return bool(self._flag == other)

    __hash__ = None  # type: ignore[assignment]  # compares like the flag

    def __call__(self, method: str, url: Any, **kwargs: Any) -> Any:
        return self._open(method, url, **kwargs)


class _Face(SessionRules):
    base_url = Unsupported("full URLs")
    event_hooks = Unsupported("hooks['response']")
    timeout: Any = None  # requests' sessions have none: an assignment has no effect
    _ready = False

    def _configure(self, config: Config | None, transport: Any) -> None:
        if config is None:
            config = Config()
            self._config = config
            for prefix in ("https://", "http://"):
                self.mount(prefix, self._binding.adapter(transport=transport))
        self._config = config
        self._ready = True

    def _open_stream(self, method: str, url: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    @property
    def stream(self) -> Any:
        """The session's ``stream`` flag, and httpx's ``stream(method, url)`` when called."""
        return StreamSwitch(self._config.stream, self._open_stream)

    @stream.setter
    def stream(self, value: Any) -> None:
        self._config.stream = value

    def build_request(self, method: str, url: Any, **kwargs: Any) -> Any:
        """Return a PreparedRequest; keywords are those of `Request`."""
        return self.prepare_request(self._binding.request(method.upper(), url, **kwargs))


class SyncFace(_Face):
    """The methods of `Session`. Thread-safe as far as requests' sessions are."""

    def request(
        self,
        method: str,
        url: Any,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: Any = None,
        cert: Any = None,
        json: Any = None,
    ) -> Any:
        """Send a request. Parameters and errors are those of `requests.Session.request`."""
        prepared, kwargs = self._arguments(
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            cookies=cookies,
            files=files,
            auth=auth,
            timeout=timeout,
            allow_redirects=allow_redirects,
            proxies=proxies,
            hooks=hooks,
            stream=stream,
            verify=verify,
            cert=cert,
            json=json,
        )
        return self.send(prepared, **kwargs)

    def get(self, url: Any, params: Any = None, **kwargs: Any) -> Any:
        return self.request("GET", url, params=params, **kwargs)

    def options(self, url: Any, **kwargs: Any) -> Any:
        return self.request("OPTIONS", url, **kwargs)

    def head(self, url: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **kwargs)

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: Any, data: Any = None, **kwargs: Any) -> Any:
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: Any, data: Any = None, **kwargs: Any) -> Any:
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: Any, **kwargs: Any) -> Any:
        return self.request("DELETE", url, **kwargs)

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a PreparedRequest. Raises ValueError for anything else."""
        return run(self._send(BLOCKING, request, **kwargs))

    def _open_stream(self, method: str, url: Any, **kwargs: Any) -> AbstractContextManager[Any]:
        @contextmanager
        def opened() -> Iterator[Any]:
            response = self.request(method, url, stream=True, **kwargs)
            try:
                yield response
            finally:
                response.close()

        return opened()

    def close(self) -> None:
        """Close idle connections; the session can be used again."""
        for adapter in self._config.adapters.values():
            adapter.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self._config))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(None)
        for name, value in state.items():
            setattr(self._config, name, value)

    def _start(self, transport: Any) -> None:
        """Set up the HTTP library's part and the configuration; in the bound class."""
        raise NotImplementedError


def _reads_files(files: Any, data: Any) -> bool:
    """Tell whether preparing the request reads files, which would block the loop."""
    if not files:
        return False
    values = files.values() if hasattr(files, "values") else [pair[1] for pair in files]
    for value in values:
        source = value[1] if isinstance(value, (tuple, list)) and len(value) > 1 else value
        if hasattr(source, "read") and not isinstance(source, (stdio.BytesIO, stdio.StringIO)):
            return True
    return False


class AsyncFace(_Face):
    """The methods of `AsyncClient`: the coroutine twins of `Session`'s.

    A client is not tied to a loop: connections are, and each loop gets its own, closed when it
    shuts down. Use from several tasks at once is safe.
    """

    _rules: Any  # whose rules apply: self, or the session this client belongs to

    async def request(
        self,
        method: str,
        url: Any,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: Any = None,
        cert: Any = None,
        json: Any = None,
    ) -> Any:
        """Send a request. Parameters and errors are those of `requests.Session.request`.

        The body of the response is read, unless ``stream=True``.
        """

        arguments = {
            "params": params,
            "data": data,
            "headers": headers,
            "cookies": cookies,
            "files": files,
            "auth": auth,
            "timeout": timeout,
            "allow_redirects": allow_redirects,
            "proxies": proxies,
            "hooks": hooks,
            "stream": stream,
            "verify": verify,
            "cert": cert,
            "json": json,
        }
        prepare = self._rules._arguments
        if files and _reads_files(files, data):
            prepared, kwargs = await anyio.to_thread.run_sync(
                functools.partial(prepare, method, url, **arguments)
            )
        else:
            prepared, kwargs = prepare(method, url, **arguments)
        return await self._rules._send(AWAITING, prepared, **kwargs)

    async def get(self, url: Any, params: Any = None, **kwargs: Any) -> Any:
        return await self.request("GET", url, params=params, **kwargs)

    async def options(self, url: Any, **kwargs: Any) -> Any:
        return await self.request("OPTIONS", url, **kwargs)

    async def head(self, url: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("allow_redirects", False)
        return await self.request("HEAD", url, **kwargs)

    async def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        return await self.request("POST", url, data=data, json=json, **kwargs)

    async def put(self, url: Any, data: Any = None, **kwargs: Any) -> Any:
        return await self.request("PUT", url, data=data, **kwargs)

    async def patch(self, url: Any, data: Any = None, **kwargs: Any) -> Any:
        return await self.request("PATCH", url, data=data, **kwargs)

    async def delete(self, url: Any, **kwargs: Any) -> Any:
        return await self.request("DELETE", url, **kwargs)

    async def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a PreparedRequest. Raises ValueError for anything else."""
        return await self._rules._send(AWAITING, request, **kwargs)

    def _open_stream(
        self, method: str, url: Any, **kwargs: Any
    ) -> AbstractAsyncContextManager[Any]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            response = await self.request(method, url, stream=True, **kwargs)
            try:
                yield response
            finally:
                await response.aclose()

        return opened()

    async def aclose(self) -> None:
        """Close the idle connections of the running loop; the client can be used again."""
        for adapter in self._config.adapters.values():
            aclose = getattr(adapter, "aclose", None)
            if aclose is not None:
                await aclose()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
