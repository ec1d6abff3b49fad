"""Watches the callbacks of asyncio's event loops for ones that hold a loop too long."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

_TICKS = 5


class LoopWatch:
    """Reports each callback that runs longer than ``seconds``, with the stack it is at.

    A thread looks at what every loop runs ``_TICKS`` times in that span, and counts looks, not
    time: when the whole machine stalls it stalls too, and nobody is blamed for that.
    Every write to the shared table is one atomic dictionary operation by the thread it is about.
    """

    def __init__(self, seconds: float, report: Callable[[str], object]) -> None:
        self._seconds = seconds
        self._report = report
        self._running: dict[int, object] = {}
        self._stopped = threading.Event()
        self._paused = False
        self._original: Callable[[Any], None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch all loops of this process; at most once."""
        original: Callable[[Any], None] = asyncio.Handle._run
        self._original = original
        running = self._running
        identify = threading.get_ident

        def run(handle: Any) -> None:
            thread = identify()
            outer = running.get(thread)
            running[thread] = object()
            try:
                original(handle)
            finally:
                if outer is None:
                    running.pop(thread, None)
                else:  # a loop inside a callback of another loop
                    running[thread] = outer

        asyncio.Handle._run = run  # type: ignore[assignment, method-assign]
        self._thread = threading.Thread(target=self._look, name="bridgekit-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch and put asyncio back as it was."""
        if self._original is not None:
            asyncio.Handle._run = self._original  # type: ignore[assignment, method-assign]
            self._original = None
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def _look(self) -> None:
        seen: dict[int, tuple[object, int]] = {}
        while not self._stopped.wait(self._seconds / _TICKS):
            now = {} if self._paused else dict(self._running)
            for thread, callback in now.items():
                before, looks = seen.get(thread, (None, 0))
                looks = looks + 1 if before is callback else 0
                seen[thread] = (callback, looks)
                if looks == _TICKS:
                    self._report(self._describe(thread))
            for thread in seen.keys() - now.keys():
                del seen[thread]

    def _describe(self, thread: int) -> str:
        frame = sys._current_frames().get(thread)
        stack = "".join(traceback.format_list(_inside(frame)))
        return f"the event loop was blocked for more than {self._seconds:g} s, at\n{stack}".rstrip()


def _inside(frame: FrameType | None) -> list[traceback.FrameSummary]:
    """The stack from the loop's callback inwards."""
    frames = list(traceback.extract_stack(frame)) if frame is not None else []
    starts = [
        index
        for index, entry in enumerate(frames)
        if entry.name == "_run" and entry.filename == asyncio.events.__file__
    ]
    return frames[starts[-1] + 1 :] if starts else frames
