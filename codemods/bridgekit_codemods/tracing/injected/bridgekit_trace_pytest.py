"""Tells the collector which pytest test runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bridgekit_trace_collector  # type: ignore[import-not-found]
import pytest


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any, nextitem: Any) -> Iterator[None]:
    collector = bridgekit_trace_collector.collector
    if collector is not None:
        collector.begin(item.nodeid)
    yield
    if collector is not None:
        collector.end()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Iterator[None]:
    """What a fixture for several tests runs is not this one's alone."""
    collector = bridgekit_trace_collector.collector
    if collector is None or fixturedef.scope == "function":
        yield
        return
    before = collector.share()
    yield
    collector.resume(before)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: Any) -> None:
    """Workers of xdist end without the interpreter's own clean-up."""
    if bridgekit_trace_collector.collector is not None and hasattr(config, "workerinput"):
        bridgekit_trace_collector.collector.write()
