"""File changes that survive a crash: every file is the old one or the new one, never half.

A file is replaced through a temporary sibling and one atomic rename, keeps its permission bits,
and is on disk before the call returns.  Nothing outside the program's root is ever touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from bridgekit_codemods.migration.errors import UnsafePathError

TEMPORARY_SUFFIX = ".bridgekit~"


def digest(data: bytes | None) -> str | None:
    """A short name for the content of a file; ``None`` for a file that is not there."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def locate(root: Path, relative: str) -> Path:
    """The path of a member of the program.

    Raises:
        UnsafePathError: the name is absolute, climbs out of ``root`` (also through a symbolic
            link), or belongs to version control or to the migration's own state.
    """
    pure = PurePosixPath(relative)
    if not relative or pure.is_absolute() or ".." in pure.parts or "\\" in relative:
        raise UnsafePathError(f"{relative!r} is not a path inside the program")
    if pure.parts[0] in {".git", ".bridgekit"}:
        raise UnsafePathError(f"{relative} is not part of the program")
    path = root.joinpath(*pure.parts)
    if path.is_symlink():
        raise UnsafePathError(f"{relative} is a symbolic link; change the file it points to")
    if not path.resolve().is_relative_to(root.resolve()):
        raise UnsafePathError(f"{relative} lies outside the program, behind a symbolic link")
    return path


def read(path: Path) -> bytes | None:
    """The content of a regular file, ``None`` when there is none.

    Raises:
        UnsafePathError: something that is not a regular file is in the way.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except (IsADirectoryError, NotADirectoryError) as error:
        raise UnsafePathError(f"{path} is not a regular file") from error


def mode_of(path: Path) -> int | None:
    """Permission bits of a file, ``None`` when there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def write(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace ``path`` by ``data`` in one atomic move and forget what was compiled from it.

    ``mode`` are the permission bits of the result; without it those of the old file are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = mode if mode is not None else mode_of(path)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with open(temporary, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    if keep is not None:
        temporary.chmod(keep)
    os.replace(temporary, path)
    sync_directory(path.parent)
    drop_compiled(path)


def remove(path: Path) -> None:
    """Delete a file if it is there, and what was compiled from it."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_directory(path.parent)
    drop_compiled(path)


def drop_temporary(path: Path) -> None:
    """Delete what an interrupted :func:`write` of ``path`` may have left beside it."""
    path.with_name(path.name + TEMPORARY_SUFFIX).unlink(missing_ok=True)


def drop_compiled(path: Path) -> None:
    """Delete the byte code of a source file.

    Byte code is trusted by time (in seconds) and size of its source, so a file that is changed
    and changed back within one second could run as the version in between.
    """
    if path.suffix == ".py":
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)


def missing_parents(root: Path, path: Path) -> tuple[str, ...]:
    """Directories that creating ``path`` would create, outermost first, relative to ``root``."""
    missing = []
    parent = path.parent
    while parent != root and not parent.exists():
        missing.append(parent.relative_to(root).as_posix())
        parent = parent.parent
    return tuple(reversed(missing))


def sync_directory(directory: Path) -> None:
    """Make a rename or removal in ``directory`` durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
