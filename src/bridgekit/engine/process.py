"""Fork and exit: when the process that the engine's threads lived in is no longer this one."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["after_fork", "at_exit", "generation", "is_main_thread"]

_generation = 0
_main_thread_id: int | None = threading.main_thread().ident
_fork_callbacks: list[Callable[[], None]] = []
_exit_callbacks: list[Callable[[], None]] = []


def generation() -> int:
    """Changes with every fork, in the child. What another generation owned has no threads here."""
    return _generation


def is_main_thread(thread_id: int) -> bool:
    """Whether this is the identity of the main thread."""
    return thread_id == _main_thread_id


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


def _run_fork_callbacks() -> None:
    global _generation, _main_thread_id
    _generation += 1
    _main_thread_id = threading.get_ident()  # the only thread that a fork leaves
    for callback in _fork_callbacks:
        callback()


def _run_exit_callbacks() -> None:
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
