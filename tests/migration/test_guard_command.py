"""The user's test command: run as given, bounded in time, made strict where that is possible."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from bridgekit_codemods.migration.guard import (
    CommandGuard,
    default_command,
    pytest_interpreter,
    resolve,
    split,
)

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


@pytest.fixture(autouse=True)
def _no_outer_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)


def guard(root: Path, command: list[str], timeout: float = 60) -> CommandGuard:
    return CommandGuard(command, root, root / "logs", timeout)


def test_pytest_becomes_strict_and_tells_what_passed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "async def f(): pass\ndef test_lost(): f()\ndef test_good(): pass\n"
    )
    tests = guard(tmp_path, PYTEST)
    result = tests.run("0001-flip:a.b")

    assert tests.notice is None
    assert not result.ok
    assert "never awaited" in result.output()
    assert result.passed == {"test_it.py::test_good"}
    assert result.log == tmp_path / "logs/0001-flip-a.b.txt"
    assert "1 failed, 1 passed" in result.summary


def test_another_command_is_used_as_it_is_and_the_user_is_told(tmp_path: Path) -> None:
    tests = guard(tmp_path, [sys.executable, "-c", "print('fine')"])
    result = tests.run("x")
    assert result.ok
    assert result.summary == "fine"
    assert tests.notice is not None
    assert "not a plain pytest command" in tests.notice


def test_an_interpreter_without_the_plugin_is_told(tmp_path: Path) -> None:
    package = tmp_path / "bridgekit"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('hidden by a local package')\n")
    tests = guard(tmp_path, PYTEST)
    assert tests.notice is not None
    assert "hidden by a local package" in tests.notice


CHILD = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.recv(1)"
)
HANGING = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", {CHILD!r}, sys.argv[1]])
signal.pause()
"""


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
def test_a_hanging_command_is_killed_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgekit_codemods.migration.guard._TERMINATION_GRACE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        result = guard(tmp_path, [sys.executable, "-c", HANGING, port], timeout=5).run("x")
        server.settimeout(10)
        connection = server.accept()[0]
        with connection:
            connection.settimeout(10)
            assert connection.recv(1) == b"", "the grandchild still holds its end"
    assert result.timed_out
    assert not result.ok
    assert result.summary == "no end after 5 s; stopped"


def test_a_command_that_does_not_exist_is_red(tmp_path: Path) -> None:
    result = guard(tmp_path, ["no-such-command-here"]).run("x")
    assert not result.ok
    assert "no-such-command-here" in result.output()


def test_pytest_off_the_path_is_this_interpreters(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}
    assert resolve(["pytest", "-q"], environment) == [sys.executable, "-m", "pytest", "-q"]
    assert resolve(["tox"], environment) == ["tox"]


@pytest.mark.skipif(os.name == "nt", reason="scripts with a first line are POSIX")
@pytest.mark.parametrize(
    "text",
    ["#!{python}\n", "#!/usr/bin/env python-here\n", "#!/bin/sh\n'''exec' {python} \"$0\"\n"],
)
def test_the_interpreter_of_a_script(tmp_path: Path, text: str) -> None:
    script = tmp_path / "pytest"
    script.write_text(text.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "python-here").symlink_to(sys.executable)
    found = pytest_interpreter(["pytest", "-q"], {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert found in ([sys.executable], [str(tmp_path / "python-here")])


@pytest.mark.parametrize(
    ("command", "is_pytest"),
    [
        ([sys.executable, "-m", "pytest"], True),
        ([sys.executable, "-X", "dev", "-m", "pytest", "-q"], True),
        ([sys.executable, "-m", "unittest"], False),
        ([sys.executable, "-c", "pass"], False),
        ([shutil.which("true") or "true"], False),
    ],
)
def test_which_commands_are_pytest(command: list[str], is_pytest: bool) -> None:
    assert (pytest_interpreter(command, dict(os.environ)) is not None) is is_pytest


def test_the_default_needs_tests() -> None:
    assert default_command([]) is None
    assert default_command(["tests/test_it.py"]) == [sys.executable, "-m", "pytest", "-q", "-x"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX quotation")
def test_a_command_line_is_split_without_a_shell() -> None:
    assert split("pytest -q 'a b' $HOME") == ["pytest", "-q", "a b", "$HOME"]
