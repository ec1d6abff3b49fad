"""What stands for a response, or its connection, that asynchronous code has to await."""

from __future__ import annotations

from typing import Any


class Deferred:
    """What `HTTPAdapter.send` returns to an override of it that runs for the asynchronous face."""

    def __init__(self, adapter: Any, request: Any, kwargs: dict[str, Any]) -> None:
        self._adapter = adapter
        self._request = request
        self._kwargs = kwargs

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"{type(self._adapter).__name__}.send() uses the response ({name!r}): in asynchronous "
            "code the response is not there yet; override `async def asend(...)` as well"
        )


class AwaitedConnection:
    """`Response.connection` of the asynchronous face: its `asend` sends once more."""

    def __init__(self, adapter: Any) -> None:
        self.asend = adapter.asend

    def send(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "response.connection.send() would block the event loop: make the hook a coroutine "
            "function and use `await response.connection.asend(...)`"
        )
