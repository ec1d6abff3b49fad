"""Seeded delays inside the bridge's own code, in every thread that runs it.

No seam in the package is needed: the interpreter's profile and trace hooks call back at every
function call, C call, line or bytecode of its files, and there a thread now and then gives way.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bridgekit

__all__ = ["Perturbation"]

_PACKAGE = str(Path(bridgekit.__file__).parent)
_DELAYS = (0.0, 0.0, 0.0, 0.00001, 0.0001, 0.001)
_INTERVALS = (1e-6, 1e-5, 1e-4, 5e-3)


class Perturbation:
    """One schedule. Call :meth:`here` in each thread that is to be perturbed.

    A thread's delays follow from the seed and from the order in which the threads first came.
    """

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._seed = seed
        self._grain = rng.choice(("call", "call", "line", "opcode"))
        self._rate = rng.choice((0.02, 0.1, 0.3)) if self._grain == "call" else 0.01
        self._interval = rng.choice(_INTERVALS)
        self._threads = 0
        self._on = False
        self._local = threading.local()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Perturb the current thread, those that call :meth:`here`, and new ones."""
        before = sys.getswitchinterval()
        tracer, profiler = sys.gettrace(), sys.getprofile()
        sys.setswitchinterval(self._interval)
        self._on = True
        threading.setprofile(self._profile)
        self.here()
        try:
            yield
        finally:
            self._on = False  # the other threads take their hooks off when they next come by
            threading.setprofile(None)  # type: ignore[arg-type]
            sys.settrace(tracer)
            sys.setprofile(profiler)
            sys.setswitchinterval(before)

    def here(self) -> None:
        """Perturb the current thread from now on, also in the frames that it is in already."""
        if not self._on or getattr(self._local, "rng", None) is not None:
            return
        self._threads += 1
        self._local.rng = random.Random(f"{self._seed}/{self._threads}")
        if self._grain == "call":
            sys.setprofile(self._profile)
            return
        sys.settrace(self._trace)
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename.startswith(_PACKAGE):
                self._follow(frame)
            frame = frame.f_back  # type: ignore[assignment]

    def _profile(self, frame: Any, event: str, arg: object) -> None:
        if not self._on:
            sys.setprofile(None)
        elif frame.f_code.co_filename.startswith(_PACKAGE):
            self._maybe_wait()

    def _trace(self, frame: Any, event: str, arg: object) -> Any:
        if not self._on:
            sys.settrace(None)
        elif frame.f_code.co_filename.startswith(_PACKAGE):
            return self._follow(frame)
        return None

    def _follow(self, frame: Any) -> Any:
        frame.f_trace = self._step
        frame.f_trace_opcodes = self._grain == "opcode"
        return self._step

    def _step(self, frame: Any, event: str, arg: object) -> Any:
        if not self._on:
            sys.settrace(None)
            return None
        self._maybe_wait()
        return self._step

    def _maybe_wait(self) -> None:
        rng = getattr(self._local, "rng", None)
        if rng is None:
            self._threads += 1
            rng = self._local.rng = random.Random(f"{self._seed}/{self._threads}")
        if rng.random() < self._rate:
            time.sleep(rng.choice(_DELAYS))
