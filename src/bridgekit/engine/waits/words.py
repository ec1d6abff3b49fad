"""Names and stacks of what waits, for people to read."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterable
from itertools import pairwise
from types import FrameType

from bridgekit.engine.naming import describe
from bridgekit.engine.waits.futures import coroutine_frames
from bridgekit.engine.waits.graph import Graph, Key
from bridgekit.engine.waits.tasks import Task, reader_of
from bridgekit.engine.work import Work

__all__ = ["call_name", "explain", "task_name", "task_stack", "thread_name", "thread_stack"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
MAX_FRAMES = 12
MAX_STACKS = 6


def call_name(work: Work) -> str:
    """A call on its way to a thread or on one."""
    func = work._func
    return "a call" if func is None else f"the call of {describe(func)}"


def task_name(task: Task) -> str:
    """A task, with the outermost function of the program in it."""
    reader = reader_of(task)
    frames = list(coroutine_frames(reader.coroutine(task)))
    frame = next((frame for frame in frames if not _is_ours(frame)), None)
    return f"task {reader.name(task)!r}{_in(frame)}"


def thread_name(ident: int) -> str:
    """A thread, with the innermost function of the program in it."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = _program_frames_of(ident)
    return f"thread {names.get(ident, str(ident))!r}{_in(frames[-1] if frames else None)}"


def _program_frames_of(ident: int) -> list[FrameType]:
    """Innermost call last. Only for parked threads: no others' frames stand still."""
    innermost = sys._current_frames().get(ident)
    frames = [frame for frame, _ in traceback.walk_stack(innermost)] if innermost else []
    return [frame for frame in reversed(frames) if not _is_ours(frame)]


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    if name.startswith(_PACKAGE) or name == threading.__file__:
        return True
    # Under every block that waits for the tasks of a nursery: nothing that tells anybody more.
    return str(frame.f_globals.get("__name__")).startswith("trio._core.")


def _in(frame: FrameType | None) -> str:
    if frame is None:
        return ""
    return f" (in {frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname})"


def task_stack(task: Task) -> list[str]:
    """Where a suspended task is, innermost call last, without the bridge's own frames."""
    return _format(coroutine_frames(reader_of(task).coroutine(task)))


def thread_stack(ident: int) -> list[str]:
    """Where a parked thread is, innermost call last, without the bridge's own frames."""
    return _format(_program_frames_of(ident))


def _format(frames: Iterable[FrameType]) -> list[str]:
    shown = [frame for frame in frames if not _is_ours(frame)][-MAX_FRAMES:]
    return traceback.StackSummary.extract((frame, frame.f_lineno) for frame in shown).format()


def explain(graph: Graph, chain: list[Key]) -> str:
    """A chain of waits in words, and the stacks of the threads and tasks in it."""
    nodes = [graph[key] for key in chain if not graph[key].transparent]
    lines = ["this wait could never have ended:"]
    lines += [f"  {node.name} {node.waits} {following.name}" for node, following in pairwise(nodes)]
    shown = {node.key: node for node in nodes if node.stack is not None}
    for node in list(shown.values())[:MAX_STACKS]:
        assert node.stack is not None
        lines += ["", f"Stack of {node.name}, innermost call last:"]
        lines += [line.rstrip("\n") for line in node.stack()]
    return "\n".join(lines)
