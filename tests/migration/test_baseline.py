"""The runs before the first step: what is flaky is set aside, what is red stops the walk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.errors import BaselineError
from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.session import history_of

A, B, C = (f"tests/test_it.py::test_{name}" for name in "abc")
GREEN = {A: "passed", B: "passed", C: "skipped"}
RED_B = {**GREEN, B: "failed"}


def walk(
    toy: ModuleType, root: Path, *runs: Mapping[str, str], policy: GuardPolicy | None = None
) -> tuple[ModuleType, ModuleType]:
    """Migrate the toy with a guard whose runs come out like this, the last one from then on."""
    guard = toy.TestGuard(root, list(runs))
    observer = toy.Recorder()
    planner = toy.ScriptedPlanner(toy.STEPS[:1])
    toy.migrate(root, planner, guard, observer=observer, policy=policy or GuardPolicy())
    return guard, observer


def test_two_equal_runs_one_of_them_recorded(toy: ModuleType, plain: Path) -> None:
    guard, _ = walk(toy, plain, GREEN)
    assert [(name, recorded) for name, _, recorded in guard.seen[:2]] == [
        ("0000-baseline", False),
        ("0000-baseline-2", True),
    ]
    assert guard.seen[2][0] == "0001-flip:low"
    assert history_of(plain).aside == {}


def test_a_test_that_does_not_come_out_the_same_is_set_aside(toy: ModuleType, plain: Path) -> None:
    # The recorded run differs, so a plain one decides; then all others have to be green alone.
    guard, observer = walk(toy, plain, GREEN, RED_B, RED_B, GREEN)
    baseline = [(sorted(s.without), r) for n, s, r in guard.seen if "baseline" in n]
    assert baseline[:3] == [([], False), ([], True), ([], False)]
    assert baseline[3:] == [([B], True)]
    assert history_of(plain).aside == {B: "flaky"}
    assert guard.seen[-1][1].without == {B}
    assert ("note", f"set aside, it does not come out the same each time: {B}") in observer.events


def test_one_that_is_red_under_the_collector_alone_always_runs(
    toy: ModuleType, plain: Path
) -> None:
    guard, _ = walk(toy, plain, GREEN, RED_B, GREEN)
    assert history_of(plain).aside == {}
    assert [recorded for _, _, recorded in guard.seen] == [False, True, False, False]


def test_a_flaky_test_stays_aside_in_later_runs(toy: ModuleType, plain: Path) -> None:
    planner = toy.ScriptedPlanner(toy.STEPS[:1])
    toy.migrate(plain, planner, toy.TestGuard(plain, [GREEN, RED_B, RED_B, GREEN]))
    toy.take_back(plain)
    guard = toy.TestGuard(plain, [GREEN])
    toy.migrate(plain, planner, guard)
    assert {frozenset(s.without) for _, s, _ in guard.seen} == {frozenset({B})}
    assert history_of(plain).aside == {B: "flaky"}


def test_a_test_that_is_red_each_time_stops_the_walk(toy: ModuleType, plain: Path) -> None:
    before = toy.tree(plain)
    with pytest.raises(BaselineError, match=f"these tests are red: {B}.*--allow-red"):
        walk(toy, plain, RED_B)
    assert toy.tree(plain) == before


@pytest.mark.parametrize(
    "pattern",
    [B, "tests/test_it.py", "tests", "tests/", "*test_b", "tests/test_i?.py::test_b", "*"],
)
def test_a_red_test_may_be_allowed(toy: ModuleType, plain: Path, pattern: str) -> None:
    guard, observer = walk(toy, plain, RED_B, policy=GuardPolicy(allow_red=(pattern,)))
    assert history_of(plain).aside == {B: "red"}
    assert guard.seen[-1][1].without == {B}
    assert ("note", f"set aside, it is red, as allowed: {B}") in observer.events


@pytest.mark.parametrize("pattern", ["test_b", "tests/test_it", "tests/test_it.py::test_", "b"])
def test_a_pattern_names_whole_tests(pattern: str) -> None:
    assert not GuardPolicy(allow_red=(pattern,)).allows(B)


def test_brackets_of_parameters_stand_for_themselves() -> None:
    assert GuardPolicy(allow_red=("t.py::f[1-2]",)).allows("t.py::f[1-2]")
    assert not GuardPolicy(allow_red=("t.py::f[1-2]",)).allows("t.py::f1")
    assert GuardPolicy(allow_red=("t.py::f",)).allows("t.py::f[1-2]")


def test_one_run_finds_nothing_flaky_and_records_nothing(toy: ModuleType, plain: Path) -> None:
    guard, _ = walk(toy, plain, GREEN, policy=GuardPolicy(baseline_runs=1))
    assert [(name, recorded) for name, _, recorded in guard.seen] == [
        ("0000-baseline", False),
        ("0001-flip:low", False),
    ]


@pytest.mark.parametrize("number", [2, 4])
def test_other_commands_are_run_as_often_and_must_be_green_each_time(
    toy: ModuleType, plain: Path, number: int
) -> None:
    guard = toy.QuickGuard(plain)
    toy.migrate(
        plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard, policy=GuardPolicy(baseline_runs=number)
    )
    assert len([name for name in guard.runs if "baseline" in name]) == number


def test_another_command_that_is_red_the_second_time_stops_the_walk(
    toy: ModuleType, plain: Path
) -> None:
    before = toy.tree(plain)
    guard = toy.QuickGuard(plain)

    def break_it() -> None:
        if len(guard.runs) == 2:
            (plain / "app/mid.py").write_bytes(toy.BROKEN)

    guard.during = break_it
    with pytest.raises(BaselineError, match="passes in one run and fails in another"):
        toy.migrate(plain, guard=guard)
    assert toy.tree(plain) == {**before, "app/mid.py": toy.BROKEN}


def test_a_record_that_a_kill_has_torn_counts_for_nothing(toy: ModuleType, plain: Path) -> None:
    class Torn(toy.TestGuard):  # type: ignore[name-defined,misc]
        def run(self, *arguments: object) -> object:
            result = super().run(*arguments)
            if isinstance(record := arguments[-1], Path):
                (record / "2.json").write_text('{"python": "3", "func')
            return result

    functions = {A: [["app/low.py", 1, "low"]]}
    guard = Torn(plain, [GREEN], functions)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard)
    assert history_of(plain).applied[0].guard["tests"] == "whole"
    whole = toy.TestGuard(plain, [GREEN], functions)
    toy.take_back(plain)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), whole)
    assert history_of(plain).applied[0].guard["tests"] == "reached"
