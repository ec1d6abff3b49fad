"""The thread that looks for deadlocks while something waits.

When to believe a picture that was taken of a running program? Everything in the graph that waits
does so in an object made for that very wait (a future, a lane, a queued call), which never goes
back from done to pending. Something found stuck in the same wait in two pictures has therefore
been waiting without a break in between; and if all that it needs has been so too, there was a
moment at which all of them waited for one another and for nothing else: a deadlock. It does not
matter how long the pictures took or how far they lie apart, so a stopped process or a slow machine
raises no alarm. One thing could still be under way: a callback that a loop has accepted and not
yet run. So between the two pictures every loop in the graph has to have turned once.

Cost: a look at a place in which nothing has waited for a whole interval is a comparison of two
short lists. Pictures are only taken of places where something has, and a single thread of a pool
that is not parked ends the matter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace

from bridgekit.engine import process
from bridgekit.engine.waits import watch
from bridgekit.engine.waits.graph import Graph, Key, Node, stuck, victims
from bridgekit.engine.waits.picture import Picture, items_at
from bridgekit.engine.waits.words import explain
from bridgekit.errors import DeadlockError

__all__ = ["Monitor"]

INTERVAL = 0.2  # seconds between looks: a deadlock is found at the third
SECOND_LOOK = 0.03
MAX_ITEMS = 256
_logger = logging.getLogger("bridgekit")


@dataclass
class _Suspicion:
    """What the first picture showed, and which loops have turned since."""

    stuck: dict[Key, Node]
    waiting_for: set[asyncio.AbstractEventLoop] = field(default_factory=set)

    def ask(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting_for.add(loop)
        try:
            loop.call_soon_threadsafe(self.waiting_for.discard, loop)
        except RuntimeError:  # closed: it never turns again, and what its tasks do is unknown
            return


class Monitor:
    """Watches a set of places; :meth:`watch_until_nothing_waits` is the body of its thread."""

    def __init__(self, places: set[object]) -> None:
        self._places = places
        self._seen: dict[object, set[int]] = {}
        self._suspicion: _Suspicion | None = None
        self._logged: list[object] = []

    def watch_until_nothing_waits(self) -> None:
        """Look at the places from time to time, until there are none left."""
        generation = process.generation()
        while self._places:
            time.sleep(INTERVAL if self._suspicion is None else SECOND_LOOK)
            if generation != process.generation():
                return
            try:
                self.look()
            except Exception:
                # What it reads belongs to others and changes; this thread must not end for it.
                _logger.exception("looking for deadlocks failed")
                self._suspicion = None

    def look(self) -> None:
        """Look once at every place."""
        lasting = [place for place in list(self._places) if self._has_lasted(place)]
        if not lasting or watch.action() == "off":
            self._suspicion = None
            return
        picture = Picture()
        keys = {picture.add(place): place for place in lasting}
        dead_places = stuck(picture.nodes) & keys.keys()
        if not dead_places:
            self._suspicion = None
            return
        for key in dead_places:
            picture.add_queued(keys[key])
        dead = stuck(picture.nodes)
        suspicion = self._suspicion
        if suspicion is None:
            self._suspect(picture, dead)
        elif not suspicion.waiting_for:
            self._suspicion = None
            self._act(_confirmed(picture.nodes, dead, suspicion.stuck))

    def _has_lasted(self, place: object) -> bool:
        # Forgotten first: what begins to wait after the look makes the place known again.
        self._places.discard(place)
        waiting = {id(item) for item in items_at(place)[:MAX_ITEMS]}
        if not waiting:
            self._seen.pop(place, None)
            return False
        self._places.add(place)
        lasted = not waiting.isdisjoint(self._seen.get(place, ()))
        self._seen[place] = waiting
        return lasted

    def _suspect(self, picture: Picture, dead: set[Key]) -> None:
        suspicion = _Suspicion({key: picture.nodes[key] for key in dead})
        stopped = {key for key in dead if isinstance(key, tuple) and key[0] == "thread"}
        for loop in picture.loops:
            # A loop whose own thread is stuck has nothing under way that could help.
            if picture.loop_thread_key(loop) not in stopped:
                suspicion.ask(loop)
        self._suspicion = suspicion

    def _act(self, graph: Graph) -> None:
        log_only = watch.action() == "log"
        logged, self._logged = self._logged, []
        for key, chain in victims(graph):
            node = graph[key]
            if log_only:
                self._logged.append(node.wait)
                if any(node.wait is wait for wait in logged):
                    continue
            text = explain(graph, chain)
            _logger.error("deadlock: %s", text)
            if not log_only and node.end is not None:
                node.end(DeadlockError(text))


def _confirmed(graph: Graph, dead: set[Key], before: dict[Key, Node]) -> dict[Key, Node]:
    """The graph in which all is live but what was stuck before, in the very same wait."""
    same = {
        key
        for key in dead
        if key in before
        and before[key].wait is graph[key].wait
        and before[key].subject is graph[key].subject
    }
    return {key: node if key in same else replace(node, needs=()) for key, node in graph.items()}
