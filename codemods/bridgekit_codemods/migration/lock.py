"""One migration at a time per program."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bridgekit_codemods.migration.errors import RefusedError


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at ``path``.

    The system drops the lock when its holder ends in whatever way, so the file of a process that
    was killed is simply taken over.  The file itself stays: removing it would let two processes
    each lock a file of that name.

    Raises:
        RefusedError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as stream:
        try:
            _lock(stream)
        except OSError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise RefusedError(
                f"another bridgekit (process {holder}) is at work here; wait for it to end"
            ) from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[str]) -> None:
        stream.seek(1 << 20)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(stream: IO[str]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
