"""What a blocking library call does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Blocks: TypeAlias = Literal[
    "http", "db", "sleep", "file", "subprocess", "lock", "thread", "socket", "mail", "input"
]


@dataclass(frozen=True, slots=True)
class Effect:
    """The library callable `dotted` may block the calling thread on `blocks`."""

    dotted: str
    blocks: Blocks
    note: str = ""
