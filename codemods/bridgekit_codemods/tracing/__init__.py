"""What the user's tests really call: a run of the tests under a collector, and its record."""

from bridgekit_codemods.tracing.record import TRACE_FILE, Trace
from bridgekit_codemods.tracing.run import TraceError, TraceRun, run

__all__ = ["TRACE_FILE", "Trace", "TraceError", "TraceRun", "run"]
