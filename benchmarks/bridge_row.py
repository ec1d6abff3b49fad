"""What a row of the comparison is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Measure", "Row"]

Measure = Callable[[], Awaitable[float]] | Callable[[], float]


@dataclass(frozen=True)
class Row:
    """A measure and the peer it is compared with; both return seconds (or bytes) for one item.

    :param loop: which loop runs the measures that are coroutine functions.
    :param slow: starts processes, so it gets fewer rounds.
    """

    name: str
    ours: Measure
    peer: Measure
    target: float | None
    loop: Literal["asyncio", "uvloop"] = "asyncio"
    unit: Literal["us", "ms", "MiB"] = "us"
    slow: bool = False
