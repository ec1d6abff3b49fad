"""Programs at two points of their history."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from bridgekit_codemods.program import Program, read_sources


def load(repository: Path | None, revision: str) -> Program:
    """The program at a revision of the repository, or in a directory.

    Raises:
        ValueError: there is no such directory, and no such revision.
    """
    directory = Path(revision)
    if directory.is_dir():
        return Program.load(read_sources(directory))
    if repository is None:
        raise ValueError(f"{revision} is no directory, and no repository is given")
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", "--format=tar", revision],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise ValueError(archive.stderr.decode("utf-8", "replace").strip())
    with tempfile.TemporaryDirectory() as directory_name:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(directory_name, filter="data")
        return Program.load(read_sources(Path(directory_name)))
