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
    "trio==0.35.0",
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
        "under asyncio: run_sync of from_thread runs inside the host task, so there is one",
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
    "test_asynclib_detection": (
        DESIGN,
        "under asyncio: sniffio's context variable crosses into the thread, as every one does",
    ),
    "test_sniffio": (
        DESIGN,
        "under asyncio: sniffio's context variable crosses into the thread, as every one does",
    ),
    "test_asyncio_worker_reused_after_cancelled_call": (INTERNALS, "the queue of a worker thread"),
    "test_cancel_during_completion": (INTERNALS, "patches the Future class of anyio.from_thread"),
    "test_deprecated_cancellable_param": (WORDS, "the deprecated parameter cancellable="),
    "test_start_without_thread_name": (WORDS, "the name of the portal's thread"),
}
TOKENS = "under trio: a thread that the run did not start comes to it by a portal, not by its token"
TRIO_EXCEPTIONS: dict[str, tuple[str, str]] = {
    "test_run_async_closed_event_loop": (DESIGN, TOKENS),
    "test_run_sync_closed_event_loop": (DESIGN, TOKENS),
    "test_run_async_from_unclaimed_thread": (DESIGN, TOKENS),
    "test_run_sync_from_unclaimed_thread": (DESIGN, TOKENS),
}
PASS_UNDER_TRIO = frozenset({"test_asynclib_detection", "test_get_current_task", "test_sniffio"})
# Those of the above that would wait for ever are not even begun.
NEVER_END = (
    "loop_closed_during_result_report",
    "(trio and from_unclaimed_thread and not no_token)",
)
# Pass or fail with the moment at which the thread takes the call: they assume that a call that is
# cancelled at once has begun, where ours may never begin.
RACES = frozenset(
    {
        "test_cancel_wait_on_thread",
        "test_thread_cancelled",
        "test_thread_cancelled_and_abandoned",
    }
)
NOT_RUN = frozenset({"test_raise_baseexception_from_task"})
EXPECTED_PASSES = 159

FILES = ("tests/test_to_thread.py", "tests/test_from_thread.py")


def run_suite(cache: Path, *, substitute: bool = True) -> Outcome:
    """Run the asyncio and trio variants. A test that hangs counts as failed after ten seconds."""
    directory = source("anyio", VERSION, cache)
    options = ["--timeout=10", "--timeout-method=signal"]
    options += ["-k", " and not ".join(("not uvloop", *NEVER_END))]
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
        trio = "[trio" in name
        known = test in TRIO_EXCEPTIONS if trio else False
        known = known or (test in EXCEPTIONS and not (trio and test in PASS_UNDER_TRIO))
        expected = "failed" if known else "skipped" if test in NOT_RUN else "passed"
        if kind == "xfailed" and known:
            continue
        if kind != expected:
            found.append(f"{name}: {kind}, expected: {expected}. {outcome.details[name][:200]}")
    passed = len([name for name in outcome.named("passed") if function(name) not in RACES])
    if passed != EXPECTED_PASSES:
        found.append(f"{passed} tests passed instead of {EXPECTED_PASSES}")
    if not any("anyio.to_thread" in line for line in outcome.replaced):
        found.append("the run did not say that it replaced anyio.to_thread")
    return found
