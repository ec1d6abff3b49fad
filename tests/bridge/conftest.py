"""What tests of several files here use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridgekit import to_thread
from bridgekit.diagnostics import deadlock_action, set_deadlock_action
from bridgekit.engine.waits import monitor


@pytest.fixture
def settings_kept() -> Iterator[None]:
    """Put the size of the pool and the action for deadlocks back afterwards."""
    size, action = to_thread.get_max_workers(), deadlock_action()
    yield
    to_thread.set_max_workers(size)
    set_deadlock_action(action)


@pytest.fixture
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the monitor look four times as often, for a test that waits for nothing to be found."""
    monkeypatch.setattr(monitor, "INTERVAL", monitor.INTERVAL / 4)
