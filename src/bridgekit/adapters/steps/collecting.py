"""Whether the current thread is in the garbage collector.

A finalizer that would wait for another thread must know: the collector can strike anywhere, with
locks held that the other thread needs. A finalizer that runs because the last reference has gone
(leaving a ``for`` loop) is ordinary code.
"""

from __future__ import annotations

import gc
import threading
from typing import Any

__all__ = ["is_collecting"]

_thread: int | None = None


def _follow(phase: str, info: dict[str, Any]) -> None:
    global _thread
    _thread = threading.get_ident() if phase == "start" else None


gc.callbacks.append(_follow)


def is_collecting() -> bool:
    """Whether this call comes from a finalizer that the cyclic collector runs in this thread."""
    return _thread == threading.get_ident()
