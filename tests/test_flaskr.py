"""A program that nobody here wrote: Flask's own tutorial, migrated with its own tests as the guard.

The example comes from the source distribution of the Flask release that constraints.txt pins.
"""

import os
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNREACHABLE = re.compile(
    r"connection error|ConnectionError|NewConnectionError|NameResolutionError|Connection refused"
    r"|Max retries exceeded|from versions: none|timed out|ProxyError",
    re.IGNORECASE,
)
TESTS_OF_THE_TUTORIAL = 24
# The tutorial turns every warning into an error, and pytest-asyncio, which is installed beside it
# for this project, warns about an unset scope.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_default_fixture_loop_scope=function"]


def run(command: Sequence[str], cwd: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run to the end, without this test run's own pytest settings."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip


def git(cwd: Path, *words: str) -> str:
    done = run(["git", *words], cwd, 60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def passed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests passed; fails with the output when any did not."""
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) passed", done.stdout)
    assert found, done.stdout
    return int(found[1])


@pytest.fixture(scope="module")
def source_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flask's pinned sdist. pip reads its metadata on the way, but installs nothing."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = [line for line in pins if line.startswith("flask==")]
    where = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--retries", "1", "--timeout", "15", "--no-deps", "--no-binary", "flask", pin]
    try:
        done = run(command, where, 100)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the package index did not answer in time: no source of {pin}")
    if done.returncode:
        if UNREACHABLE.search(done.stderr):
            pytest.skip(f"the package index cannot be reached: no source of {pin}")
        pytest.fail(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    (archive,) = where.glob("flask-*.tar.gz")
    return archive


@pytest.fixture
def flaskr(source_distribution: Path, tmp_path: Path) -> Path:
    """The tutorial as a clean git work tree."""
    with tarfile.open(source_distribution) as archive:
        archive.extractall(tmp_path, filter="data")
    (directory,) = tmp_path.glob("flask-*/examples/tutorial")
    git(directory, "init", "--quiet", "--initial-branch=main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        git(directory, "config", name, value)
    git(directory, "config", "commit.gpgsign", "false")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "The tutorial as published")
    return directory


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(420)
def test_flask_tutorial_migrates_with_its_own_tests_as_guard(flaskr: Path) -> None:
    assert passed(run(PYTEST, flaskr, 100)) == TESTS_OF_THE_TUTORIAL
    before = git(flaskr, "rev-parse", "HEAD")
    migrate = [sys.executable, "-m", "bridgekit.cli", "migrate", str(flaskr), "--write"]
    migrate += ["--guard", shlex.join(PYTEST)]

    done = run(migrate, flaskr, 300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(\d+) steps done now, \1 in all, 0 kept back$", done.stdout, re.MULTILINE)

    kind = "import flaskr, quart; print(isinstance(flaskr.create_app(), quart.Quart))"
    answer = run([sys.executable, "-c", kind], flaskr, 60)
    assert answer.stdout.strip() == "True", done.stdout + answer.stderr
    assert passed(run(PYTEST, flaskr, 100)) == TESTS_OF_THE_TUTORIAL

    migrated = git(flaskr, "rev-parse", "HEAD")
    assert int(git(flaskr, "rev-list", "--count", f"{before}..{migrated}")) > 1
    assert git(flaskr, "branch", "--show-current") == "bridgekit/migrate"
    assert git(flaskr, "rev-parse", "main") == before

    again = run(migrate, flaskr, 100)
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(
        r"^0 steps done now, [1-9]\d* in all, 0 kept back$", again.stdout, re.MULTILINE
    )
    assert git(flaskr, "rev-parse", "HEAD") == migrated
    assert git(flaskr, "status", "--porcelain") == ""
