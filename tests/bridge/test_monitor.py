"""How often the monitor looks: soon enough for what hangs, seldom enough for everyone else."""

from collections.abc import Callable

import pytest

from bridgekit.engine.waits import monitor
from bridgekit.engine.waits.monitor import INTERVAL, REST, Monitor


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """The pauses before the looks that take so many seconds of processor time each."""

    def run(*costs: float) -> list[float]:
        slept: list[float] = []
        places: set[object] = {"somewhere"}
        clock = 0.0
        left = list(costs)

        def look(self: Monitor) -> None:
            nonlocal clock
            self._pause = INTERVAL
            clock += left.pop(0)
            if not left:
                places.clear()

        monkeypatch.setattr(monitor.time, "sleep", slept.append)
        monkeypatch.setattr(monitor.time, "thread_time", lambda: clock)
        monkeypatch.setattr(Monitor, "look", look)
        Monitor(places).watch_until_nothing_waits()
        return slept

    return run


def test_it_rests_in_proportion_to_what_its_looks_cost(
    pauses: Callable[..., list[float]],
) -> None:
    assert pauses(0.001, 0.001, 0.001) == [INTERVAL] * 3
    assert pauses(0.1, 0.2, 0.1, 0.1) == pytest.approx([INTERVAL, INTERVAL, 0.1 * REST, 0.1 * REST])


def test_one_dear_look_is_not_held_against_it(pauses: Callable[..., list[float]]) -> None:
    # The interpreter chose this thread to collect the garbage of the whole process.
    assert pauses(0.001, 1.0, 0.001, 0.001) == [INTERVAL] * 4
