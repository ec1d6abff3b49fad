"""Which threads are parked in a lane, and what runs on them.

No frame of a running thread is looked at: reading its local variables from another thread can
crash the interpreter. The bell of a thread knows the lane that the thread has entered last, and a
lane knows those around it.
"""

from __future__ import annotations

from bridgekit.engine.call import Call
from bridgekit.engine.lane import Lane
from bridgekit.engine.wakers import entered_lanes

__all__ = ["is_parked", "parked_lanes", "works_on_thread"]


def parked_lanes() -> dict[int, Lane]:
    """The innermost lane of every thread that is parked, by the identity of the thread."""
    found: dict[int, Lane] = {}
    for lane in entered_lanes():
        if is_parked(lane):
            found[lane.thread_id] = lane
    return found


def is_parked(lane: Lane) -> bool:
    """Whether the thread of the lane sleeps in it, and nothing is there that will wake it."""
    return lane._parked and lane.is_open and not lane.answered and not lane._jobs


def works_on_thread(lane: Lane) -> list[Call]:
    """The calls under way on the thread of its innermost lane, the innermost first.

    Those that the main thread was given from outside its own chain are missing.
    """
    works = []
    current: Lane | None = lane
    while current is not None:
        if current.thread_id == lane.thread_id and current.work is not None:
            works.append(current.work)
        current = current.parent
    return works
