"""The garbage collector of a process that serves requests on a loop.

A threaded server holds the objects of as many requests as it has threads. A loop holds those of
all open requests, hundreds, and none of them is garbage: CPython's thresholds, made for programs
with few live objects, then have it walk through all of them many times a second and find
nothing. While an application serves, collections are rarer and leave out what was there before
the first request. Reference counting, which frees nearly everything, is as ever.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collecting_seldom"]

#: New containers, less those that are gone, before the youngest ones are looked at: about as many
#: as a few hundred open requests hold.
YOUNG = 50_000

_DEFAULTS = (700, 2000) if sys.implementation.name == "cpython" else ()
_lock = threading.Lock()
_serving = 0
_before: tuple[int, int, int] | None = None


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Collect seldom until the block ends; blocks may overlap, also in several threads.

    A program that has chosen thresholds of its own, has switched the collector off or has frozen
    objects keeps what it chose, during the block and after it.
    """
    _begin()
    try:
        yield
    finally:
        _end()


def _begin() -> None:
    global _serving, _before
    with _lock:
        _serving += 1
        if _serving > 1:
            return
        thresholds = gc.get_threshold()
        if gc.isenabled() and thresholds[0] in _DEFAULTS and not _program_has_frozen():
            _before = thresholds
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG, *thresholds[1:])


def _program_has_frozen() -> bool:
    """Whether ``gc.freeze()`` has been called, and not undone since.

    The count does not say it: CPython 3.12 begins with some hundred objects frozen. But a call
    leaves out nothing that is there, so it freezes the dictionary of all modules as well.
    """
    modules = sys.modules
    return gc.get_freeze_count() > 0 and all(one is not modules for one in gc.get_objects())


def _end() -> None:
    global _serving, _before
    with _lock:
        _serving -= 1
        if _serving or _before is None:
            return
        before, _before = _before, None
        if gc.get_threshold()[0] == YOUNG:
            gc.set_threshold(*before)
        gc.unfreeze()
