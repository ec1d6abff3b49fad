"""What tests of several files here use."""

from __future__ import annotations

import pytest

from bridgekit.engine.waits import monitor


@pytest.fixture
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the monitor look four times as often, for a test that waits for nothing to be found."""
    monkeypatch.setattr(monitor, "INTERVAL", monitor.INTERVAL / 4)
