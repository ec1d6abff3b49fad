"""The wait-for graph: what is stuck, and which waits to end."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridgekit.engine.waits.graph import Key, Node, stuck, victims


def ignore(error: BaseException) -> None:
    """Stands for an action that ends a wait."""


def graph(needs: dict[str, list[list[str]]], ends: str = "") -> dict[Key, Node]:
    return {
        key: Node(
            key,
            label=key,
            needs=tuple(tuple(group) for group in groups),
            end=ignore if key in ends else None,
            order=number,
        )
        for number, (key, groups) in enumerate(needs.items())
    }


def test_a_node_without_needs_and_an_unknown_one_are_live() -> None:
    assert stuck(graph({"a": []})) == set()
    assert stuck(graph({"a": [["unknown"]]})) == set()


def test_a_cycle_is_stuck_and_so_is_who_waits_for_it() -> None:
    found = stuck(graph({"a": [["b"]], "b": [["a"]], "c": [["a"]], "d": [["e"]], "e": []}))
    assert found == {"a", "b", "c"}


def test_one_live_alternative_is_enough() -> None:
    assert stuck(graph({"call": [["t1", "t2"]], "t1": [["call"]], "t2": []})) == set()
    assert stuck(graph({"call": [["t1", "t2"]], "t1": [["call"]], "t2": [["call"]]})) == {
        "call",
        "t1",
        "t2",
    }


def test_every_group_has_to_be_met() -> None:
    assert stuck(graph({"task": [["a"], ["b"]], "a": [], "b": [["task"]]})) == {"task", "b"}


def test_a_group_nobody_can_meet_is_stuck() -> None:
    assert stuck(graph({"a": [[]]})) == {"a"}


def test_one_victim_frees_a_cycle_and_the_latest_is_taken() -> None:
    needs = {"a": [["b"]], "b": [["a"]], "c": [["a"]]}
    assert victims(graph(needs, ends="abc")) == [("b", ["b", "a", "b"])]


def test_the_victim_that_frees_most_is_taken() -> None:
    # Ending one of the later two would leave the other and `all` waiting for one another.
    needs = {"a": [["b"], ["c"]], "b": [["a"]], "c": [["a"]]}
    assert [victim for victim, _ in victims(graph(needs, ends="abc"))] == ["a"]


def test_every_separate_cycle_has_its_victim() -> None:
    needs = {"a": [["b"]], "b": [["a"]], "c": [["d"]], "d": [["c"]]}
    assert {victim for victim, _ in victims(graph(needs, ends="abcd"))} == {"b", "d"}


def test_waits_for_a_core_that_cannot_be_ended_are_all_ended() -> None:
    needs = {"a": [["b"]], "b": [["a"]], "c": [["a"]], "d": [["b"]]}
    found = dict(victims(graph(needs, ends="cd")))
    assert set(found) == {"c", "d"}
    assert found["c"] == ["c", "a", "b", "a"]


def test_nothing_to_end() -> None:
    assert victims(graph({"a": [["b"]], "b": [["a"]]})) == []


KEYS = "abcdefgh"
graphs = st.dictionaries(
    st.sampled_from(KEYS),
    st.lists(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), max_size=3),
    max_size=8,
)


def live_by_definition(needs: dict[str, list[list[str]]]) -> set[str]:
    live = {key for key in KEYS if key not in needs}
    while more := {
        key
        for key, groups in needs.items()
        if key not in live and all(live.intersection(group) for group in groups)
    }:
        live |= more
    return live


@given(graphs)
def test_stuck_is_what_life_does_not_reach(needs: dict[str, list[list[str]]]) -> None:
    assert stuck(graph(needs)) == set(needs) - live_by_definition(needs)


@given(graphs, st.sets(st.sampled_from(KEYS)))
def test_victims_free_all_that_can_be_freed(
    needs: dict[str, list[list[str]]], ends: set[str]
) -> None:
    built = graph(needs, "".join(ends))
    dead = stuck(built)
    found = victims(built)
    chosen = [victim for victim, _ in found]
    assert set(chosen) <= dead & ends
    assert len(set(chosen)) == len(chosen)
    assert not stuck(built, chosen) & ends
    for victim, chain in found:
        assert chain[0] == victim
        for waiting, needed in pairwise(chain):
            assert any(needed in group for group in built[waiting].needs)
