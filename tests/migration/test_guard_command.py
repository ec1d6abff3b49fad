"""The user's test command: run as given, bounded in time, made strict where that is possible."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bridgekit_codemods.migration.commands import (
    default_command,
    pytest_interpreter,
    resolve,
    split,
)
from bridgekit_codemods.migration.guard import CommandGuard, Selection

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
    monkeypatch.setattr("bridgekit_codemods.migration.processes.TERMINATION_GRACE", 0.2)
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


THREE = """
def test_a(): pass
def test_b(): assert False
def test_c(): pass
"""
A, B, C = (f"test_it.py::test_{name}" for name in "abc")


@pytest.mark.parametrize(
    ("selection", "outcomes"),
    [
        (Selection(at_first_failure=False), {A: "passed", B: "failed", C: "passed"}),
        (Selection(only=frozenset({B, C}), without=frozenset({B})), {C: "passed"}),
        (Selection(first=(C, B)), {C: "passed", B: "failed"}),
    ],
)
def test_a_run_takes_the_tests_that_are_chosen(
    tmp_path: Path, selection: Selection, outcomes: dict[str, str]
) -> None:
    (tmp_path / "test_it.py").write_text(THREE)
    result = guard(tmp_path, [*PYTEST, "-x"]).run("x", selection)
    assert result.outcomes == outcomes
    assert list(result.outcomes or ()) == list(outcomes)
    assert result.ok is ("failed" not in outcomes.values())


def test_a_test_that_runs_pytest_itself_keeps_the_choice_to_itself(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/test_inner.py").write_text("def test_in(): assert False\n")
    (tmp_path / "test_it.py").write_text(
        "import subprocess, sys\n"
        "import pytest\n"
        "def test_out():\n"
        "    command = [sys.executable, '-m', 'pytest', 'inner', '-p', 'no:cacheprovider']\n"
        "    assert subprocess.run(command).returncode == 1\n"
        "def test_within():\n"
        "    assert pytest.main(['inner', '-p', 'no:cacheprovider']) == 1\n"
    )
    names = {"test_it.py::test_out", "test_it.py::test_within"}
    result = guard(tmp_path, [*PYTEST, "test_it.py"]).run("x", Selection(only=frozenset(names)))
    assert result.outcomes == dict.fromkeys(names, "passed"), result.output()


def test_the_death_of_the_interpreter_names_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), 9)\n"
    )
    result = guard(tmp_path, PYTEST).run("x")
    assert not result.ok
    assert result.summary == "the interpreter died of SIGKILL, in test_it.py::test_b"
    assert result.outcomes == {A: "passed"}


def test_an_early_exit_is_never_green(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import os\ndef test_a(): os._exit(0)\n")
    result = guard(tmp_path, PYTEST).run("x")
    assert not result.ok
    assert result.summary == "the interpreter ended with 0 before pytest did, in test_it.py::test_a"


@pytest.mark.skipif(os.name == "nt", reason="faulthandler registers signals on POSIX")
def test_a_hanging_test_is_named_and_its_stack_shown(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import threading\ndef never_ends(): threading.Event().wait()\ndef test_a(): never_ends()\n"
    )
    result = guard(tmp_path, PYTEST, timeout=6).run("x")
    assert result.timed_out
    assert result.summary == "no end after 6 s, in test_it.py::test_a; stopped"
    assert "in never_ends" in result.output()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("code", [0, 1])
def test_a_process_that_left_the_group_is_found_and_ended(tmp_path: Path, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        stays = CHILD.replace("; s.recv", "; print(flush=True); s.recv")
        leave = (
            "import subprocess, sys\n"
            f"subprocess.Popen([sys.executable, '-c', {stays!r}, sys.argv[1]],"
            " start_new_session=True, stdout=subprocess.PIPE).stdout.readline()\n"
            f"sys.exit({code})"
        )
        result = guard(tmp_path, [sys.executable, "-c", leave, port]).run("x")
        assert result.returncode == code
        (name,) = result.leftovers
        assert name.startswith("python")
        server.settimeout(10)
        connection = server.accept()[0]
        with connection:
            connection.settimeout(10)
            assert connection.recv(1) == b"", "the process is still there"


def test_what_the_guard_prints_is_shown_and_kept(tmp_path: Path) -> None:
    echo = io.BytesIO()
    command = [sys.executable, "-c", "print('one'); print('two')"]
    result = CommandGuard(command, tmp_path, tmp_path / "logs", 60, echo=echo).run("x")
    assert echo.getvalue().split() == [b"one", b"two"]
    assert result.log is not None
    assert result.log.read_bytes() == echo.getvalue()


def test_how_far_a_run_is(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(THREE)
    heard: list[str] = []
    guard(tmp_path, PYTEST).run("x", tell=heard.append)
    assert heard[-1] == "testing 3 of 3"


def test_the_time_limit_follows_the_suite(tmp_path: Path) -> None:
    tests = CommandGuard([sys.executable, "-c", "pass"], tmp_path, tmp_path / "logs")
    assert tests.timeout == 600
    tests.run("x")
    assert tests.timeout == 60
    assert guard(tmp_path, PYTEST, 7).timeout == 7


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_the_guard_of_a_killed_runner_is_ended_by_the_next(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = str(server.getsockname()[1])
        runner = (
            "import sys\nfrom pathlib import Path\n"
            "from bridgekit_codemods.migration.guard import CommandGuard\n"
            "root = Path(sys.argv[1])\n"
            "CommandGuard(sys.argv[2:], root, root / 'logs', 60).run('x')\n"
        )
        guarded = [sys.executable, "-c", CHILD, port]
        killed = subprocess.Popen([sys.executable, "-c", runner, str(tmp_path), *guarded])
        connection = server.accept()[0]
        with connection:
            killed.kill()
            killed.wait()
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(1)  # it goes on
            guard(tmp_path, [sys.executable, "-c", "pass"])
            connection.settimeout(10)
            assert connection.recv(1) == b"", "the process is still there"
