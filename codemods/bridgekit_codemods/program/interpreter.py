"""How the interpreter is set while programs are parsed and built."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_RECURSION = 20_000


@contextmanager
def without_collection() -> Iterator[None]:
    """Trees are many small objects that all stay: looking for garbage among them is in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                # into the oldest generation without a look: else the next small allocation would
                # have all of them examined
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Syntax trees nest deeper than the interpreter's default allows for."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
