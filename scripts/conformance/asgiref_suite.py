"""asgiref's own suite, run against the drop-in."""

from __future__ import annotations

import sys
from pathlib import Path

from running import Outcome, run_pytest
from sources import source

__all__ = ["INTERNALS", "PASSED", "VERSION", "problems", "run_suite"]

VERSION = "3.13.0"
PASSED = 122
NOT_RUN = {
    "skipped": ["tests.test_benchmark_local"],
    "xfailed": ["tests.test_sync::test_sync_to_async_with_blocker_thread_sensitive"],
}
_CONTEXTS = "tests.test_sync_thread_sensitive_context::"
# Tests that look at the class attributes of the original; the others use its public names only.
INTERNALS = (
    "tests.test_sync::test_sync_to_async_thread_handler_child_is_partial",
    "tests.test_sync_executor_context_scenario::"
    "test_force_new_context_keeps_executor_bindings_local_to_each_task",
    f"{_CONTEXTS}test_executor_context_restores_parent",
    f"{_CONTEXTS}test_executor_context_without_parent",
    f"{_CONTEXTS}test_executor_context_across_bridges[False]",
    f"{_CONTEXTS}test_executor_context_across_bridges[True]",
    f"{_CONTEXTS}test_executor_context_restores_parent_on_error[ValueError]",
    f"{_CONTEXTS}test_executor_context_restores_parent_on_error[CancelledError]",
    f"{_CONTEXTS}test_executor_context_cancellation_does_not_wait_for_worker",
    f"{_CONTEXTS}test_executor_context_rejects_calls_after_exit",
    f"{_CONTEXTS}test_plain_context_allows_calls_after_exit",
    f"{_CONTEXTS}test_executor_context_without_sync_work",
)


def run_suite(cache: Path, *, substitute: bool = True) -> Outcome:
    """Run it with this interpreter, which has pytest and pytest-asyncio."""
    directory = source("asgiref", VERSION, cache)
    options = ["--timeout=60"]
    if substitute:
        options += ["-p", "conformance_witness"]
    return run_pytest(
        sys.executable,
        ["tests"],
        cwd=directory,
        scratch=cache,
        seconds=240,
        substitute="asgiref" if substitute else None,
        path=[directory],
        options=options,
    )


def problems(outcome: Outcome) -> list[str]:
    """Everything that differs from what is promised; empty if all is well."""
    found = [f"{name}: {outcome.details[name]}" for name in outcome.named("failed")]
    if outcome.hung:
        found.append("the run had to be killed")
    count = outcome.count()
    if count["passed"] != PASSED:
        found.append(f"{count['passed']} tests passed instead of {PASSED}")
    found += [f"{name} was not run" for name in INTERNALS if name not in outcome.tests]
    for kind, names in NOT_RUN.items():
        if outcome.named(kind) != [n if "::" in n else f"::{n}" for n in names]:
            found.append(f"{kind}: {outcome.named(kind)} instead of {names}")
    found += not_replaced(outcome)
    return found


def not_replaced(outcome: Outcome) -> list[str]:
    """Signs that a part of the run used the original."""
    found = []
    started = [line for line in outcome.replaced if "replaced modules" in line]
    if len(started) < 4:
        found.append("the processes that the suite spawns did not say that they use the drop-in")
    if not all("asgiref.sync" in line and "asgiref.local" in line for line in started):
        found.append(f"a process did not replace both modules: {started}")
    witnesses = [line for line in outcome.replaced if line.startswith("witness")]
    if not witnesses:
        found.append("no test module was seen to use the drop-in")
    for line in witnesses:
        homes = line.partition(": ")[2].split(", ")
        if not all(home.startswith("bridgekit.") for home in homes):
            found.append(line)
    return found
