"""Fork and exit: when the process that the engine's threads lived in is no longer this one."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = [
    "after_fork",
    "at_exit",
    "current",
    "exit_timeout",
    "generation",
    "is_main_thread",
    "set_exit_timeout",
]

EXIT_VARIABLE = "BRIDGEKIT_EXIT_SECONDS"
EXIT_SECONDS = 2.0


class _Current:
    """This process: its generation, its main thread, and whether it is about to exit."""

    __slots__ = ("exiting", "generation", "main_thread_id")

    def __init__(self) -> None:
        self.generation = 0
        self.exiting = False
        self.main_thread_id: int | None = threading.main_thread().ident


current = _Current()
"""Read on every call, so without a function in between; only a fork and the exit write to it."""

_fork_callbacks: list[Callable[[], None]] = []
_exit_callbacks: list[Callable[[], None]] = []


def generation() -> int:
    """Changes with every fork, in the child. What another generation owned has no threads here."""
    return current.generation


def is_main_thread(thread_id: int) -> bool:
    """Whether this is the identity of the main thread."""
    return thread_id == current.main_thread_id


def after_fork(callback: Callable[[], None]) -> None:
    """Register what a forked child must forget. Runs before any other code of the child."""
    _fork_callbacks.append(callback)


def at_exit(callback: Callable[[], None]) -> None:
    """Register what must be closed before the interpreter waits for non-daemon threads.

    Such threads may belong to what the callback closes (database drivers keep one per
    connection), so the usual ``atexit``, which comes after that wait, would be too late. It is
    called once more at ``atexit`` for what was opened in between.
    """
    _exit_callbacks.append(callback)


def exit_timeout() -> float:
    """Seconds that the exit of the interpreter may take on account of this package."""
    return _exit_timeout


def set_exit_timeout(seconds: float) -> None:
    """Choose how long the interpreter may take at its exit to end what runs on the portal loop.

    There, tasks are cancelled and resources closed. What has not ended in time is left, with a
    warning in the log, and the interpreter goes on. Without a choice it is two seconds, or what the
    environment variable ``BRIDGEKIT_EXIT_SECONDS`` says. Functions that still run on worker threads
    never keep the interpreter from its exit.

    :raises ValueError: not a number of seconds.
    """
    global _exit_timeout
    _exit_timeout = _seconds(seconds, "the exit timeout")


def _seconds(value: float | str, name: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise ValueError(f"{name} must be a number of seconds, not {value!r}")
    return seconds


_exit_timeout = _seconds(os.environ.get(EXIT_VARIABLE, EXIT_SECONDS), EXIT_VARIABLE)


def _run_fork_callbacks() -> None:
    current.generation += 1
    current.exiting = False
    current.main_thread_id = threading.get_ident()  # the only thread that a fork leaves
    for callback in _fork_callbacks:
        callback()


def _run_exit_callbacks() -> None:
    current.exiting = True
    for callback in reversed(_exit_callbacks):
        callback()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run_fork_callbacks)

atexit.register(_run_exit_callbacks)
# Private, but what concurrent.futures uses for the same purpose since Python 3.9.
_register_before_join = getattr(threading, "_register_atexit", None)
if _register_before_join is not None:
    with suppress(RuntimeError):  # imported for the first time at exit
        _register_before_join(_run_exit_callbacks)
