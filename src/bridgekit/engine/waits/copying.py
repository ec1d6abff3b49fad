"""Copies of what other threads may be changing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["copy_of"]

T = TypeVar("T")
_MAX_TRIES = 10


def copy_of(items: Iterable[T]) -> list[T]:
    """A list of the items; empty if they keep changing."""
    for _ in range(_MAX_TRIES):
        try:
            return list(items)
        except RuntimeError:  # changed while it was copied
            continue
    return []
