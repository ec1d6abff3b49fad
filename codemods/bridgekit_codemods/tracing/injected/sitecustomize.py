"""Starts the collector in every interpreter of a traced run, before the program's first import.

The environment's own `sitecustomize`, which this one hides, runs afterwards.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _chain() -> None:
    import importlib.machinery
    import importlib.util

    rest = [p for p in sys.path if os.path.abspath(p or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("BRIDGEKIT_TRACE_OUT"):
    import bridgekit_trace_collector  # type: ignore[import-not-found]

    bridgekit_trace_collector.start()
_chain()
