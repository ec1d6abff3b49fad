"""A progress bar for work that takes longer than a moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

DELAY = 1.0
"""Seconds after which the bar appears: shorter work shows nothing."""
_T = TypeVar("_T")


class Waiting:
    """Shows on standard error what goes on, once that takes longer than ``DELAY``.

    Shows nothing where the stream is no terminal, and leaves nothing behind when the work is done.
    A context manager; ``stage`` and ``pause`` are for the thread that does the work.
    """

    def __init__(
        self,
        stage: str,
        stream: TextIO | None = None,
        is_terminal: bool | None = None,
        delay: float = DELAY,
        timer: Callable[[float, Callable[[], None]], threading.Timer] = threading.Timer,
    ) -> None:
        stream = stream or sys.stderr
        self.is_terminal = stream.isatty() if is_terminal is None else is_terminal
        self._delay = delay
        self._make_timer = timer
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._is_shown = False
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream, force_terminal=self.is_terminal),
            transient=True,
        )
        self._task = self._progress.add_task(stage, total=None)

    def __enter__(self) -> Waiting:
        if self.is_terminal:
            self._timer = self._make_timer(self._delay, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._is_over = True
            self._hide()

    def stage(self, text: str) -> None:
        """What goes on from now."""
        self._progress.update(self._task, description=_short(text))

    def printing(self, items: Iterable[_T]) -> Iterator[_T]:
        """The items as they come; the bar is away while the caller deals with each.

        So a caller may print each item to the same terminal."""
        for item in items:
            with self._lock:
                was_shown = self._is_shown
                self._hide()
            yield item
            if was_shown:
                self._show()

    def _show(self) -> None:
        with self._lock:
            if not self._is_over and not self._is_shown:
                self._progress.start()
                self._is_shown = True

    def _hide(self) -> None:
        if self._is_shown:
            self._progress.stop()
            self._is_shown = False


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
