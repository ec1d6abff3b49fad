"""After a step only the tests run that reach it, unless the record may not say all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridgekit_codemods.migration.policy import GuardPolicy
from bridgekit_codemods.migration.session import history_of, ledger_of
from bridgekit_codemods.planning.steps import Step

MID, LOW, OTHER = (f"tests/test_app.py::test_{name}" for name in ("mid", "low", "other"))
GREEN = dict.fromkeys((MID, LOW, OTHER), "passed")
LOW_F, MID_F = ["app/low.py", 1, "low"], ["app/mid.py", 4, "mid"]
REACHED = {MID: [LOW_F, MID_F], LOW: [LOW_F], OTHER: []}


def walk(
    toy: ModuleType,
    root: Path,
    *steps: Step,
    outcomes: Callable[[Path], Mapping[str, str]] = lambda _: GREEN,
    reached: Mapping[str, list[list[object]]] = REACHED,
    **options: Any,
) -> list[tuple[str, frozenset[str] | None]]:
    """The runs of the guard after the baseline: what they were for, and which tests they took."""
    guard = toy.TestGuard(root, outcomes, reached)
    policy = GuardPolicy(**options)
    toy.migrate(root, toy.ScriptedPlanner(steps or toy.STEPS[:1]), guard, policy=policy)
    return [(name, s.only) for name, s, _ in guard.seen if "baseline" not in name]


def guard_of(root: Path, number: int = 0) -> Mapping[str, Any]:
    return history_of(root).applied[number].guard


def test_a_step_is_proved_by_the_tests_that_reach_it_and_the_walk_by_all(
    toy: ModuleType, repository: Path
) -> None:
    assert walk(toy, repository) == [
        ("0001-flip:low", frozenset({MID, LOW})),
        ("0001-whole", None),
    ]
    entry = guard_of(repository)
    assert (entry["tests"], entry["ran"], entry["of"]) == ("reached", 2, 3)
    assert history_of(repository).unproven == ()
    message = toy.git(repository, "log", "-1", "--format=%B")
    assert "Only the tests that reach the step ran: 2 of 3." in message


def test_a_function_that_a_step_made_is_reached_by_the_tests_of_what_it_changed(
    toy: ModuleType, plain: Path
) -> None:
    twin = toy.LOW + b"\n\nasync def low_async():\n    return 1\n"
    only_twin = twin.removesuffix(b"return 1\n") + b"return 0 + 1\n"
    steps = (
        replace(toy.STEPS[0], changes={"app/low.py": twin}),
        Step("flip:twin", "flip", "Twin", ("app.low.low_async",), {"app/low.py": only_twin}),
    )

    class Planner(toy.ScriptedPlanner):  # type: ignore[name-defined,misc]
        def next_step(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Step | None:
            number = [toy.PROGRAM["app/low.py"], twin].index(sources["app/low.py"])
            return steps[number]

    guard = toy.TestGuard(plain, lambda _: GREEN, REACHED)
    with pytest.raises(ValueError, match="not in list"):  # the planner has no third step
        toy.migrate(plain, Planner(), guard)
    assert guard.seen[-1][0] == "0002-flip:twin"
    assert guard.seen[-1][1].only == {MID, LOW}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"milestone": True}, "a milestone of the walk"),
        ({"kind": "select", "changes": {f"app/{n}.py": b"" for n in "abcdef"}}, "6 files"),
        ({"changes": {"app/low.py": b"X = 1\ndef low():\n    return 0 + 1\n"}}, "outside of func"),
        ({"changes": {"conftest.py": b"import app\n"}}, "conftest.py is for all tests"),
        ({"changes": {"setup.cfg": b"[x]\n"}}, "setup.cfg is no Python file"),
        ({"changes": {"app/new.py": b"def f(): pass\n"}}, "no function changes"),
    ],
)
def test_the_whole_suite_runs_where_the_record_may_not_say_all(
    toy: ModuleType, plain: Path, change: dict[str, Any], why: str
) -> None:
    runs = walk(toy, plain, replace(toy.STEPS[0], **change))
    assert [only for _, only in runs] == [None]
    assert guard_of(plain)["tests"] == "whole"
    assert why in guard_of(plain)["why"]


def test_what_runs_for_several_tests_needs_them_all(toy: ModuleType, plain: Path) -> None:
    runs = walk(toy, plain, reached={**REACHED, "": [LOW_F]})
    assert [only for _, only in runs] == [None]
    assert "also runs outside of single tests" in guard_of(plain)["why"]


def test_nearly_all_is_all(toy: ModuleType, plain: Path) -> None:
    runs = walk(toy, plain, reached={**REACHED, OTHER: [LOW_F]})
    assert [only for _, only in runs] == [None]


@pytest.mark.parametrize("options", [{"reached_only": False}, {"baseline_runs": 1}])
def test_on_request_all_tests_always_run(
    toy: ModuleType, plain: Path, options: dict[str, Any]
) -> None:
    assert [only for _, only in walk(toy, plain, **options)] == [None]


def test_the_whole_suite_runs_every_few_steps(toy: ModuleType, plain: Path) -> None:
    steps = (toy.STEPS[0], replace(toy.STEPS[2], changes={"app/mid.py": toy.MID}))
    runs = walk(toy, plain, *steps, whole_every=2)
    assert runs == [("0001-flip:low", frozenset({MID, LOW})), ("0002-flip:mid", None)]


def test_a_step_that_no_test_reaches_is_left_to_a_person(toy: ModuleType, plain: Path) -> None:
    runs = walk(toy, plain, reached={MID: [MID_F], OTHER: []})
    (kept,) = history_of(plain).kept.values()
    assert runs == []
    assert kept.cause == "unguarded"
    assert kept.detail == "no test runs what it changes:\napp/low.py: low"
    assert kept.members == ("app.low.low",)
    assert kept.proposal is not None
    assert "--allow-unguarded" in kept.proposal
    assert toy.tree(plain) == toy.PROGRAM


def test_a_step_that_no_test_reaches_may_be_allowed(toy: ModuleType, repository: Path) -> None:
    runs = walk(toy, repository, reached={MID: [MID_F], OTHER: []}, allow_unguarded=True)
    assert [only for _, only in runs] == [None]
    assert guard_of(repository)["unguarded"] is True
    assert guard_of(repository)["unreached"] == ["app/low.py: low"]
    message = toy.git(repository, "log", "-1", "--format=%B")
    assert "Unguarded: no test runs what this step changes." in message
    assert "No test runs:\n- app/low.py: low" in message


def red_with_low(*red: str) -> Callable[[Path], Mapping[str, str]]:
    """These tests are red as soon as low is new."""

    def outcomes(root: Path) -> Mapping[str, str]:
        is_new = b"Now new" in (root / "app/low.py").read_bytes()
        return {**GREEN, **dict.fromkeys(red if is_new else (), "failed")}

    return outcomes


def test_a_red_step_names_the_tests_and_what_to_do(toy: ModuleType, plain: Path) -> None:
    walk(toy, plain, outcomes=red_with_low(LOW))
    (kept,) = history_of(plain).kept.values()
    assert (kept.cause, kept.failed) == ("guard", (LOW,))
    assert kept.proposal is not None
    assert LOW in kept.proposal
    assert toy.tree(plain) == toy.PROGRAM


def test_tests_that_failed_before_come_first(toy: ModuleType, plain: Path) -> None:
    walk(toy, plain, outcomes=red_with_low(LOW))
    guard = toy.TestGuard(plain, red_with_low(LOW), REACHED)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard, retry=True)
    assert guard.seen[-2][1].first == (LOW,)
    assert guard.seen[-2][1].at_first_failure is True


def test_a_test_that_was_not_known_to_reach_a_step_takes_it_back_at_the_end(
    toy: ModuleType, repository: Path
) -> None:
    """The whole run at the end is red: the steps are undone from the last one on, and the one that
    broke the test stays undone; the others are made again."""
    other = Step("flip:old", "flip", "Old", ("app.old",), {"app/mid.py": toy.MID})
    steps = (toy.STEPS[0], other)
    runs = walk(toy, repository, *steps, outcomes=red_with_low(OTHER))
    history = history_of(repository)
    assert [entry.step.key for entry in history.applied] == ["flip:old"]
    assert list(history.kept) == ["flip:low"]
    assert history.kept["flip:low"].failed == (OTHER,)
    assert history.unproven == ()
    assert runs[-1][1] is None, "from then on all tests run"
    assert toy.tree(repository) == {**toy.PROGRAM, "app/mid.py": toy.MID}
    assert toy.git(repository, "status", "--porcelain") == ""


def test_a_test_that_fails_without_the_step_too_is_set_aside(toy: ModuleType, plain: Path) -> None:
    runs = 0

    def outcomes(root: Path) -> Mapping[str, str]:
        nonlocal runs
        runs += 1
        return GREEN if runs <= 2 else {**GREEN, LOW: "failed"}

    walk(toy, plain, outcomes=outcomes)
    history = history_of(plain)
    assert history.aside == {LOW: "flaky"}
    assert [entry.step.key for entry in history.applied] == ["flip:low"]
    assert history.kept == {}


def test_tests_that_need_the_others_bring_the_whole_suite_back(
    toy: ModuleType, plain: Path
) -> None:
    class Together(toy.TestGuard):  # type: ignore[name-defined,misc]
        def run(self, name: str, selection: Any = toy.ALL, *rest: Any) -> Any:
            result = super().run(name, selection, *rest)
            if selection.only is None:
                return result
            outcomes = dict.fromkeys(result.outcomes, "failed")
            return replace(result, ok=False, outcomes=outcomes)

    guard = Together(plain, lambda _: GREEN, REACHED)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard)
    assert [entry.step.key for entry in history_of(plain).applied] == ["flip:low"]
    assert guard_of(plain)["why"] == "some tests fail when the others do not run"


def test_an_interrupted_walk_is_proved_whole_by_the_next_run(toy: ModuleType, plain: Path) -> None:
    walk(toy, plain)
    ledger = ledger_of(plain)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    assert b'"whole"' in lines[-1]
    ledger.path.write_bytes(b"".join(lines[:-1]))
    assert history_of(plain).unproven == (1,)

    guard = toy.TestGuard(plain, lambda _: GREEN, REACHED)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard)

    assert [name for name, _, _ in guard.seen] == ["0001-whole"]
    assert history_of(plain).unproven == ()


def test_a_ledger_of_an_older_version_has_nothing_to_prove(toy: ModuleType, plain: Path) -> None:
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]))
    ledger = ledger_of(plain)
    assert history_of(plain).unproven == ()
    assert b'"tests": "whole"' in ledger.path.read_bytes()
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b', "tests": "whole"', b""))
    guard = toy.QuickGuard(plain)
    toy.migrate(plain, toy.ScriptedPlanner(toy.STEPS[:1]), guard)
    assert guard.runs == []
