"""What holds for every plan: each prefix is a correct colouring, and says truly what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridgekit_codemods.migration.preview import preview
from bridgekit_codemods.migration.runner import changed, overlay
from bridgekit_codemods.planning.bridges import count_bridges, predict_bridges
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.steps import Bridges, Step
from bridgekit_codemods.planning.verify import blocked_loops, lost_coroutines
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Granularity
from bridgekit_codemods.walk.planner import RulePlanner, build_planner
from bridgekit_codemods.walk.prospects import Outlook

LEAVES: Mapping[str, str] = {
    "http": "requests.get('http://upstream', timeout=5)",
    "sleep": "time.sleep(0)",
    "file": "os.remove('scratch')",
    "subprocess": "subprocess.run(['true'], check=True)",
}
IMPORTS = "import os\nimport subprocess\nimport time\n\nimport requests\n"


@dataclass(frozen=True)
class Node:
    """One function: what it waits for itself, and which functions it calls."""

    leaf: str | None
    calls: tuple[int, ...]
    module: int


@dataclass(frozen=True)
class Graph:
    """Functions `f0` to `fn`, and views that each call some of them."""

    nodes: tuple[Node, ...]
    views: tuple[tuple[int, ...], ...]

    def name(self, index: int) -> str:
        """The qualified name of a function."""
        return f"app.part{self.nodes[index].module}.f{index}"

    def waits(self, index: int) -> frozenset[str]:
        """The kinds of waiting that calls of the function lead to."""
        seen = {index}
        pending = [index]
        while pending:
            for callee in self.nodes[pending.pop()].calls:
                if callee not in seen:
                    seen.add(callee)
                    pending.append(callee)
        return frozenset(leaf for i in seen if (leaf := self.nodes[i].leaf) is not None)

    def sources(self, settings: str = "") -> dict[str, bytes]:
        """The program."""
        modules = sorted({node.module for node in self.nodes})
        found = {"app/__init__.py": "", "pyproject.toml": settings}
        for module in modules:
            others = [f"from app import part{m}" for m in modules if m != module]
            parts = [IMPORTS + "\n".join(["", *others]) + "\n"]
            for index, node in enumerate(self.nodes):
                if node.module != module:
                    continue
                body = [f"    total += len(str({LEAVES[node.leaf]}))"] if node.leaf else []
                body += [f"    total += {self._called(c, module)}(x)" for c in node.calls]
                lines = [f"def f{index}(x):", "    total = x", *body, "    return total"]
                parts.append("\n".join(lines))
            found[f"app/part{module}.py"] = "\n\n\n".join(parts) + "\n"
        views = ["from flask import Flask\n"]
        views += [f"from app import part{module}" for module in modules]
        views.append("\napp = Flask(__name__)")
        for number, calls in enumerate(self.views):
            added = " + ".join([f"{self._called(c, None)}(1)" for c in calls] or ["0"])
            views.append(f'\n\n@app.get("/v{number}")\ndef v{number}():\n    return str({added})')
        found["app/views.py"] = "\n".join(views) + "\n"
        return {path: text.encode() for path, text in found.items()}

    def _called(self, index: int, module: int | None) -> str:
        own = self.nodes[index].module == module
        return f"f{index}" if own else f"part{self.nodes[index].module}.f{index}"


@st.composite
def graphs(draw: st.DrawFn, cycles: bool = True) -> Graph:
    """Graphs of a few functions in up to three modules; most calls go down, some go round."""
    size = draw(st.integers(1, 9))
    nodes = []
    for index in range(size):
        last = size - 1 if cycles and draw(st.integers(0, 9)) == 0 else index - 1
        lower = (
            st.lists(st.integers(0, last), max_size=3, unique=True) if last >= 0 else st.just([])
        )
        nodes.append(
            Node(
                draw(st.none() | st.sampled_from(sorted(LEAVES))),
                tuple(draw(lower)),
                draw(st.integers(0, 2)),
            )
        )
    calls = st.lists(st.integers(0, size - 1), max_size=3, unique=True).map(tuple)
    return Graph(tuple(nodes), tuple(draw(st.lists(calls, min_size=1, max_size=3))))


NOTHING: frozenset[str] = frozenset()
CHAIN = Graph((Node("http", (), 0), Node("file", (0,), 1), Node(None, (1,), 0)), ((2,), ()))
"""A view over a function over one that waits for a file and calls one that sends a request."""
KINDS = st.none() | st.frozensets(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=3)
SIZES = st.sampled_from(["function", "module", "layer"])
thorough = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walk(
    sources: dict[str, bytes], planner: RulePlanner
) -> Iterator[tuple[Program, Step, Program]]:
    """Every step, with the program before and after it."""
    for _ in range(200):
        step = planner.next_step(sources, NOTHING)
        if step is None:
            return
        before = planner.program(sources)
        sources = overlay(sources, changed(sources, step))
        yield before, step, planner.program(sources)
    pytest.fail("the walk does not end")


def flipped(steps: list[Step]) -> set[str]:
    """The functions that the steps made async because they wait."""
    return {name for step in steps if step.key.startswith("flip:") for name in step.members}


@thorough
@given(graphs(), KINDS, SIZES)
def test_every_prefix_of_a_plan_is_a_correct_colouring(
    graph: Graph, only: frozenset[str] | None, granularity: Granularity
) -> None:
    planner = build_planner(granularity=granularity, scope=Scope(only))
    for _, step, after in walk(graph.sources(), planner):
        assert not after.problems, step.key
        assert list(lost_coroutines(after)) == [], step.key
        assert list(blocked_loops(after)) == [], step.key
        assert planner.verify(step, {p: f.data for p, f in after.files.items()} | after.extra) == ()


@thorough
@given(graphs(), KINDS, SIZES)
def test_the_bridges_after_a_step_are_those_that_it_announced(
    graph: Graph, only: frozenset[str] | None, granularity: Granularity
) -> None:
    planner = build_planner(granularity=granularity, scope=Scope(only))
    for before, step, after in walk(graph.sources(), planner):
        assert predict_bridges(before, step) == after.derived(count_bridges), step.key


@thorough
@given(graphs(), KINDS)
@example(CHAIN, frozenset({"http"}))
def test_what_the_overview_promises_is_what_the_walk_does(
    graph: Graph, only: frozenset[str] | None
) -> None:
    scope = Scope(only)
    planner = build_planner(granularity="layer", target="flask", scope=scope)
    sources = graph.sources()
    promised = {f.qualname for f in planner.program(sources).derived(Outlook(scope)).wanted}
    assert flipped([step for _, step, _ in walk(sources, planner)]) == promised


@thorough
@given(graphs(), st.frozensets(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=2))
def test_only_what_waits_for_a_chosen_kind_becomes_async(
    graph: Graph, only: frozenset[str]
) -> None:
    planner = build_planner(granularity="layer", scope=Scope(only))
    names = {graph.name(i): graph.waits(i) for i in range(len(graph.nodes))}
    for name in flipped([step for _, step, _ in walk(graph.sources(), planner)]):
        if name in names:
            assert names[name] & only, name


@thorough
@given(graphs(), st.data())
def test_a_goal_brings_only_what_it_reaches(graph: Graph, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(graph.views) - 1))
    scope = Scope(goals=(f"views:v{number}",))
    planner = build_planner(granularity="layer", scope=scope)
    reached = set(graph.views[number])
    pending = list(reached)
    while pending:
        for callee in set(graph.nodes[pending.pop()].calls) - reached:
            reached.add(callee)
            pending.append(callee)
    allowed = {graph.name(i) for i in reached} | {f"app.views.v{number}"}
    assert flipped([step for _, step, _ in walk(graph.sources(), planner)]) <= allowed


@thorough
@given(graphs(), st.data())
def test_what_is_kept_by_configuration_never_changes_colour(
    graph: Graph, data: st.DataObject
) -> None:
    kept = data.draw(st.sets(st.integers(0, len(graph.nodes) - 1), min_size=1, max_size=3))
    names = sorted(graph.name(i) for i in kept)
    settings_file = f"[tool.bridgekit]\nkeep = {names!r}\n"
    planner = build_planner(granularity="layer")
    for _, step, after in walk(graph.sources(settings_file), planner):
        colours = after.derived(Colours)
        for name in names:
            assert not after.functions[name].is_async, step.key
            assert colours.colour(after.functions[name]) != "native", step.key
        assert list(blocked_loops(after)) == [], step.key


@thorough
@given(graphs(), KINDS)
def test_a_plan_says_of_each_step_which_bridges_are_left(
    graph: Graph, only: frozenset[str] | None
) -> None:
    planner = build_planner(granularity="layer", scope=Scope(only))
    sources = graph.sources()
    shown = [(p.step.key, p.bridges) for p in preview(planner, sources)]
    real = [(step.key, after.derived(count_bridges)) for _, step, after in walk(sources, planner)]
    assert shown == real


def test_the_graph_of_the_examples_is_walked_to_the_view() -> None:
    planner = build_planner(granularity="function", scope=Scope(frozenset({"http"})))
    steps = [step for _, step, _ in walk(CHAIN.sources(), planner)]
    assert [step.members for step in steps if step.key.startswith("flip:")] == [
        ("app.part0.f0",), ("app.part1.f1",), ("app.part0.f2",), ("app.views.v0",),
    ]  # fmt: skip


def test_a_program_without_steps_has_its_bridges() -> None:
    planner = build_planner(scope=EVERYTHING)
    text = "from bridgekit import async_to_sync\n\n\nasync def a():\n    pass\n\n\n"
    text += "def f():\n    return async_to_sync(a)()\n"
    assert planner.bridges({"m.py": text.encode()}) == Bridges(0, 1)
