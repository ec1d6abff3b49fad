"""The same reports on a terminal: colours, a highlighted difference, live progress.

Without a terminal the output is the plain lines, so logs and pipes stay readable.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from bridgekit_codemods.reports.lines import short

_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_WORD_STYLES = (
    ("done", "green"),
    ("green", "green"),
    ("kept", "yellow"),
    ("red", "bold red"),
    ("remedy:", "dim"),
    ("cannot be processed", "bold red"),
)


class Printer:
    """Prints lines to one stream, in colour when it is a terminal."""

    def __init__(self, stream: TextIO | None = None, is_terminal: bool | None = None) -> None:
        self.stream = stream or sys.stdout
        self.is_terminal = self.stream.isatty() if is_terminal is None else is_terminal
        self.console = Console(
            file=self.stream, force_terminal=self.is_terminal, soft_wrap=True, highlight=False
        )

    def print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.line(line)

    def line(self, line: str) -> None:
        if self.is_terminal:
            self.console.print(_styled(line))
        else:
            text = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            print(text, file=self.stream, flush=True)

    def show(self, what: RenderableType) -> None:
        """Print something that rich draws, one line a row: cut at the edge of a terminal, whole and
        without colours elsewhere."""
        if self.is_terminal:
            self.console.print(what, soft_wrap=False, no_wrap=True, overflow="ellipsis", crop=True)
            return
        wide = Console(file=io.StringIO(), width=1_000, highlight=False, color_system=None)
        with wide.capture() as captured:
            wide.print(what)
        for line in captured.get().splitlines():
            self.line(line.rstrip())


class PlainProgress:
    """Follows a walk with one line per event."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, message: str) -> None:
        self._printer.line(f"note: {message}")

    def started(self, number: int, title: str, key: str) -> None:
        self._printer.line(f"step {number}: {title}  [{short(key)}]" if key else title)

    def state(self, state: str) -> None:
        pass

    def finished(self, outcome: str, detail: str, seconds: float) -> None:
        self._printer.line(f"  {outcome} in {seconds:.1f} s: {_first_line(outcome, detail)}")


class LiveProgress:
    """Follows a walk with a live line: step, title, state, time."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._title = ""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[state]}", style="cyan", markup=False),
            TimeElapsedColumn(),
            console=printer.console,
            transient=True,
        )
        self._task = self._progress.add_task("", state="", visible=False)

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, message: str) -> None:
        self._printer.line(f"note: {message}")

    def started(self, number: int, title: str, key: str) -> None:
        self._title = f"step {number}: {title}" if key else title
        self._progress.reset(self._task, description=self._title, state="", visible=True)

    def state(self, state: str) -> None:
        self._progress.update(self._task, state=state)

    def finished(self, outcome: str, detail: str, seconds: float) -> None:
        self._progress.update(self._task, visible=False)
        self._printer.line(f"{outcome:<5} {self._title}  ({seconds:.1f} s)")
        self._printer.line(f"      {_first_line(outcome, detail)}")


def progress(printer: Printer) -> PlainProgress | LiveProgress:
    """What suits the stream."""
    return LiveProgress(printer) if printer.is_terminal else PlainProgress(printer)


def _first_line(outcome: str, detail: str) -> str:
    """A success says it all in its first line; a failure most often in its last."""
    lines = [line for line in detail.splitlines() if line.strip()]
    if not lines:
        return ""
    if outcome in {"done", "green"} or len(lines) == 1:
        return lines[0]
    cause = lines[0].partition(":")[0]
    telling = [line for line in lines if line.startswith(("FAILED ", "ERROR ", "E  "))]
    return f"{cause}: {(telling or lines[-1:])[0].strip()}"


def _styled(line: str) -> Text:
    if line[:1] in _DIFF_STYLES:
        return Text(line, style=_DIFF_STYLES[line[0]])
    text = Text(line)
    if line.startswith(("step ", "diff --git ")):
        text.stylize("bold")
    for word, style in _WORD_STYLES:
        if line.lstrip(" 0123456789-").startswith(word) or f": {word}" in line:
            start = line.index(word)
            text.stylize(style, start, start + len(word))
    return text
