"""A wait-for graph, and which of its nodes can never go on.

A node is something that may be waiting: a task, a call on its way to a thread, a thread, a pool, a
limiter. What it needs is a conjunction of alternatives: one node of *every* group has to be able
to go on. A call that is queued for a pool needs one of the pool's threads; a task in
``gather(..., return_exceptions=True)`` needs every child.

A node without needs is *live*: it can go on, or nothing is known that keeps it from it. A node
that a need names but the graph does not hold is live too. Everything is decided towards life:
what is left when life has spread as far as the needs allow is provably stuck.

The graph is a plain picture; it holds no lock, and nothing here looks at the running program.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Graph", "Key", "Loop", "Node", "stuck", "victims"]

Key = Hashable
MAX_CANDIDATES = 16


class Loop(Protocol):
    """What runs tasks: an event loop of asyncio or a run of trio."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> object:
        """Have a callback called on its thread.

        :raises RuntimeError: it has been closed.
        """


@dataclass(frozen=True)
class Node:
    """One participant.

    :param label: what it is, in words, or how to find the words: "task 'Task-1' (app.view)".
    :param waits: how it waits, as a verb that the name of what it waits for can follow.
    :param needs: groups of keys; one of each group must be live. No groups: live.
    :param end: ends the wait with an exception, if this kind of wait can be ended.
    :param order: of two waits that can be ended, the one with the higher order began later.
    :param subject: the object itself, kept so that its identity is not reused.
    :param wait: the object that stands for this very wait: made for it, never waited for again.
    :param loop: the event loop on which something may be under way that ends the wait.
    :param stack: reads the participant's stack, innermost call last.
    :param transparent: only passes a wait on (a gathering future); left out of descriptions.
    """

    key: Key
    label: str | Callable[[], str]
    waits: str = "waits for"
    needs: tuple[tuple[Key, ...], ...] = ()
    end: Callable[[BaseException], None] | None = field(default=None, compare=False)
    order: float = 0
    subject: object = field(default=None, compare=False, repr=False)
    wait: object = field(default=None, compare=False, repr=False)
    loop: Loop | None = field(default=None, compare=False, repr=False)
    stack: Callable[[], list[str]] | None = field(default=None, compare=False, repr=False)
    transparent: bool = False

    @property
    def name(self) -> str:
        """What it is, in words."""
        return self.label if isinstance(self.label, str) else self.label()


Graph = Mapping[Key, Node]


def stuck(graph: Graph, freed: Iterable[Key] = ()) -> set[Key]:
    """The nodes that cannot go on, whatever the live ones do.

    :param freed: nodes to count as live although they wait.

    The live nodes are the least set that holds every node whose groups each have a live member;
    one pass over the edges finds it.
    """
    dependents: dict[Key, list[tuple[Key, int]]] = {}
    open_groups: dict[Key, set[int]] = {}
    freed_keys = set(freed)
    ready: list[Key] = []
    for key, node in graph.items():
        if not node.needs or key in freed_keys:
            ready.append(key)
            continue
        waiting = set()
        for number, group in enumerate(node.needs):
            if any(needed not in graph for needed in group):
                continue
            waiting.add(number)
            for needed in group:
                dependents.setdefault(needed, []).append((key, number))
        open_groups[key] = waiting
        if not waiting:
            ready.append(key)
    live = set(ready)
    while ready:
        for key, number in dependents.get(ready.pop(), ()):
            groups = open_groups.get(key)
            if groups is None or key in live:
                continue
            groups.discard(number)
            if not groups:
                live.add(key)
                ready.append(key)
    return {key for key in graph if key not in live}


def _edges(graph: Graph, within: set[Key]) -> dict[Key, list[Key]]:
    """From each node to those that keep it waiting. A group with a live member keeps nobody."""
    edges: dict[Key, list[Key]] = {}
    for key in within:
        out: dict[Key, None] = {}
        for group in graph[key].needs:
            if all(needed in within for needed in group):
                out.update(dict.fromkeys(group))
        edges[key] = list(out)
    return edges


def _components(edges: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Strongly connected components, each after those it leads to (Tarjan, without recursion)."""
    index: dict[Key, int] = {}
    low: dict[Key, int] = {}
    path: list[Key] = []
    on_path: set[Key] = set()
    found: list[list[Key]] = []
    for root in edges:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        todo = [(root, iter(edges[root]))]
        while todo:
            key, rest = todo[-1]
            for needed in rest:
                if needed not in index:
                    index[needed] = low[needed] = len(index)
                    path.append(needed)
                    on_path.add(needed)
                    todo.append((needed, iter(edges[needed])))
                    break
                if needed in on_path:
                    low[key] = min(low[key], index[needed])
            else:
                todo.pop()
                if todo:
                    above = todo[-1][0]
                    low[above] = min(low[above], low[key])
                if low[key] == index[key]:
                    cut = path.index(key)
                    found.append(path[cut:])
                    on_path.difference_update(path[cut:])
                    del path[cut:]
    return found


def victims(graph: Graph) -> list[tuple[Key, list[Key]]]:
    """Waits to end so that everything else can go on, each with the chain that explains it.

    Ending begins at the core: in a set of nodes that wait only for one another, the wait whose
    end sets most free; of equals, the latest. A core in which no wait can be ended stays stuck,
    and the waits for it are ended instead. Waits that cannot be ended are never returned.
    """
    freed: list[Key] = []
    hopeless: set[Key] = set()
    chosen: list[tuple[Key, list[Key]]] = []
    while rest := stuck(graph, freed) - hopeless:
        edges = {
            key: [needed for needed in out if needed in rest]
            for key, out in _edges(graph, rest | hopeless).items()
            if key in rest
        }
        for component in _components(edges):
            members = set(component)
            if any(needed not in members for key in component for needed in edges[key]):
                continue  # not the core: it waits for another component
            ends = [key for key in component if graph[key].end is not None]
            if not ends:
                hopeless |= members
                continue
            best = ends[0] if len(ends) == 1 else _best_end(graph, freed, ends)
            freed.append(best)
            chosen.append((best, _explanation(graph, best)))
    return chosen


def _best_end(graph: Graph, freed: list[Key], ends: list[Key]) -> Key:
    latest = sorted(ends, key=lambda key: graph[key].order, reverse=True)[:MAX_CANDIDATES]
    return min(latest, key=lambda key: len(stuck(graph, [*freed, key])))


def _explanation(graph: Graph, start: Key) -> list[Key]:
    """The shortest way along waits from a node back to itself, or to where a cycle closes."""
    edges = _edges(graph, stuck(graph))
    came: dict[Key, Key] = {}
    queue = [start]
    for key in queue:
        for needed in edges[key]:
            if needed == start:
                chain = [key]
                while chain[-1] != start:
                    chain.append(came[chain[-1]])
                return [*reversed(chain), start]
            if needed not in came:
                came[needed] = key
                queue.append(needed)
    # The node is not part of a cycle itself: follow the waits until one repeats.
    chain = [start]
    while edges[chain[-1]]:
        following = edges[chain[-1]][0]
        chain.append(following)
        if following in chain[:-1]:
            break
    return chain
