"""anyio's tests of threads and portals, run against this library through an adapter."""

from __future__ import annotations

import re
from pathlib import Path

from running import Outcome, run_pytest
from sources import environment, source

__all__ = ["EXCEPTIONS", "EXPECTED_PASSES", "VERSION", "function", "problems", "run_suite"]

VERSION = "4.16.0"
REQUIREMENTS = (
    f"anyio=={VERSION}",
    "pytest==9.0.2",
    "pytest-mock==3.15.1",
    "pytest-timeout==2.4.0",
    "trustme==1.2.1",
)
# What does not pass, and why. Parameters in brackets are left out: they fail together.
DESIGN = "differs by design"
INTERNALS = "looks into anyio's own objects"
WORDS = "asks for a name or notice of anyio's that this library does not have"
EXCEPTIONS: dict[str, tuple[str, str]] = {
    "test_cancelscope_propagation_when_abandoned": (
        DESIGN,
        "cancelling the host reaches the coroutine that its thread waits for, abandoned or not",
    ),
    "test_asyncio_worker_thread_loop_closed_during_result_report": (
        DESIGN,
        "the worker threads belong to the process, not to a loop, and outlive it",
    ),
    "test_run_sync_from_thread_pooling": (
        DESIGN,
        "the worker threads belong to the process, not to a loop, and outlive it",
    ),
    "test_get_current_task": (
        DESIGN,
        "from_thread.run_sync runs inside the host task, so there is a current task",
    ),
    "test_aexit_with_exception": (
        DESIGN,
        "a cancelled call raises asyncio.CancelledError, as the native adapters do, not "
        "concurrent.futures.CancelledError",
    ),
    "test_from_async": (
        DESIGN,
        "portal.call is refused on every thread that runs a loop, as it would stop that loop",
    ),
    "test_asyncio_worker_reused_after_cancelled_call": (INTERNALS, "the queue of a worker thread"),
    "test_cancel_during_completion": (INTERNALS, "patches the Future class of anyio.from_thread"),
    "test_deprecated_cancellable_param": (WORDS, "the deprecated parameter cancellable="),
    "test_start_without_thread_name": (WORDS, "the name of the portal's thread"),
}
# Passes or fails with the moment at which the thread takes the call: it assumes that a call that is
# cancelled at once has begun, where ours may never begin.
RACES = frozenset({"test_thread_cancelled"})
NOT_RUN = frozenset({"test_raise_baseexception_from_task", "test_sniffio"})
EXPECTED_PASSES = 81

FILES = ("tests/test_to_thread.py", "tests/test_from_thread.py")


def run_suite(cache: Path, *, substitute: bool = True) -> Outcome:
    """Run the asyncio variants. A test that hangs counts as failed after ten seconds."""
    directory = source("anyio", VERSION, cache)
    options = ["--timeout=10", "--timeout-method=signal", "-k", "not trio and not uvloop"]
    # The start-up module has imported anyio, which is a plugin too, before pytest could rewrite it.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if substitute:
        options += ["-p", "conformance_witness"]
    return run_pytest(
        environment("anyio", REQUIREMENTS, cache),
        FILES,
        cwd=directory,
        scratch=cache,
        seconds=300,
        substitute="anyio" if substitute else None,
        options=options,
    )


def function(name: str) -> str:
    """The name of a test without its module, class and parameters."""
    return re.sub(r"\[.*", "", name.rpartition("::")[2])


def problems(outcome: Outcome) -> list[str]:
    """Everything that differs from the table above; empty if nothing does."""
    found = []
    if outcome.hung:
        found.append("the run had to be killed")
    for name, kind in sorted(outcome.tests.items()):
        test = function(name)
        if test in RACES:
            continue
        expected = "failed" if test in EXCEPTIONS else "skipped" if test in NOT_RUN else "passed"
        if kind != expected:
            found.append(f"{name}: {kind}, expected: {expected}. {outcome.details[name][:200]}")
    passed = len([name for name in outcome.named("passed") if function(name) not in RACES])
    if passed != EXPECTED_PASSES:
        found.append(f"{passed} tests passed instead of {EXPECTED_PASSES}")
    if not any("anyio.to_thread" in line for line in outcome.replaced):
        found.append("the run did not say that it replaced anyio.to_thread")
    return found
