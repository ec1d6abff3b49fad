"""Everything that waits in the engine at this moment, as data."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit.engine.waits import watch
from bridgekit.engine.waits.deadlines import Deadlines
from bridgekit.engine.waits.graph import Key, Node, stuck
from bridgekit.engine.waits.picture import Picture
from bridgekit.engine.waits.tasks import readers

__all__ = ["Wait", "present_waits"]


@dataclass(frozen=True)
class Wait:
    """One participant that waits: a task, a call, a thread, a pool or a limiter.

    :param who: what it is, in words.
    :param how: a verb: "waits for", "is queued for", "runs on", "is held by".
    :param needs: what it waits for: of every group one member is enough, and every group has to
        have one.
    :param stuck: whether it cannot go on whatever the rest of the program does, as far as one
        look can tell.
    :param stack: where it waits, innermost call last, for tasks and threads.
    """

    who: str
    how: str
    needs: tuple[tuple[str, ...], ...]
    stuck: bool
    stack: tuple[str, ...]


def present_waits() -> list[Wait]:
    """What waits now: at pools, lanes and limiters, in threads and in the tasks they wait for."""
    picture = Picture(Deadlines())
    for place in list(watch.places):
        picture.add(place)
        picture.add_queued(place)
    picture.add_parked_threads()
    for reader in readers:
        for task in reader.present():
            picture.add(task)
    graph = picture.nodes
    dead = stuck(graph)
    return [
        Wait(
            who=node.name,
            how=node.waits,
            needs=tuple(_names(graph, group) for group in node.needs),
            stuck=key in dead,
            stack=tuple(node.stack()) if node.stack is not None else (),
        )
        for key, node in graph.items()
        if node.needs and not node.transparent
    ]


def _names(graph: dict[Key, Node], group: tuple[Key, ...]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    todo = list(reversed(group))
    seen = set(todo)
    while todo:
        node = graph[todo.pop()]
        if not node.transparent or not node.needs:
            names[node.name] = None
            continue
        following = [key for needed in node.needs for key in needed if key not in seen]
        seen.update(following)
        todo.extend(reversed(following))
    return tuple(names)
