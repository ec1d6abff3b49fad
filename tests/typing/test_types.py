"""The public names as mypy and pyright see them: the other files here say what has to be so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(set(Path(__file__).parent.glob("*.py")) - {Path(__file__)})


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_mypy_strict() -> None:
    done = run("mypy", "--strict", "--no-error-summary", *FILES)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_pyright() -> None:
    if shutil.which("node") is None:
        pytest.skip("pyright runs on node, which is not here")
    done = run("pyright", "--pythonpath", sys.executable, *FILES)
    assert done.stdout.splitlines()[-1:] == ["0 errors, 0 warnings, 0 informations"], done.stdout


@pytest.mark.parametrize(
    ("checker", "options"), [("mypy", ["--strict"]), ("pyright", ["--pythonpath", sys.executable])]
)
def test_a_wrong_type_is_seen(checker: str, options: list[str], tmp_path: Path) -> None:
    """The checkers do read bridgekit's annotations: without them everything would be ``Any``."""
    if checker == "pyright" and shutil.which("node") is None:
        pytest.skip("pyright runs on node, which is not here")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from bridgekit import sync_to_async\nsync_to_async(len)(3)\n")
    done = run(checker, *options, wrong)
    assert done.returncode == 1
    assert "wrong.py:2" in done.stdout
