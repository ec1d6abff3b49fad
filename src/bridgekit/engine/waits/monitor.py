"""The thread that looks for deadlocks while something waits.

When to believe a picture that was taken of a running program? Everything in the graph that waits
does so in an object made for that very wait (a future, a lane, a queued call), which never goes
back from done to pending. Something found stuck in the same wait in two pictures has therefore
been waiting without a break in between; and if all that it needs has been so too, there was a
moment at which all of them waited for one another and for nothing else: a deadlock. It does not
matter how long the pictures took or how far they lie apart, so a stopped process or a slow machine
raises no alarm. One thing could still be under way: a callback that a loop has accepted and not
yet run. So between the two pictures the loop of every task concerned has to have turned once,
unless its own thread is stuck.

Cost: a look at a place in which nothing has waited for a whole interval is a comparison of two
short lists. Pictures are only taken of places where something has; a single thread of a pool that
is not parked ends the matter, and timers are only searched if all seems stuck without them. Looks
that take long are followed by longer pauses, so that looking never takes more than a few per cent
of one processor. One long look alone is not: the interpreter may have chosen this thread to collect
the garbage of the whole process, which in a large one takes a second.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from bridgekit.engine import process
from bridgekit.engine.waits import watch
from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.graph import Graph, Key, Loop, Node, stuck, victims
from bridgekit.engine.waits.picture import Picture, items_at
from bridgekit.engine.waits.words import explain
from bridgekit.errors import DeadlockError

__all__ = ["Monitor"]

INTERVAL = 0.2  # seconds between looks: a deadlock is found at the third
SECOND_LOOK = 0.03
REST = 20  # a pause is at least so many times as long as the processor time of a look
MAX_ITEMS = 256
_logger = logging.getLogger("bridgekit")


class _Round:
    """One look: tells which loops have turned since."""

    def __init__(self) -> None:
        self._turned: dict[Loop, bool] = {}

    def ask(self, loop: Loop | None) -> None:
        """Have it noted when the loop turns."""
        if loop is None or loop in self._turned:
            return
        self._turned[loop] = False
        try:
            loop.call_soon_threadsafe(self._turned.__setitem__, loop, True)
        except RuntimeError:  # closed: it never turns again, and what its tasks do is unknown
            return

    def has_turned(self, loop: Loop | None) -> bool:
        return loop is None or self._turned.get(loop, False)


class Monitor:
    """Watches a set of places; :meth:`watch_until_nothing_waits` is the body of its thread."""

    def __init__(self, places: set[object]) -> None:
        self._places = places
        self._seen: dict[object, set[int]] = {}
        self._suspects: dict[Key, tuple[Node, _Round]] = {}
        self._pause = INTERVAL
        self._cost = 0.0  # of the look before, in seconds of processor time
        self._deadlines = Deadlines()
        self._logged: list[object] = []

    def watch_until_nothing_waits(self) -> None:
        """Look at the places from time to time, until there are none left."""
        generation = process.generation()
        while self._places:
            time.sleep(self._pause)
            if generation != process.generation():
                return
            begun = time.thread_time()
            try:
                self.look()
            except Exception:
                # What it reads belongs to others and changes; this thread must not end for it.
                _logger.exception("looking for deadlocks failed")
                self._suspects = {}
            before, self._cost = self._cost, time.thread_time() - begun
            self._pause = max(self._pause, REST * min(before, self._cost))

    def look(self) -> None:
        """Look once at every place; end what was found stuck before and still is."""
        self._pause = INTERVAL
        lasting = [place for place in list(self._places) if self._has_lasted(place)]
        if not lasting or watch.action() == "off":
            self._suspects = {}
            return
        lasting = _dead_places(Picture(None), lasting)
        picture = Picture(self._deadlines)
        for place in _dead_places(picture, lasting):
            picture.add_queued(place)
        dead = stuck(picture.nodes)
        confirmed = {key for key in dead if self._is_confirmed(key, picture, dead)}
        self._suspect(picture.nodes, dead)
        if confirmed:
            self._act(
                {
                    key: node if key in confirmed else replace(node, needs=())
                    for key, node in picture.nodes.items()
                }
            )

    def _is_confirmed(self, key: Key, picture: Picture, dead: set[Key]) -> bool:
        node = picture.nodes[key]
        if key not in self._suspects:
            return False
        before, since = self._suspects[key]
        return _is_same_wait(before, node) and (
            since.has_turned(node.loop) or picture.loop_thread_key(node.loop) in dead
        )

    def _suspect(self, graph: Graph, dead: set[Key]) -> None:
        known, self._suspects = self._suspects, {}
        now = _Round()
        for key in dead:
            node = graph[key]
            if key in known and _is_same_wait(known[key][0], node):
                self._suspects[key] = known[key]
            else:
                now.ask(node.loop)
                self._suspects[key] = (node, now)
                self._pause = SECOND_LOOK

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


def _dead_places(picture: Picture, places: list[object]) -> list[object]:
    """Those of the places at which nothing can go on."""
    keys = {picture.add(place): place for place in places}
    return [keys[key] for key in stuck(picture.nodes) & keys.keys()]


def _is_same_wait(before: Node, now: Node) -> bool:
    return before.subject is now.subject and before.wait is now.wait
