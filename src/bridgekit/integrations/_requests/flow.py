"""Running one flow in both colours.

The rules (redirects, retries, authentication, hooks) are written once, as coroutines over an `IO`.
The synchronous face drives them with `BLOCKING`, whose methods block and never suspend.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import anyio

from .wire import Incoming, Outgoing

T = TypeVar("T")


class IO(Protocol):
    """What a flow may wait for."""

    asynchronous: bool

    async def send(self, adapter: Any, request: Any, kwargs: dict[str, Any]) -> Any: ...
    async def exchange(self, adapter: Any, where: Any, outgoing: Outgoing) -> Incoming: ...
    async def sleep(self, seconds: float) -> None: ...
    async def read(self, response: Any) -> None: ...
    async def close(self, response: Any) -> None: ...
    async def settle(self, value: Any) -> Any: ...


class _Blocking:
    asynchronous = False

    async def send(self, adapter: Any, request: Any, kwargs: dict[str, Any]) -> Any:
        return adapter.send(request, **kwargs)

    async def exchange(self, adapter: Any, where: Any, outgoing: Outgoing) -> Incoming:
        return adapter._sync_pool(where).exchange(outgoing)  # type: ignore[no-any-return]

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # this driver never runs on a loop

    async def read(self, response: Any) -> None:
        _ = response.content

    async def close(self, response: Any) -> None:
        response.close()

    async def settle(self, value: Any) -> Any:
        return value


class _Awaiting:
    asynchronous = True

    async def send(self, adapter: Any, request: Any, kwargs: dict[str, Any]) -> Any:
        return await adapter._dispatch(request, kwargs)

    async def exchange(self, adapter: Any, where: Any, outgoing: Outgoing) -> Incoming:
        pool = adapter._async_pool(where, outgoing)
        return await pool.exchange(outgoing)  # type: ignore[no-any-return]

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def read(self, response: Any) -> None:
        await response.aread()

    async def close(self, response: Any) -> None:
        await response.aclose()

    async def settle(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value


BLOCKING = _Blocking()
AWAITING = _Awaiting()


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Run *flow*, made over `BLOCKING`, to its end. Raises what it raises."""
    try:
        flow.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    flow.close()
    raise RuntimeError("a synchronous flow has suspended")
