"""Python programs run in a process of their own, which is killed when it does not end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.bridge.stopwatch import Stopwatch

__all__ = ["Program", "run_program"]

# How long a program takes to start and import everything on a busy machine.
PATIENCE = 60.0
# CPython misses a signal that comes after its last look and before a system call blocks, until the
# next signal (https://peps.python.org/pep-0475/). The second one does not end the call itself.
NUDGE = 2.0

_PRELUDE = """
import asyncio, contextlib, contextvars, gc, os, signal, sys, threading, time, warnings
from bridgekit import (
    BlockingPortal, CapacityLimiter, PortalClosedError, ThreadSensitiveContext, async_to_sync,
    default_portal, from_thread, start_blocking_portal, sync_to_async, to_thread,
)
warnings.filterwarnings("ignore", message=".*fork.*")
if hasattr(signal, "SIGUSR1"):
    signal.signal(signal.SIGUSR1, lambda *_: None)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
async def native(value=None):
    await asyncio.sleep(0)
    return value
async def started(event):
    while not event.is_set():
        await asyncio.sleep(0.001)
"""


class Program:
    """A running program whose lines can be waited for and which can be sent signals."""

    def __init__(self, code: str) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-X", "faulthandler", "-c"),
                _PRELUDE + textwrap.dedent(code),
            ],
            cwd=Path(__file__).parents[2],  # so that it can import other modules of the tests
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that forked children can be killed with it
        )
        self.lines: list[str] = []
        self._signalled = False

    def line(self) -> str:
        """The next line that the program prints."""
        assert self._process.stdout is not None
        read = bytearray()
        # Byte by byte: what a buffer had read ahead would be lost to `communicate`.
        while not read.endswith(b"\n"):
            byte = os.read(self._process.stdout.fileno(), 1)
            if not byte:
                break
            read += byte
        line = read.decode().rstrip("\n")
        self.lines.append(line)
        return line

    def signal(self, number: int = signal.SIGINT) -> None:
        self._signalled = True
        self._process.send_signal(number)

    def seconds_to_the_end(self) -> float:
        """Wait for the end: how long it takes, without what the program waits for a processor."""
        return Stopwatch(self._process.pid).measure_exit(self._process, PATIENCE)

    def end(self, timeout: float = PATIENCE) -> tuple[list[str], str]:
        """Wait for the end: the further lines and the error output."""
        try:
            try:
                out, err = self._process.communicate(timeout=NUDGE if self._signalled else timeout)
            except subprocess.TimeoutExpired:
                if not self._signalled:
                    raise
                self._process.send_signal(signal.SIGUSR1)
                out, err = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # faulthandler prints where it stands
            try:
                out, err = self._process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()
                out, err = self._process.communicate()
            pytest.fail(f"the program hung after printing {[*self.lines, out]}:\n{err}")
        return out.splitlines(), err

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    @property
    def code(self) -> int | None:
        return self._process.returncode


def run_program(code: str, *, within: float | None = None) -> list[str]:
    """Run a program that must end well and print nothing to its error output; its lines.

    :param within: the seconds it may take from its last line to its end.
    """
    program = Program(code)
    try:
        if within is not None:
            while program.line() not in ("main ends", ""):
                pass
            took = program.seconds_to_the_end()
            lines, err = program.end()
            assert took < within, "the exit took too long"
        else:
            lines, err = program.end()
        assert (program.code, err) == (0, ""), (program.lines, lines, err)
        return program.lines + lines
    finally:
        program.kill()
