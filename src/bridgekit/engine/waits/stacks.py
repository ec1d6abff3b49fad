"""What every thread is doing for the engine, read off its stack.

The engine records nowhere which thread runs which call or is parked where: the frames of its own
few functions tell. A thread is *parked* if its innermost frame outside the bell's is that of a
lane; whatever else it does, it is taken to be able to go on.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass, field
from inspect import CO_COROUTINE
from types import CodeType, FrameType
from typing import Any

from bridgekit.engine import wakers
from bridgekit.engine.lane import Lane
from bridgekit.engine.work import Work
from bridgekit.engine.workers import OwnedThread, WorkerPool, _PoolWorker

__all__ = ["ThreadView", "look_at_threads"]

_PARK = Lane.park.__code__
_RUN = Work.run.__code__
_OWNED = OwnedThread._serve.__code__
_POOLED = _PoolWorker._serve.__code__
_RUN_FOREVER = asyncio.BaseEventLoop.run_forever.__code__
_MARKS: frozenset[CodeType] = frozenset([_PARK, _RUN, _OWNED, _POOLED, _RUN_FOREVER])
_SLEEPING_FILES = frozenset([wakers.__file__, threading.__file__])


@dataclass
class ThreadView:
    """One thread at one moment."""

    ident: int
    frame: FrameType
    parked: Lane | None = None
    lanes: list[Lane] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    coroutines: list[FrameType] = field(default_factory=list)
    loops: list[object] = field(default_factory=list)
    owned: OwnedThread | None = None
    pool: WorkerPool | None = None


def look_at_threads() -> dict[int, ThreadView]:
    """Every thread of the process but the one that asks."""
    own = threading.get_ident()
    return {
        ident: _look_at(ident, frame)
        for ident, frame in sys._current_frames().items()
        if ident != own
    }


def _look_at(ident: int, innermost: FrameType) -> ThreadView:
    view = ThreadView(ident, innermost)
    frame: FrameType | None = innermost
    asleep = True
    while frame is not None:
        code = frame.f_code
        if code in _MARKS:
            owner: Any = frame.f_locals.get("self")
            if code is _PARK:
                if asleep:
                    view.parked = owner
                view.lanes.append(owner)
            elif code is _RUN:
                view.works.append(owner)
            elif code is _OWNED:
                view.owned = owner
            elif code is _POOLED:
                view.pool = owner._pool
            else:
                view.loops.append(owner)
        elif code.co_flags & CO_COROUTINE:
            view.coroutines.append(frame)
        if asleep and code.co_filename not in _SLEEPING_FILES:
            asleep = False
        frame = frame.f_back
    return view
