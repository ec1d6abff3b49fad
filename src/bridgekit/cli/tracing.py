"""``bridgekit scan --trace``: a look at the user's tests while they run."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from bridgekit.cli.target import Target, fail, open_target
from bridgekit_codemods.tracing import TraceError, run

TraceOption = Annotated[
    str | None,
    typer.Option(
        "--trace",
        metavar="COMMAND",
        help="Run the tests once and record which functions call which, for scan and plan to use.",
    ),
]
CallsOption = Annotated[
    bool,
    typer.Option("--calls", help="With --json: every call site, its targets, how sure, and why."),
]


def traced(target: Target, command: str) -> Target:
    """Run ``command`` with the collector, and read the program again with what was seen.

    Ends the command when it cannot be run. A red run is told and recorded all the same.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        fail(f"cannot read the command {command!r}: {error}")
    if not words:
        fail("--trace needs a command, such as 'python -m pytest -q'")
    try:
        done = run(words, target.root, target.sources)
    except TraceError as error:
        fail(str(error))
    trace = done.trace
    print(
        f"traced {len(trace.tests)} tests in {done.seconds:.0f} s: {len(trace.executed)} functions "
        f"ran, {len(trace.calls)} call sites reached the program",
        file=sys.stderr,
    )
    if done.returncode:
        print(
            f"bridgekit: the traced command ended with {done.returncode}; tests that measure time "
            "can fail under the trace, and what they called is recorded",
            file=sys.stderr,
        )
    return open_target(target.root)
