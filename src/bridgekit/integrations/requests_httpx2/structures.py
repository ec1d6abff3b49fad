"""The mappings of the interface."""

from __future__ import annotations

from .._requests.structures import CaseInsensitiveDict, LookupDict

__all__ = [
    "CaseInsensitiveDict",
    "LookupDict",
]
