"""The wait-for graph of the running program, as far as it can be told for sure.

What waits, for what, and why some waits need no place in the graph:

* a **task** waits for the future that it awaits. With a deadline it can go on by itself;
* a **call** waits for a place in which it is queued (any one will do), or for the thread that
  runs it. With a deadline of the task that awaits it, it is withdrawn in time;
* a **thread** that is parked in a lane waits for the task that serves its coroutine. While it has
  a job in that lane it can go on: so a call of its own chain, which goes to its lane, never waits
  for a pool that its own chain has filled. Only calls of another chain do: of tasks that were
  created outside, or that were sent to an outer lane while the thread is parked in an inner one;
* the **pool** waits for any of its threads, a **limiter** for any holder of a token. A call that
  holds a token lends it to the calls below it, so a chain never waits for its own token; a task
  can, that holds one in ``async with``.

Everything else counts as able to go on: threads that run or wait in any other way, tasks that
await anything else, tokens taken by ``acquire()`` (anybody may give those back), messages under
way. Nothing here blocks or runs code of the program's; what it reads may be changing. A single
picture may therefore be wrong; :mod:`~bridgekit.engine.waits.monitor` says when to believe it.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from bridgekit.engine.call import Call
from bridgekit.engine.lane import Lane
from bridgekit.engine.limiter import CapacityLimiter
from bridgekit.engine.owned_thread import OwnedThread
from bridgekit.engine.portal import LoopCall
from bridgekit.engine.waits import watch
from bridgekit.engine.waits.copying import copy_of
from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.futures import awaited_chain
from bridgekit.engine.waits.graph import Key, Loop, Node
from bridgekit.engine.waits.parked import is_parked, parked_lanes, works_on_thread
from bridgekit.engine.waits.tasks import (
    Task,
    explain_wait,
    is_task,
    reader_of,
    sleeping_task,
)
from bridgekit.engine.waits.words import (
    call_name,
    task_name,
    task_stack,
    thread_name,
    thread_stack,
)
from bridgekit.engine.work import Wish, Work
from bridgekit.engine.workers import WorkerPool

__all__ = ["Picture", "items_at"]

_ACQUIRE = CapacityLimiter.acquire.__code__


def items_at(place: object) -> list[Any]:
    """What is queued at a place: calls, or the futures of those who wait for a token."""
    if isinstance(place, Lane):
        return copy_of(place._jobs)
    if isinstance(place, CapacityLimiter):
        return copy_of(place._waiters)
    if isinstance(place, (WorkerPool, OwnedThread)):
        return [work for work in copy_of(place._queue) if work is not None and work._ticket]
    return []


class Picture:
    """A graph of what waits, and how it grows.

    :param deadlines: without them, no task is taken to have a deadline. What is live then is live
        with them too, and the timers of a busy loop need not be searched.

    Grows with :meth:`add`; :attr:`nodes` is the graph of what was added and all it needs.
    """

    def __init__(self, deadlines: Deadlines | None) -> None:
        self._deadlines = deadlines
        self.nodes: dict[Key, Node] = {}
        self._parked = parked_lanes()
        self._running = {
            id(work): ident
            for ident, lane in self._parked.items()
            for work in works_on_thread(lane)
        }
        self._with_deadline: dict[Loop | None, set[Task] | None] = {}
        self._places: dict[int, tuple[Work, list[Key]]] | None = None
        self._kinds: dict[str, Callable[[Any, Key], Node]] = {
            "call": self._call,
            "future": self._future,
            "limiter": self._limiter,
            "pool": self._pool,
            "task": self._task,
            "thread": self._thread,
        }
        self._todo: list[tuple[str, Any, Key]] = []

    def add(self, subject: object) -> Key:
        """Put a task, a call, a place or (by its identity) a thread into the graph."""
        key = self._need(subject)
        while self._todo:
            kind, item, item_key = self._todo.pop()
            self.nodes[item_key] = self._kinds[kind](item, item_key)
        return key

    def add_queued(self, place: object) -> None:
        """Put everything that is queued at a place into the graph."""
        for item in items_at(place):
            self.add(item if isinstance(item, Work) else sleeping_task(item) or item)

    def add_parked_threads(self) -> None:
        """Put every thread that waits for a coroutine into the graph."""
        for ident in self._parked:
            self.add(ident)

    def loop_thread_key(self, loop: Loop | None) -> Key | None:
        """The key of the thread that runs a loop, if it is parked and the loop tells."""
        ident = getattr(loop, "_thread_id", None)
        return self._need(ident) if ident in self._parked else None

    def _need(self, subject: Any) -> Key:
        kind = "future"
        if isinstance(subject, Lane):
            subject = subject.thread_id
        elif isinstance(subject, OwnedThread):
            subject = subject.ident
        if isinstance(subject, int):
            kind = "thread"
        elif isinstance(subject, Work):
            kind = "call"
        elif isinstance(subject, WorkerPool):
            kind = "pool"
        elif isinstance(subject, CapacityLimiter):
            kind = "limiter"
        elif is_task(subject):
            kind = "task"
        key = (kind, subject if kind == "thread" else id(subject))
        if key not in self.nodes:
            self.nodes[key] = Node(key, "", subject=subject)
            self._todo.append((kind, subject, key))
        return key

    def _any_of(self, subjects: Iterable[object]) -> tuple[Key, ...]:
        return tuple(dict.fromkeys(self._need(subject) for subject in subjects))

    # -- tasks and what they await -------------------------------------------------------------

    def _task(self, task: Task, key: Key) -> Node:
        reader = reader_of(task)
        loop: Loop | None = reader.loop(task)
        future = reader.awaited(task)
        node = partial(
            Node,
            key,
            partial(task_name, task),
            subject=task,
            wait=future,
            loop=loop,
            stack=partial(task_stack, task),
        )
        if reader.ended(task) or loop is None:
            return node()
        own_thread = self.loop_thread_key(loop)
        needs = () if own_thread is None else ((own_thread,),)
        if future is None or (hasattr(future, "done") and future.done()):
            return node(waits="runs on", needs=needs)
        if self._has_deadline(task):
            return node()
        limiter = _awaited_limiter(reader.coroutine(task), future)
        if limiter is None:
            return node(needs=(*needs, (self._need(future),)))
        waiters = copy_of(limiter._waiters)
        return node(
            needs=(*needs, (self._need(limiter),)),
            end=partial(_end_wait, future),
            order=waiters.index(future) if future in waiters else 0,
        )

    def _has_deadline(self, task: Task) -> bool:
        if self._deadlines is None:
            return False
        reader = reader_of(task)
        loop: Loop | None = reader.loop(task)
        if loop not in self._with_deadline:
            self._with_deadline[loop] = reader.with_deadline(loop, self._deadlines)
        found = self._with_deadline[loop]
        return found is None or task in found

    def _future(self, future: Any, key: Key) -> Node:
        needs = tuple(self._any_of(group) for group in explain_wait(future) or ())
        return Node(key, "a future", needs=needs, subject=future, transparent=True)

    # -- calls and threads ---------------------------------------------------------------------

    def _call(self, work: Work, key: Key) -> Node:
        node = partial(Node, key, partial(call_name, work), subject=work, wait=work)
        if work.ended or work.wish is not None:
            return node()
        if not work._ticket:
            ident = self._running.get(id(work))
            return node() if ident is None else node("runs on", ((self._need(ident),),))
        _, places = self._queues().get(id(work), (work, []))
        lane = work.queued_in
        if lane is not None and work in copy_of(lane._jobs):
            places = [*places, self._need(lane)]
        if not places:
            return node()
        host = None if work._waiter is None else sleeping_task(work._waiter)
        if host is None or self._has_deadline(host):
            return node()  # its end by cancellation is on the way, or set
        return node(
            "is queued for",
            (tuple(dict.fromkeys(places)),),
            end=work.fail,
            loop=reader_of(host).loop(host),
            stack=partial(task_stack, host),
        )

    def _queues(self) -> dict[int, tuple[Work, list[Key]]]:
        """Where every queued call is queued. The calls are kept, so that identities stay true."""
        if self._places is None:
            self._places = {}
            for place in copy_of(watch.places):
                target: Key | None = None
                for work in items_at(place):
                    if isinstance(work, Work):
                        target = target or self._need(place)
                        self._places.setdefault(id(work), (work, []))[1].append(target)
        return self._places

    def _thread(self, ident: int, key: Key) -> Node:
        lane = self._parked.get(ident)
        node = partial(
            Node,
            key,
            partial(thread_name, ident),
            subject=lane,
            wait=lane,
            stack=partial(thread_stack, ident),
        )
        if lane is None or not is_parked(lane):
            return node()
        tasks: list[Task] = []
        if isinstance(lane, LoopCall):
            if lane._task is not None:
                tasks = [lane._task]
        elif isinstance(lane, Wish) and lane.work is not None and lane.work.wish is not lane:
            serving = lane.work._serving
            tasks = [serving] if serving is not None else copy_of(lane.work._orphans or ())
            tasks = [getattr(task, "task", task) for task in tasks]  # as trio's parts of one
        return node(needs=(self._any_of(tasks),) if tasks else ())

    # -- pools and limiters --------------------------------------------------------------------

    def _pool(self, pool: WorkerPool, key: Key) -> Node:
        team = copy_of(pool._workers)
        node = partial(
            Node, key, f"the worker pool ({len(team)} of {pool.max_workers} threads)", subject=pool
        )
        idents = [worker.thread.ident for worker in team]
        if (
            pool._closed
            or pool._idle
            or len(team) < pool.max_workers
            or any(worker.next is not None or worker.thread.ident is None for worker in team)
            or any(ident not in self._parked for ident in idents)
        ):
            return node()
        return node("has only", (self._any_of(idents),))

    def _limiter(self, limiter: CapacityLimiter, key: Key) -> Node:
        total = limiter.total_tokens
        tokens = f"{total} token{'' if total == 1 else 's'}"
        node = partial(Node, key, f"a limiter of {tokens}", subject=limiter)
        holders: list[object] = []
        for task, held in limiter.task_holders().items():
            holders += [task] * held
        for work in self._token_calls(limiter):
            holders.append(work)
        if limiter.borrowed_tokens < total or len(holders) != limiter.borrowed_tokens:
            return node()
        return node("is held by", (self._any_of(holders),))

    def _token_calls(self, limiter: CapacityLimiter) -> list[Call]:
        """The calls that are queued or running under a token that they will give back."""
        found: dict[int, Call] = {id(work): work for work, _ in self._queues().values()}
        for lane in self._parked.values():
            found.update((id(work), work) for work in works_on_thread(lane))
        return [
            work
            for work in found.values()
            if work.limiter is limiter
            and any(getattr(end, "__self__", None) is limiter for end in work.on_end or ())
        ]


def _awaited_limiter(coroutine: object, future: Any) -> CapacityLimiter | None:
    """The limiter for whose token a suspended coroutine waits."""
    innermost = deque(awaited_chain(coroutine), maxlen=1).pop()
    if getattr(innermost, "cr_code", None) is not _ACQUIRE:
        return None
    for value in gc.get_referents(innermost):
        if issubclass(type(value), CapacityLimiter) and future in copy_of(value._waiters):
            return cast(CapacityLimiter, value)
    return None


def _end_wait(future: asyncio.Future[Any], error: BaseException) -> None:
    future.get_loop().call_soon_threadsafe(_set_error, future, error)


def _set_error(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
