"""Runs the user's tests after a step and tells whether the step may stay.

The command is run without a shell, in the program's root, with the user's environment.  When it
is pytest and its interpreter can import the strictness plugin, the plugin comes along through
``PYTEST_PLUGINS``: un-awaited coroutines and blocked event loops are then failures, the outcome of
every test is known, so that a test that silently stops running is one too, and a run may be
limited to some of the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from bridgekit_codemods.migration import processes
from bridgekit_codemods.migration.commands import pytest_interpreter, resolve
from bridgekit_codemods.tracing.run import traced_environment

PLUGIN = "bridgekit.testing.guard"
REPORT_VARIABLE = "BRIDGEKIT_GUARD_REPORT"
ORDERS_VARIABLE = "BRIDGEKIT_GUARD_ORDERS"
STACKS_VARIABLE = "BRIDGEKIT_GUARD_STACKS"
SESSION_VARIABLE = "BRIDGEKIT_GUARD_SESSION"
TIMEOUT = 600.0
_LEAST_TIMEOUT = 60.0
_TIMES_SLOWER = 10
_UNSET_LOOP_SCOPE = (
    '-W "ignore:The configuration option:pytest.PytestDeprecationWarning"'  # of pytest-asyncio
)
_TAIL_LINES = 60
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class GuardResult:
    """What one run of the tests said."""

    ok: bool
    summary: str
    seconds: float
    log: Path | None = None
    returncode: int | None = None
    timed_out: bool = False
    outcomes: Mapping[str, str] | None = None
    """Test id to ``passed``, ``failed`` or ``skipped``, when the plugin reported them."""
    leftovers: tuple[str, ...] = ()
    """Names of the processes that the run left behind; they were ended."""

    @property
    def passed(self) -> frozenset[str] | None:
        """Ids of the tests that passed, when the plugin reported them."""
        return None if self.outcomes is None else self._with("passed")

    @property
    def failed(self) -> frozenset[str]:
        """Ids of the tests that failed, as far as they are known."""
        return self._with("failed")

    def _with(self, outcome: str) -> frozenset[str]:
        return frozenset(test for test, known in (self.outcomes or {}).items() if known == outcome)

    def output(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of what the command printed."""
        return "\n".join(_tail(self.log)[-lines:]) if self.log is not None else ""


@dataclass(frozen=True)
class Selection:
    """Which tests a run is about, in a guard that can choose."""

    only: frozenset[str] | None = None
    """Ids of the tests to run; ``None`` for all."""
    without: frozenset[str] = frozenset()
    first: tuple[str, ...] = ()
    """Those that run before the others."""
    at_first_failure: bool | None = None
    """Whether the first failure ends the run; ``None`` where the command decides."""

    def includes(self, test: str) -> bool:
        return test not in self.without and (self.only is None or test in self.only)


ALL = Selection()


def _silent(_: str) -> None:
    pass


class Guard(Protocol):
    """Judges the program as it is in the files."""

    description: str
    notice: str | None
    """Something the user should know about how strict this guard is."""
    selects: bool
    """Whether it tells the outcome of every test, runs some of them, and records what they run."""

    def run(
        self,
        name: str,
        selection: Selection = ALL,
        tell: Callable[[str], None] = _silent,
        record: Path | None = None,
    ) -> GuardResult:
        """Run the tests.

        ``name`` labels the log, ``tell`` hears how far the run is, and ``record`` is a directory
        for the collector's files when the run is to be recorded.
        """
        ...


@dataclass
class _Report:
    """What the plugin told, as far as it came."""

    outcomes: dict[str, str] = field(default_factory=dict)
    total: int | None = None
    running: str | None = None
    has_ended: bool = False
    begun: int = 0

    def add(self, line: bytes) -> None:
        try:
            fact = json.loads(line)
        except ValueError:  # torn by the end of the process
            return
        if "tests" in fact:
            self.total = fact["tests"]
        elif "begins" in fact:
            self.running = fact["begins"]
            self.begun += 1
        elif "test" in fact:
            self.outcomes[fact["test"]] = fact["outcome"]
        elif "ends" in fact:
            self.has_ended = True

    @property
    def place(self) -> str:
        return f", in {self.running}" if self.running and not self.has_ended else ""


class CommandGuard:
    """The user's test command in a process group of its own.

    ``notice`` explains why the strictness plugin is not active, when it is not.  Without a
    ``timeout`` a run may take ten minutes, and once a run of all tests was green ten times as long
    as the slowest of those, but at least one minute.  What the command prints is kept in ``logs``
    and also goes to ``echo``.  Whoever makes one holds the program's lock: the processes of a guard
    whose runner was killed are ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        root: Path,
        logs: Path,
        timeout: float | None = None,
        environment: Mapping[str, str] | None = None,
        echo: BinaryIO | None = None,
    ) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._environment.pop(SESSION_VARIABLE, None)
        self._command = resolve(command, self._environment)
        self._root = root
        self._logs = logs
        self._timeout = timeout
        self._slowest = 0.0
        self._echo = echo
        self.description = shlex.join(command)
        self.notice: str | None = None
        self.selects = False
        processes.end_forsaken(self._mark_file)
        self._activate_plugin()

    @property
    def timeout(self) -> float:
        """Seconds after which a run is stopped."""
        if self._timeout is not None:
            return self._timeout
        if not self._slowest:
            return TIMEOUT
        return min(TIMEOUT, max(_LEAST_TIMEOUT, _TIMES_SLOWER * self._slowest))

    def run(
        self,
        name: str,
        selection: Selection = ALL,
        tell: Callable[[str], None] = _silent,
        record: Path | None = None,
    ) -> GuardResult:
        """Run the command once.  All its processes are dead when this returns or raises."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:80]}.txt"
        environment = self._prepare(selection)
        if record is not None:
            environment = traced_environment(environment, self._root, str(record))
        report = _Report()
        timeout = self.timeout
        started = time.monotonic()
        with (
            open(log, "wb") as stream,
            open(log, "rb") as printed,
            contextlib.closing(
                _Watch(printed, self._echo, self._report_file, report, tell)
            ) as watch,
        ):
            try:
                ended = processes.run(
                    self._command, self._root, environment, stream, timeout, watch,
                    self._mark_file,
                )  # fmt: skip
            except OSError as error:
                stream.write(f"{self.description}: {error}\n".encode())
                return GuardResult(False, f"cannot run {self.description}: {error}", 0.0, log)
            seconds = time.monotonic() - started
            if ended.returncode is None and self._stacks_file.exists():
                stream.write(b"\n" + self._stacks_file.read_bytes())
        outcomes = report.outcomes if self.selects else None
        if ended.returncode is None:
            summary = f"no end after {timeout:g} s{report.place}; stopped"
            return GuardResult(False, summary, seconds, log, timed_out=True, outcomes=outcomes)
        ok = ended.returncode == 0
        if report.begun and not report.has_ended:
            ok = False
            summary = f"the interpreter {_death(ended.returncode)}{report.place}"
        else:
            summary = _last_line(log) or f"exit code {ended.returncode}"
        if ok and selection.only is None and record is None:
            self._slowest = max(self._slowest, seconds)
        return GuardResult(
            ok, summary, seconds, log, ended.returncode, False, outcomes, ended.leftovers
        )

    @property
    def _report_file(self) -> Path:
        return self._logs / "outcomes.jsonl"

    @property
    def _orders_file(self) -> Path:
        return self._logs / "orders.json"

    @property
    def _mark_file(self) -> Path:
        return self._logs / "running"

    @property
    def _stacks_file(self) -> Path:
        return self._logs / "stacks.txt"

    def _prepare(self, selection: Selection) -> dict[str, str]:
        """The variables of a run; what the last one left is gone."""
        self._report_file.unlink(missing_ok=True)
        self._stacks_file.unlink(missing_ok=True)
        if not self.selects:
            return self._environment
        maxfail = {None: None, False: 0, True: 1}[selection.at_first_failure]
        orders = {
            "only": None if selection.only is None else sorted(selection.only),
            "without": sorted(selection.without),
            "first": list(selection.first),
            "maxfail": maxfail,
        }
        self._orders_file.write_text(json.dumps(orders), encoding="utf-8")
        return {
            **self._environment,
            REPORT_VARIABLE: str(self._report_file.absolute()),
            ORDERS_VARIABLE: str(self._orders_file.absolute()),
            STACKS_VARIABLE: str(self._stacks_file.absolute()),
        }

    def _activate_plugin(self) -> None:
        interpreter = pytest_interpreter(self._command, self._environment)
        if interpreter is None:
            self.notice = (
                f"the guard is not a plain pytest command, so un-awaited coroutines and blocked "
                f"loops do not fail it; add  -p {PLUGIN}  to its pytest call"
            )
            return
        check = subprocess.run(
            [*interpreter, "-c", f"import {PLUGIN}"],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check.returncode:
            reason = (check.stderr.strip().splitlines() or ["it failed"])[-1]
            self.notice = (
                f"{shlex.join(interpreter)} cannot import {PLUGIN} ({reason}), so un-awaited "
                "coroutines and blocked loops do not fail the guard"
            )
            return
        plugins = self._environment.get("PYTEST_PLUGINS", "")
        if PLUGIN not in plugins.split(","):
            self._environment["PYTEST_PLUGINS"] = ",".join(filter(None, [plugins, PLUGIN]))
        # A plugin that the program does not use yet must not turn its strict warnings red.
        options = self._environment.get("PYTEST_ADDOPTS", "")
        self._environment["PYTEST_ADDOPTS"] = f"{options} {_UNSET_LOOP_SCOPE}".strip()
        self.selects = True


class _Watch:
    """Follows a run: echoes what it prints, reads what the plugin tells, says how far it is."""

    def __init__(
        self,
        printed: BinaryIO,
        echo: BinaryIO | None,
        report_file: Path,
        report: _Report,
        tell: Callable[[str], None],
    ) -> None:
        self._printed = printed
        self._echo = echo
        self._report_file = report_file
        self._report = report
        self._tell = tell
        self._told: BinaryIO | None = None
        self._rest = b""
        self._last = ""

    def __call__(self) -> None:
        if self._echo is not None and (text := self._printed.read()):
            self._echo.write(text)
            self._echo.flush()
        if self._told is None:
            if not self._report_file.exists():
                return
            self._told = open(self._report_file, "rb")  # noqa: SIM115 (see close)
        *lines, self._rest = (self._rest + self._told.read()).split(b"\n")
        for line in lines:
            self._report.add(line)
        if self._report.total and self._report.begun:
            message = f"testing {self._report.begun} of {self._report.total}"
            if message != self._last:
                self._last = message
                self._tell(message)

    def close(self) -> None:
        if self._told is not None:
            self._told.close()


def _death(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with {returncode} before pytest did"
    try:
        return f"died of {signal.Signals(-returncode).name}"
    except ValueError:
        return f"died of signal {-returncode}"


def _tail(log: Path) -> list[str]:
    """The last lines of a log, however large it is; the first may be cut."""
    try:
        with open(log, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            return stream.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _last_line(log: Path) -> str:
    """pytest's closing line without its rule, or the last line of any other command."""
    for line in reversed(_tail(log)):
        stripped = re.sub(r"\x1b\[[0-9;]*m", "", line).strip().strip("=").strip()
        if stripped:
            return stripped[:200]
    return ""
