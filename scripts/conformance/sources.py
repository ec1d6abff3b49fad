"""The suites: pinned source distributions, fetched with pip, and environments to run them in."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

__all__ = ["IndexUnreachable", "environment", "source"]

UNREACHABLE = re.compile(
    r"connection error|ConnectionError|NewConnectionError|NameResolutionError|Connection refused"
    r"|Max retries exceeded|from versions: none|timed out|ProxyError",
    re.IGNORECASE,
)
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
PATIENCE = ["--retries", "1", "--timeout", "15"]
SECONDS = 300


class IndexUnreachable(RuntimeError):
    """The package index does not answer, so there is nothing to run."""


def _pip(words: Sequence[str], what: str) -> None:
    command = [*PIP, *words]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise IndexUnreachable(f"the package index did not answer in time: no {what}") from error
    if done.returncode:
        if UNREACHABLE.search(done.stderr):
            raise IndexUnreachable(f"the package index cannot be reached: no {what}")
        raise RuntimeError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def source(project: str, version: str, cache: Path) -> Path:
    """The unpacked source distribution of a release; fetched once into ``cache``.

    :raises IndexUnreachable: it is not there and cannot be had.
    """
    directory = cache / f"{project}-{version}"
    if directory.is_dir():
        return directory
    cache.mkdir(parents=True, exist_ok=True)
    # No build isolation is needed to read the metadata: nothing is installed from the source.
    words = ["download", *PATIENCE, "--no-deps", "--no-binary", project, "--dest", str(cache)]
    _pip([*words, f"{project}=={version}"], f"source of {project} {version}")
    (archive,) = cache.glob(f"{project}-{version}.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(cache, filter="data")
    return directory


def environment(name: str, requirements: Sequence[str], cache: Path) -> Path:
    """The interpreter of a virtual environment with ``requirements``; made once in ``cache``.

    :raises IndexUnreachable: the packages cannot be had.
    """
    directory = cache / f"env-{name}"
    python = directory / "bin" / "python"
    ready = directory / "ready"
    if not ready.exists():
        venv.create(directory, with_pip=False, clear=True)
        _pip(
            ["--python", str(python), "install", *PATIENCE, *requirements], ", ".join(requirements)
        )
        ready.touch()
    return python
