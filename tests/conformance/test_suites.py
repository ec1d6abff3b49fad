"""Other projects' suites against this one, as scripts/conformance runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNAVAILABLE = 75
pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


@pytest.mark.parametrize(
    "suite",
    [
        pytest.param("asgiref", marks=pytest.mark.timeout(420)),
        pytest.param("mutants", marks=pytest.mark.timeout(900)),
        pytest.param("anyio", marks=pytest.mark.timeout(600)),
        pytest.param("django", marks=pytest.mark.timeout(1200)),
    ],
)
def test_the_outcome_is_as_promised(suite: str, cache: Path) -> None:
    """What is promised stands in the module of each suite; any change of it fails here."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "conformance"), suite, "--cache", str(cache)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stdout.strip().splitlines()[-1].strip())
    assert done.returncode == 0, done.stdout + done.stderr
