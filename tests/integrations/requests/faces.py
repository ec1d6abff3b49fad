"""One client interface over requests itself and over both faces, so that cases are written once.

A case is a coroutine function over a `Face`. For synchronous clients nothing in it ever suspends.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests as original

MODULES = {
    "requests": original,
    "httpx": "bridgekit.integrations.requests",
    "httpx2": "bridgekit.integrations.requests_httpx2",
}

LIBRARIES = ["httpx", pytest.param("httpx2", marks=pytest.mark.slow)]
"""The bindings: twins but for names, which `test_package` holds, so one is enough at first."""


class Face:
    """A session of one library: verbs, bodies, and the library's module as ``lib``."""

    def __init__(self, lib: Any, url: str, kind: str) -> None:
        self.lib = lib
        self.url = url
        self.asynchronous = kind == "async"
        self.session = lib.Session()
        self.client = self.session.aio if self.asynchronous else self.session

    def full(self, url: Any) -> Any:
        return self.url + url if isinstance(url, str) and url.startswith("/") else url

    async def settle(self, value: Any) -> Any:
        return await value if self.asynchronous else value

    async def request(self, method: str, url: Any, **kwargs: Any) -> Any:
        return await self.settle(self.client.request(method, self.full(url), **kwargs))

    async def verb(self, verb: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.settle(getattr(self.client, verb)(self.full(url), *args, **kwargs))

    async def get(self, url: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.verb("get", url, *args, **kwargs)

    async def post(self, url: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.verb("post", url, *args, **kwargs)

    async def head(self, url: Any, **kwargs: Any) -> Any:
        return await self.verb("head", url, **kwargs)

    async def send(self, request: Any, **kwargs: Any) -> Any:
        return await self.settle(self.client.send(request, **kwargs))

    async def module(self, verb: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        where = self.lib.aio if self.asynchronous else self.lib
        return await self.settle(getattr(where, verb)(self.full(url), *args, **kwargs))

    async def chunks(self, response: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if self.asynchronous:
            return [chunk async for chunk in response.aiter_content(*args, **kwargs)]
        return list(response.iter_content(*args, **kwargs))

    async def lines(self, response: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if self.asynchronous:
            return [line async for line in response.aiter_lines(*args, **kwargs)]
        return list(response.iter_lines(*args, **kwargs))

    async def body(self, response: Any) -> bytes:
        return await response.aread() if self.asynchronous else response.content

    async def shut(self, response: Any) -> None:
        if self.asynchronous:
            await response.aclose()
        else:
            response.close()

    async def close(self) -> None:
        await self.settle(self.client.aclose() if self.asynchronous else self.client.close())


Case = Callable[[Face], Awaitable[Any]]


def describe_error(error: BaseException, lib: Any) -> dict[str, Any]:
    """The parts of an exception that programs depend on: its name and what it is caught by."""
    return {
        "raised": type(error).__name__,
        "caught by": sorted(name for name, kind in _tree(lib).items() if isinstance(error, kind)),
        "response": getattr(getattr(error, "response", None), "status_code", None),
    }


def _tree(lib: Any) -> dict[str, type[BaseException]]:
    """The exceptions of requests as *lib* names them, and the built-in ones they are."""
    names = [
        name
        for name, value in vars(original.exceptions).items()
        if isinstance(value, type) and value.__module__ == original.exceptions.__name__
    ]
    tree = {name: getattr(lib.exceptions, name) for name in names}
    return tree | {kind.__name__: kind for kind in (OSError, ValueError, TypeError)}


def load(name: str) -> Any:
    module = MODULES[name]
    return importlib.import_module(module) if isinstance(module, str) else module


def outcome(case: Case, library: str, kind: str, url: str) -> Any:
    """Run *case* and return its value or the description of what it raised."""
    lib = load(library)

    async def run() -> Any:
        face = Face(lib, url, kind)
        try:
            return await case(face)
        except Exception as error:
            return describe_error(error, lib)
        finally:
            await face.close()

    if kind == "async":
        return asyncio.run(run())
    coroutine = run()
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a synchronous case has suspended")
