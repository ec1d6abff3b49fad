"""pytest plugin that makes the silent failures of async code loud.

Load it with ``-p bridgekit.testing.guard`` (or ``PYTEST_PLUGINS``).  A test fails when

* a coroutine made while it ran was never awaited (the message names the line that made it),
* it returns something (a coroutine, most often) instead of asserting,
* it is an ``async def`` that no plugin runs,
* an event loop was blocked by one callback for longer than ``bridgekit_loop_block`` seconds
  (ini option, or ``BRIDGEKIT_LOOP_BLOCK`` in the environment; 0 turns this off), with the stack.

What happens outside any test fails the session.  The project's own ``filterwarnings`` have no say:
the interpreter's hook for never-awaited coroutines is used, not the warning it makes.

With ``BRIDGEKIT_GUARD_REPORT`` set to a path, the outcome of every test is appended there while the
session runs, one JSON object a line.

Loops written in C that do not use asyncio's callbacks (uvloop) are not watched.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any

import pytest

from bridgekit.testing._loops import LoopWatch
from bridgekit.testing._orders import take_part

ORIGIN_DEPTH = 5
_BLOCK_VARIABLE = "BRIDGEKIT_LOOP_BLOCK"
_BLOCK_INI = "bridgekit_loop_block"
_DEFAULT_BLOCK = "1.0"


class Guard:
    """Collects offences while a session runs and turns them into failures.

    Offences arrive from any thread; list appends are atomic, and only the main thread drains.
    """

    def __init__(self, block_seconds: float) -> None:
        self._offences: list[str] = []
        self._leftover: list[str] = []
        self._watch = LoopWatch(block_seconds, self._offences.append) if block_seconds else None
        self._undo: list[Callable[[], None]] = []

    # Installing and removing

    def install(self) -> None:
        """Hook into the interpreter; :meth:`uninstall` puts everything back."""
        self._track_origins()
        original = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]

        def unawaited(coroutine: Any) -> None:
            self._offences.append(describe(coroutine))
            original(coroutine)

        warnings._warn_unawaited_coroutine = unawaited  # type: ignore[attr-defined]
        self._undo.append(lambda: setattr(warnings, "_warn_unawaited_coroutine", original))
        if self._watch is not None:
            self._watch.start()
            self._undo.append(self._watch.stop)

    def uninstall(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _track_origins(self) -> None:
        depth = sys.get_coroutine_origin_tracking_depth()
        wanted = max(depth, ORIGIN_DEPTH)
        sys.set_coroutine_origin_tracking_depth(wanted)
        self._undo.append(lambda: sys.set_coroutine_origin_tracking_depth(depth))
        # The depth belongs to a thread, and loops run in threads too.
        bootstrap = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

        def tracked(thread: threading.Thread) -> None:
            sys.set_coroutine_origin_tracking_depth(wanted)
            bootstrap(thread)

        threading.Thread._bootstrap_inner = tracked  # type: ignore[attr-defined]
        self._undo.append(lambda: setattr(threading.Thread, "_bootstrap_inner", bootstrap))

    # Offences

    def drain(self) -> list[str]:
        """The offences so far, which are thereby accounted for."""
        found, self._offences[:] = list(self._offences), []
        return found

    def _phase(self, item: pytest.Item, collect: bool) -> Generator[None, Any, Any]:
        try:
            result = yield
        except BaseException:
            self._attach(item)
            raise
        if collect:
            # What a test made is young; what aged all the same is found at the end of the session.
            gc.collect(1)
        if offences := self.drain():
            pytest.fail("\n\n".join(offences), pytrace=False)
        return result

    def _attach(self, item: pytest.Item) -> None:
        """A test that fails anyway shows the offences beside its own failure."""
        if offences := self.drain():
            item.add_report_section("call", "bridgekit guard", "\n\n".join(offences))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._leftover += self.drain()
        return (yield from self._phase(item, collect=False))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        return (yield from self._phase(item, collect=False))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        return (yield from self._phase(item, collect=True))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        function = pyfuncitem.obj
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return (yield)
        pyfuncitem.obj = _returning_nothing(function)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        function = getattr(item, "function", None)
        if (
            report.skipped
            and inspect.iscoroutinefunction(function)
            and "async def function" in str(report.longrepr)
        ):  # releases of pytest before 8.4 skip it
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} is an async def that no plugin runs"
        return report

    # Session

    def pytest_collection_finish(self) -> None:
        """Set what exists now aside, so that a collection after each test is cheap."""
        gc.collect()
        gc.freeze()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Undo the freeze before other plugins sum up: `gc.get_referrers` is blind to it."""
        try:
            return (yield)
        finally:
            gc.unfreeze()

    def pytest_enter_pdb(self) -> None:
        if self._watch is not None:
            self._watch.pause()

    def pytest_leave_pdb(self) -> None:
        if self._watch is not None:
            self._watch.resume()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        gc.collect()
        self._leftover += self.drain()
        if self._leftover and session.exitstatus in {0, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._leftover:
            terminalreporter.section("bridgekit guard: outside of any test", red=True)
            for offence in self._leftover:
                terminalreporter.line(offence)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _BLOCK_INI,
        "seconds one callback may hold an event loop before the test fails (0: any time)",
        default=_DEFAULT_BLOCK,
    )


def pytest_configure(config: pytest.Config) -> None:
    seconds = float(os.environ.get(_BLOCK_VARIABLE) or config.getini(_BLOCK_INI))
    guard = Guard(seconds)
    guard.install()
    config.add_cleanup(guard.uninstall)
    config.pluginmanager.register(guard, "bridgekit-guard")
    take_part(config)


def describe(coroutine: Any) -> str:
    """Name a coroutine that was never awaited, and the lines that led to it, innermost last."""
    name = getattr(coroutine, "__qualname__", None) or repr(coroutine)
    text = f"coroutine {name!r} was never awaited"
    origin = getattr(coroutine, "cr_origin", None) or ()
    lines = [f'  File "{file}", line {line}, in {function}' for file, line, function in origin]
    return "\n".join([text + (", made at" if lines else ""), *reversed(lines)])


def _returning_nothing(function: Callable[..., Any]) -> Callable[..., None]:
    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> None:
        result = function(*args, **kwargs)
        if result is None:
            return
        if inspect.iscoroutine(result):
            result.close()  # said below, once
        pytest.fail(
            f"the test returned {type(result).__name__}, not None: what it should assert "
            "was not checked",
            pytrace=False,
        )

    return checked
