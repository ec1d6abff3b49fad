"""The measures of a call graph, against their definitions."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from bridgekit_codemods.reports.layers import (
    breadth_first,
    components,
    depths_and_heights,
    reachable_marks,
)


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 8))
    nodes = st.integers(0, size - 1)
    return draw(st.lists(st.lists(nodes, max_size=4), min_size=size, max_size=size))


def reachable(graph: list[list[int]], root: int) -> set[int]:
    seen = {root}
    pending = [root]
    while pending:
        for node in graph[pending.pop()]:
            if node not in seen:
                seen.add(node)
                pending.append(node)
    return seen


@given(graphs())
def test_a_component_is_what_reaches_each_other_and_callees_come_first(
    graph: list[list[int]],
) -> None:
    found = components(graph)
    reach = [reachable(graph, node) for node in range(len(graph))]
    for component in found:
        first = component[0]
        assert set(component) == {n for n in reach[first] if first in reach[n]}
    assert sorted(node for component in found for node in component) == list(range(len(graph)))
    place = {node: n for n, component in enumerate(found) for node in component}
    assert all(place[callee] <= place[node] for node in place for callee in graph[node])


@given(graphs())
def test_depth_and_height_are_longest_chains_of_components(graph: list[list[int]]) -> None:
    depth, height = depths_and_heights(graph)
    found = components(graph)
    place = {node: n for n, component in enumerate(found) for node in component}
    below = {(place[a], place[b]) for a in place for b in graph[a] if place[a] != place[b]}

    @cache
    def down(component: int) -> int:
        return max((1 + down(b) for a, b in below if a == component), default=0)

    @cache
    def up(component: int) -> int:
        return max((1 + up(a) for a, b in below if b == component), default=0)

    assert height == [down(place[node]) for node in range(len(graph))]
    assert depth == [up(place[node]) for node in range(len(graph))]


@given(graphs(), st.data())
def test_marks_say_which_roots_reach_a_node(graph: list[list[int]], data: st.DataObject) -> None:
    nodes = st.integers(0, len(graph) - 1)
    roots = data.draw(st.lists(nodes, unique=True))
    marks = reachable_marks(graph, roots)
    for node, mark in enumerate(marks):
        expected = {n for n, root in enumerate(roots) if node in reachable(graph, root)}
        assert {n for n in range(len(roots)) if mark >> n & 1} == expected


@given(graphs())
def test_breadth_first_goes_the_shortest_way(graph: list[list[int]]) -> None:
    before = breadth_first(graph, [0])
    assert set(before) == reachable(graph, 0)

    def length(node: int) -> int:
        previous = before[node]
        return 0 if previous is None else 1 + length(previous)

    for node in before:
        for callee in graph[node]:
            assert length(callee) <= length(node) + 1


def test_chains_of_any_length_are_fine() -> None:
    size = 50_000
    chain = [[n + 1] if n + 1 < size else [] for n in range(size)]
    depth, height = depths_and_heights(chain)
    assert (depth[-1], height[0]) == (size - 1, size - 1)
