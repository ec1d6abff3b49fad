"""Mocks of objects that have both colours: `session.get(...)` and `await session.aio.get(...)`.

A test that hands a `Mock` to the code under test keeps its fakes and its assertions when that code
begins to await::

    session = FaceMock(**{"get.return_value": response})
    await session.aio.get(url)  # calls session.get(url)
    session.get.assert_called_once_with(url)

What the plain method raises or returns is what the awaited one raises or returns.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import MagicMock, Mock

__all__ = ["FaceMock", "MagicFaceMock"]

_PLAIN = {"aclose": "close", "aread": "read"}


class _Face:
    """The asynchronous face of a mock: every method is that of the mock, awaited."""

    def __init__(self, mock: Any) -> None:
        self._mock = mock

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self._mock, _PLAIN.get(name, name))

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return awaited


class FaceMock(Mock):
    """A `unittest.mock.Mock`, with ``aio``; so are its children."""

    @property
    def aio(self) -> Any:
        """The face whose methods are awaited; they call those of the mock."""
        return _Face(self)


class MagicFaceMock(MagicMock):
    """A `unittest.mock.MagicMock`, with ``aio``; so are its children."""

    @property
    def aio(self) -> Any:
        """The face whose methods are awaited; they call those of the mock."""
        return _Face(self)
