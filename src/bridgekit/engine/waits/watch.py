"""Where calls that have to queue say so. Light enough to be called wherever one queues.

``watch(place)`` is called with a pool, a thread, a lane or a limiter when something begins to
wait there. The first call starts the monitor's thread, which looks at the places from time to
time and ends when nothing waits any more. A call that does not have to queue touches nothing
here, and one that does only looks whether its place is known.

No wait is missed: the monitor forgets a place first and looks whether something waits there
afterwards; who queues does it the other way round.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Literal

from bridgekit.engine import process

if TYPE_CHECKING:
    from bridgekit.engine.waits.monitor import Monitor

__all__ = ["Action", "action", "set_action", "watch"]

Action = Literal["raise", "log", "off"]
ACTIONS: tuple[Action, ...] = ("raise", "log", "off")
VARIABLE = "BRIDGEKIT_DEADLOCKS"

places: set[object] = set()
_running = False
_lock = threading.RLock()  # a signal handler or a finaliser may strike while it is held


def _from_environment() -> Action:
    wanted = os.environ.get(VARIABLE, "raise")
    for known in ACTIONS:
        if wanted == known:
            return known
    raise ValueError(f"{VARIABLE} must be one of {', '.join(ACTIONS)}, not {wanted!r}")


_action: Action = _from_environment()


def action() -> Action:
    """What is done about a deadlock."""
    return _action


def set_action(value: Action) -> None:
    """Choose what is done about deadlocks from now on.

    :raises ValueError: no such action.
    """
    global _action
    if value not in ACTIONS:
        raise ValueError(f"the action must be one of {', '.join(ACTIONS)}, not {value!r}")
    _action = value


def watch(place: object) -> None:
    """Something begins to wait at ``place``. Any thread may call this."""
    if place not in places and _action != "off":
        places.add(place)
        if not _running:
            _start()


def _start() -> None:
    global _running
    # Not in the new thread: what a thread is importing while another one forks stays half imported
    # in the child. Usually it is there: `crossing` sees to that.
    from bridgekit.engine.waits.monitor import Monitor

    with _lock:
        if _running:
            return
        _running = True
        body = partial(_watch_places, Monitor)
        monitor = threading.Thread(target=body, name="bridgekit-deadlocks", daemon=True)
        # At interpreter exit, or where there are no more threads to be had, nobody watches; the
        # place stays known, and the monitor starts with the next one.
        try:
            monitor.start()
        except RuntimeError:
            _running = False


def _watch_places(kind: type[Monitor]) -> None:
    global _running
    generation = process.generation()
    monitor = kind(places)
    while generation == process.generation():
        monitor.watch_until_nothing_waits()
        _running = False
        if not places:
            return
        # Something has begun to wait meanwhile, and has seen a monitor that was about to end.
        with _lock:
            if _running:
                return
            _running = True


def _forget_places() -> None:
    global _running, _lock
    _lock = threading.RLock()
    _running = False
    places.clear()


process.after_fork(_forget_places)
