"""Runs the user's tests after a step and tells whether the step may stay.

The command is run without a shell, in the program's root, with the user's environment.  When it
is pytest and its interpreter can import the strictness plugin, the plugin comes along through
``PYTEST_PLUGINS``: un-awaited coroutines and blocked event loops are then failures, and the list
of tests that passed is known, so that a test that silently stops running is one too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PLUGIN = "bridgekit.testing.guard"
REPORT_VARIABLE = "BRIDGEKIT_GUARD_REPORT"
_UNSET_LOOP_SCOPE = (
    '-W "ignore:The configuration option:pytest.PytestDeprecationWarning"'  # of pytest-asyncio
)
_TERMINATION_GRACE = 5.0
_TAIL_LINES = 60


@dataclass(frozen=True)
class GuardResult:
    """What one run of the tests said."""

    ok: bool
    summary: str
    seconds: float
    log: Path | None = None
    returncode: int | None = None
    timed_out: bool = False
    passed: frozenset[str] | None = None
    """Ids of the tests that passed, when the plugin reported them."""

    def output(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of what the command printed."""
        if self.log is None or not self.log.exists():
            return ""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class Guard(Protocol):
    """Judges the program as it is in the files."""

    description: str
    notice: str | None
    """Something the user should know about how strict this guard is."""

    def run(self, name: str) -> GuardResult:
        """Run the tests; ``name`` labels the log."""
        ...


class CommandGuard:
    """The user's test command in a process group of its own.

    ``notice`` explains why the strictness plugin is not active, when it is not.
    """

    def __init__(
        self,
        command: Sequence[str],
        root: Path,
        logs: Path,
        timeout: float = 600.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._command = resolve(command, self._environment)
        self._root = root
        self._logs = logs
        self._timeout = timeout
        self.description = shlex.join(command)
        self.notice: str | None = None
        self._report: Path | None = None
        self._activate_plugin()

    def run(self, name: str) -> GuardResult:
        """Run the command once.  Its whole process group is dead when this returns or raises."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:80]}.txt"
        if self._report is not None:
            self._report.unlink(missing_ok=True)
        started = time.monotonic()
        with open(log, "wb") as stream:
            try:
                process = subprocess.Popen(
                    self._command,
                    cwd=self._root,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=os.name != "nt",
                )
            except OSError as error:
                stream.write(f"{self.description}: {error}\n".encode())
                return GuardResult(False, f"cannot run {self.description}: {error}", 0.0, log)
            returncode = self._wait(process)
        seconds = time.monotonic() - started
        if returncode is None:
            summary = f"no end after {self._timeout:g} s; stopped"
            return GuardResult(False, summary, seconds, log, timed_out=True)
        passed = self._passed()
        ok = returncode == 0
        summary = _last_line(log) or f"exit code {returncode}"
        return GuardResult(ok, summary, seconds, log, returncode, passed=passed)

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        try:
            return process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)

    def _passed(self) -> frozenset[str] | None:
        if self._report is None:
            return None
        try:
            data = json.loads(self._report.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return frozenset(test for test, outcome in data.items() if outcome == "passed")

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
        self._report = self._logs / "passed.json"
        self._environment[REPORT_VARIABLE] = str(self._report.absolute())


def default_command(tests: Collection[str]) -> list[str] | None:
    """pytest of this interpreter where there are ``tests``, else ``None``."""
    return [sys.executable, "-m", "pytest", "-q", "-x"] if tests else None


def split(command: str) -> list[str]:
    """Split a command line as a shell would, but without running one.

    Raises:
        ValueError: it is empty or a quotation is not closed.
    """
    words = shlex.split(command, posix=os.name != "nt")
    if not words:
        raise ValueError("the command is empty")
    return words


def resolve(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command to run: ``pytest`` that is not on the path becomes this interpreter's."""
    path = environment.get("PATH")
    if command[0] in {"pytest", "py.test"} and shutil.which(command[0], path=path) is None:
        return [sys.executable, "-m", "pytest", *command[1:]]
    return list(command)


def pytest_interpreter(command: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The interpreter that will run pytest, or ``None`` when that cannot be told."""
    path = environment.get("PATH")
    program = shutil.which(command[0], path=path)
    if program is None:
        return None
    name = Path(program).name.lower()
    if re.fullmatch(r"(python|pypy)[\d.]*(\.exe)?", name):
        after = list(command[1:])
        while after and after[0].startswith("-") and after[0] != "-m":
            after = after[2:] if after[0] in {"-X", "-W"} else after[1:]
        return [program] if after[:2] == ["-m", "pytest"] else None
    if re.fullmatch(r"(pytest|py\.test)(\.exe)?", name):
        return _script_interpreter(Path(program), path)
    return None


def _script_interpreter(script: Path, path: str | None) -> list[str] | None:
    sibling = script.with_name("python.exe")
    if script.suffix == ".exe":
        return [str(sibling)] if sibling.exists() else None
    with open(script, "rb") as stream:
        lines = stream.read(2048).decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].startswith("#!"):
        return None
    words = lines[0][2:].split()
    if words and Path(words[0]).name == "sh" and len(lines) > 1:
        # The form installers write when the interpreter's path is too long or has a space.
        found = re.match(r"'''exec' (\"[^\"]+\"|\S+)", lines[1])
        return [found.group(1).strip('"')] if found else None
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
        found_program = shutil.which(words[0], path=path) if words else None
        return [found_program] if found_program else None
    return words or None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group, politely first."""
    if os.name == "nt":
        if process.poll() is None:
            process.kill()
            process.wait()
        return
    if process.poll() is None and _signal_group(process.pid, signal.SIGTERM):
        # One that ignores the request is not asked again: the kill below ends it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TERMINATION_GRACE)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _last_line(log: Path) -> str:
    """pytest's closing line without its rule, or the last line of any other command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        stripped = re.sub(r"\x1b\[[0-9;]*m", "", line).strip().strip("=").strip()
        if stripped:
            return stripped[:200]
    return ""
