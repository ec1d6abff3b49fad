"""Measures of a call graph: how deep a function lies, and who reaches it.

Graphs are lists of successors by node number. Nothing here recurses, so chains of any length are
fine; the work is linear in nodes and edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

Graph = Sequence[Sequence[int]]


def components(graph: Graph) -> list[list[int]]:
    """The strongly connected components, callees before callers (Tarjan's algorithm)."""
    order: list[int] = [-1] * len(graph)
    low = [0] * len(graph)
    on_stack = [False] * len(graph)
    stack: list[int] = []
    found: list[list[int]] = []
    clock = 0
    for root in range(len(graph)):
        if order[root] >= 0:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                order[node] = low[node] = clock
                clock += 1
                stack.append(node)
                on_stack[node] = True
            for at in range(position, len(graph[node])):
                successor = graph[node][at]
                if order[successor] < 0:
                    work += [(node, at + 1), (successor, 0)]
                    break
                if on_stack[successor]:
                    low[node] = min(low[node], order[successor])
            else:
                if low[node] == order[node]:
                    component: list[int] = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                        on_stack[component[-1]] = False
                    found.append(sorted(component))
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return found


def depths_and_heights(graph: Graph) -> tuple[list[int], list[int]]:
    """For each node the longest chain that ends in it and the longest that starts at it."""
    depth = [0] * len(graph)
    height = [0] * len(graph)
    order = components(graph)
    of = {node: number for number, component in enumerate(order) for node in component}

    def outside(component: list[int]) -> set[int]:
        own = of[component[0]]
        return {of[s] for node in component for s in graph[node] if of[s] != own}

    below = [outside(component) for component in order]
    for number, component in enumerate(order):  # callees come first
        longest = max((height[order[s][0]] + 1 for s in below[number]), default=0)
        for node in component:
            height[node] = longest
    for number in range(len(order) - 1, -1, -1):
        own = depth[order[number][0]]
        for successor in below[number]:
            for node in order[successor]:
                depth[node] = max(depth[node], own + 1)
    return depth, height


def reachable_marks(graph: Graph, roots: Sequence[int]) -> list[int]:
    """For each node a bit set of the roots (by their place in ``roots``) that reach it."""
    marks = [0] * len(graph)
    for number, root in enumerate(roots):
        marks[root] |= 1 << number
    order = components(graph)
    for component in reversed(order):  # callers first
        union = 0
        for node in component:
            union |= marks[node]
        for node in component:
            marks[node] = union
        for node in component:
            for successor in graph[node]:
                marks[successor] |= union
    return marks


def breadth_first(
    graph: Graph, roots: Iterable[int], enter: Callable[[int], bool] = lambda _: True
) -> dict[int, int | None]:
    """The predecessor of each node on a shortest way from the roots, in the order of visit.

    Nodes that ``enter`` refuses are left out; roots have no predecessor.
    """
    before: dict[int, int | None] = dict.fromkeys(roots)
    pending = list(before)
    for node in pending:
        for successor in graph[node]:
            if successor not in before and enter(successor):
                before[successor] = node
                pending.append(successor)
    return before
