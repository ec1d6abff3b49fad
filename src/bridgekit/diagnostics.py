"""Find out why a program hangs: who waits for whom, and what is done about deadlocks.

``print(bridgekit.diagnostics.format_waits())`` may be called at any time on any thread, from a
debugger, a signal handler or an administrator's page.
"""

from __future__ import annotations

from bridgekit.engine.waits.listing import Wait, present_waits
from bridgekit.engine.waits.watch import Action, action, set_action

__all__ = ["Wait", "deadlock_action", "format_waits", "set_deadlock_action", "waits"]


def waits() -> list[Wait]:
    """What waits at this moment for a thread, a token, a coroutine or another task.

    One look at a running program: it may be out of date when it is returned, and a participant
    that is marked as stuck may just be between two states. Look again before you believe it.
    """
    return present_waits()


def format_waits() -> str:
    """:func:`waits` as text, the stuck ones first."""
    lines = []
    for wait in sorted(waits(), key=lambda wait: not wait.stuck):
        groups = "; and ".join(" or ".join(group) for group in wait.needs)
        lines.append(f"{'STUCK: ' if wait.stuck else ''}{wait.who} {wait.how} {groups}")
        lines += [line.rstrip("\n") for line in wait.stack]
    return "\n".join(lines) or "nothing waits"


def deadlock_action() -> Action:
    """What is done when a deadlock has been found."""
    return action()


def set_deadlock_action(value: Action) -> None:
    """Choose what is done about deadlocks in the whole process, of waits that begin from now on.

    ``"raise"`` ends one of the waits with ``DeadlockError`` (the default), ``"log"`` only writes
    the error to the log, ``"off"`` does not look for deadlocks. The environment variable
    ``BRIDGEKIT_DEADLOCKS`` sets the same at the start.

    :raises ValueError: no such action.
    """
    set_action(value)
