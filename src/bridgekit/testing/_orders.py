"""What a migration asks of one pytest session, and what the session tells it.

Both go through files that the environment names, because the session runs in an interpreter of the
program's own. Only the outermost session takes part (and the xdist workers that it starts): tests
that run pytest themselves pass the environment on, and must neither lose tests nor report.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

REPORT_VARIABLE = "BRIDGEKIT_GUARD_REPORT"
ORDERS_VARIABLE = "BRIDGEKIT_GUARD_ORDERS"
STACKS_VARIABLE = "BRIDGEKIT_GUARD_STACKS"
_SESSION_VARIABLE = "BRIDGEKIT_GUARD_SESSION"


class Orders:
    """Leaves out tests, puts some first, and decides how many failures end the session.

    `only` holds the ids of the tests that are to run (None for all), `without` those that are not,
    `first` those that run before the others; `maxfail` is pytest's option (None: as it is).
    """

    def __init__(
        self,
        only: list[str] | None = None,
        without: list[str] | None = None,
        first: list[str] | None = None,
        maxfail: int | None = None,
    ) -> None:
        self._only = None if only is None else frozenset(only)
        self._without = frozenset(without or ())
        self._first = {test: position for position, test in enumerate(first or ())}
        self._maxfail = maxfail

    def apply(self, config: pytest.Config) -> None:
        """Set the options of a session that begins."""
        if self._maxfail is not None and not config.getoption("usepdb"):
            config.option.maxfail = self._maxfail

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Choose and order, after whatever else chooses and orders."""
        chosen: list[pytest.Item] = []
        left: list[pytest.Item] = []
        for item in items:
            is_chosen = self._only is None or item.nodeid in self._only
            (chosen if is_chosen and item.nodeid not in self._without else left).append(item)
        if left:
            config.hook.pytest_deselected(items=left)
        last = len(self._first)
        items[:] = sorted(chosen, key=lambda item: self._first.get(item.nodeid, last))


class Reporter:
    """Appends one JSON object a line, so that a session that dies has told what it did so far."""

    def __init__(self, path: Path) -> None:
        self._stream = open(path, "ab", buffering=0)  # noqa: SIM115 (closed when the session ends)
        self._outcomes: dict[str, str] = {}

    def _tell(self, **fields: object) -> None:
        self._stream.write(json.dumps(fields).encode() + b"\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tell(tests=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell(begins=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self._outcomes.get(report.nodeid)
        if report.when == "call" or report.outcome != "passed":
            worse = known in {"failed", "skipped"} and report.outcome == "passed"
            outcome = known if known and worse else report.outcome
            self._outcomes[report.nodeid] = outcome
            self._tell(test=report.nodeid, outcome=outcome)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._tell(ends=int(exitstatus))

    def close(self) -> None:
        self._stream.close()


def take_part(config: pytest.Config) -> None:
    """Register what the environment asks for with this session, if it is the one that is meant."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        if os.environ.get(_SESSION_VARIABLE):
            return
        if not {REPORT_VARIABLE, ORDERS_VARIABLE} & os.environ.keys():
            return
        os.environ[_SESSION_VARIABLE] = str(os.getpid())
        config.add_cleanup(_leave)
    if file := os.environ.get(ORDERS_VARIABLE):
        orders = Orders(**json.loads(Path(file).read_bytes()))
        orders.apply(config)
        config.pluginmanager.register(orders, "bridgekit-orders")
    if is_worker:
        return
    if file := os.environ.get(REPORT_VARIABLE):
        reporter = Reporter(Path(file))
        config.add_cleanup(reporter.close)
        config.pluginmanager.register(reporter, "bridgekit-reporter")
    if file := os.environ.get(STACKS_VARIABLE):
        _show_stacks(config, Path(file))


def _leave() -> None:
    os.environ.pop(_SESSION_VARIABLE, None)


def _show_stacks(config: pytest.Config, path: Path) -> None:
    """Have the stacks of all threads written when the session is ended from outside."""
    if not hasattr(faulthandler, "register"):  # Windows
        return
    stream: Any = open(path, "wb")  # noqa: SIM115 (faulthandler keeps its descriptor)
    faulthandler.register(signal.SIGTERM, stream, all_threads=True, chain=True)

    def forget() -> None:
        faulthandler.unregister(signal.SIGTERM)
        stream.close()

    config.add_cleanup(forget)
