"""Seeded delays inside the bridge's own code, in every thread that runs it.

No seam in the package is needed: the interpreter calls back at every function call, C call, line
or bytecode of its files, and there a thread now and then gives way. Up to CPython 3.11 that is
the work of each thread's profile and trace hooks, from 3.12 on of ``sys.monitoring``. The older
hooks would not do there: 3.12 gives no bytecode events to a frame that was entered before, and
crashes when one thread asks for them while another, no longer traced, runs a frame that once had.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
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
        self.grain = rng.choice(("call", "call", "line", "opcode"))
        self._rate = rng.choice((0.02, 0.1, 0.3)) if self.grain == "call" else 0.01
        self._interval = rng.choice(_INTERVALS)
        self._threads = 0
        self._local = threading.local()
        self._hooks: Any
        if sys.version_info >= (3, 12):
            self._hooks = _Monitoring(self)
        else:
            self._hooks = _Hooks(self)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Perturb the current thread, those that call :meth:`here`, and new ones."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(self._interval)
        try:
            with self._hooks.active():
                self.here()
                yield
        finally:
            sys.setswitchinterval(before)

    def here(self) -> None:
        """Perturb the current thread from now on, also in the frames that it is in already."""
        if not self._hooks.on or getattr(self._local, "rng", None) is not None:
            return
        self._new_thread()
        self._hooks.here()

    def maybe_wait(self, *_: object) -> None:
        """Called wherever a thread may have to wait."""
        rng = getattr(self._local, "rng", None)
        if rng is None:
            rng = self._new_thread()
        if rng.random() < self._rate:
            time.sleep(rng.choice(_DELAYS))

    def _new_thread(self) -> random.Random:
        self._threads += 1
        rng = self._local.rng = random.Random(f"{self._seed}/{self._threads}")
        return rng


class _Hooks:
    """The profile and trace functions of each thread, which puts them on and off itself."""

    def __init__(self, perturbation: Perturbation) -> None:
        self._perturbation = perturbation
        self.on = False

    @contextmanager
    def active(self) -> Iterator[None]:
        tracer, profiler = sys.gettrace(), sys.getprofile()
        self.on = True
        threading.setprofile(self._profile)
        try:
            yield
        finally:
            self.on = False  # the other threads take their hooks off when they next come by
            threading.setprofile(None)
            sys.settrace(tracer)
            sys.setprofile(profiler)

    def here(self) -> None:
        if self._perturbation.grain == "call":
            sys.setprofile(self._profile)
            return
        sys.settrace(self._trace)
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename.startswith(_PACKAGE):
                self._follow(frame)
            frame = frame.f_back  # type: ignore[assignment]

    def _profile(self, frame: Any, event: str, arg: object) -> None:
        if not self.on:
            sys.setprofile(None)
        elif frame.f_code.co_filename.startswith(_PACKAGE):
            self._perturbation.maybe_wait()

    def _trace(self, frame: Any, event: str, arg: object) -> Any:
        if not self.on:
            sys.settrace(None)
        elif frame.f_code.co_filename.startswith(_PACKAGE):
            return self._follow(frame)
        return None

    def _follow(self, frame: Any) -> Any:
        frame.f_trace = self._step
        frame.f_trace_opcodes = self._perturbation.grain == "opcode"
        return self._step

    def _step(self, frame: Any, event: str, arg: object) -> Any:
        if not self.on:
            sys.settrace(None)
            return None
        self._perturbation.maybe_wait()
        return self._step


if sys.version_info >= (3, 12):
    _events = sys.monitoring.events
    _FUNCTIONS = (
        *(_events.PY_START, _events.PY_RESUME, _events.PY_RETURN, _events.PY_YIELD),
        *(_events.CALL, _events.C_RETURN, _events.C_RAISE),
    )
    _EVENTS = {"call": _FUNCTIONS, "line": (_events.LINE,), "opcode": (_events.INSTRUCTION,)}
    # What a call returns with belongs to the event of the call and cannot be asked for by itself.
    _IMPLIED = _events.C_RETURN | _events.C_RAISE

    class _Monitoring:
        """The process's monitoring of the package's code objects, whichever thread runs them."""

        TOOL = 4  # none of those that debuggers, coverage and profilers have to themselves

        def __init__(self, perturbation: Perturbation) -> None:
            self._perturbation = perturbation
            self.on = False

        @contextmanager
        def active(self) -> Iterator[None]:
            sys.monitoring.use_tool_id(self.TOOL, "bridgekit's tests")
            wanted = 0
            for event in _EVENTS[self._perturbation.grain]:
                sys.monitoring.register_callback(self.TOOL, event, self._perturbation.maybe_wait)
                wanted |= event & ~_IMPLIED
            codes = _codes_of(tuple(name for name in sys.modules if name.startswith("bridgekit")))
            self.on = True
            try:
                for code in codes:
                    sys.monitoring.set_local_events(self.TOOL, code, wanted)
                yield
            finally:
                self.on = False
                for code in codes:
                    sys.monitoring.set_local_events(self.TOOL, code, 0)
                for event in _EVENTS[self._perturbation.grain]:
                    sys.monitoring.register_callback(self.TOOL, event, None)
                sys.monitoring.free_tool_id(self.TOOL)

        def here(self) -> None:
            """Nothing: the events are the process's, in frames that are entered already as well."""

    @lru_cache(1)
    def _codes_of(modules: tuple[str, ...]) -> list[CodeType]:
        """The code of the package's functions, and what is nested in it, with these modules in."""
        found: dict[int, CodeType] = {}
        ahead = [one.__code__ for one in gc.get_objects() if isinstance(one, FunctionType)]
        while ahead:
            code = ahead.pop()
            if code.co_filename.startswith(_PACKAGE) and id(code) not in found:
                found[id(code)] = code
                ahead += [one for one in code.co_consts if isinstance(one, CodeType)]
        return list(found.values())
