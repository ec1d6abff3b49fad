"""The link between the shared semantics and one HTTP library."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


def load(library: str, extra: str) -> ModuleType:
    """Import the HTTP *library*. Raises ImportError naming the *extra* that brings it."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"{library} is not installed: install bridgekit-async with its {extra!r} extra"
        ) from error


class Binding:
    """The library and the classes made for it.

    Filled once while the binding module is imported and constant afterwards.

    Attributes:
        http: the library (``httpx`` or ``httpx2``).
        errors: the module with the exception tree.
        request, prepared, response, adapter: the bound classes.
    """

    def __init__(self, http: ModuleType, errors: ModuleType) -> None:
        self.http = http
        self.errors = errors
        self.request: type[Any]
        self.prepared: type[Any]
        self.response: type[Any]
        self.adapter: type[Any]
