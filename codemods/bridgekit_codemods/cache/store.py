"""A small store of plain values in `.bridgekit/cache`, each under what it follows from.

A file is one line that says what it holds, and the value as JSON. What is damaged, from elsewhere
or in the way is told in one line and treated as not there: a cache is never a reason to fail, and
never a reason for another answer. Files are replaced by one atomic move, so runs at the same time
do no harm. Only plain values are read; nothing in a file is ever run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

PLACE = ".bridgekit/cache"
MOST_FILES = 32
MOST_BYTES = 64 << 20
"""What all files together may take."""
_LARGEST = MOST_BYTES // 4
_LABEL = "bridgekit cache 1"
_OURS = re.compile(r"[a-z]+(-[0-9a-f]{16})?-[0-9a-f]{32}\.json\Z|\.new-.*\Z")
_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class Store:
    """The results of one program as it is now: `key` names all that they follow from.

    A `kind` is a word, with the digest of options after a hyphen where there are any.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._directory = root / PLACE
        self._key = key
        self._is_usable = not (self._directory.is_symlink() or self._directory.parent.is_symlink())
        if not self._is_usable:
            _logger.warning("the cache is not used: %s is a symbolic link", self._directory)

    def get(self, kind: str, read: Callable[[Any], _T]) -> _T | None:
        """What `read` makes of the value that was put, None where there is none.

        `read` raises ValueError, TypeError, LookupError or AttributeError for a value that is not
        of its form.
        """
        path = self._path(kind)
        if not self._is_usable:
            return None
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._ignored(path, str(error.strerror or error))
            return None
        head, _, body = data.partition(b"\n")
        if head != self._head(kind, body):
            self._ignored(path, "it is damaged or was not written here")
            return None
        try:
            found = read(json.loads(body))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self._ignored(path, f"its value cannot be read ({error})")
            return None
        with contextlib.suppress(OSError):  # where only reading is allowed, age does not matter
            os.utime(path)
        return found

    def put(self, kind: str, value: object) -> None:
        """Keep a plain value (of lists, dicts with string keys, strings, numbers, None)."""
        body = json.dumps(value, separators=(",", ":")).encode()
        if not self._is_usable or len(body) > _LARGEST:
            return
        path = self._path(kind)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            ignore = self._directory / ".gitignore"
            if not ignore.exists():
                self._replace(ignore, b"*\n")
            self._replace(path, self._head(kind, body) + b"\n" + body)
            self._make_room()
        except OSError as error:
            # a program that may only be read is scanned as often as others
            _logger.info("nothing is kept in %s: %s", self._directory, error)

    def _path(self, kind: str) -> Path:
        return self._directory / f"{kind}-{self._key[:32]}.json"

    def _head(self, kind: str, body: bytes) -> bytes:
        return f"{_LABEL} {kind} {self._key} {hashlib.sha256(body).hexdigest()}".encode()

    def _ignored(self, path: Path, why: str) -> None:
        _logger.warning("%s is ignored: %s", path, why)

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = self._directory / f".new-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with open(temporary, "xb") as stream:
                stream.write(data)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        """Delete the files that were not used for the longest time, beyond what is allowed."""
        found = []
        for entry in os.scandir(self._directory):
            if _OURS.match(entry.name):
                with contextlib.suppress(FileNotFoundError):  # another run makes room too
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
        total = 0
        for number, (_, size, name) in enumerate(sorted(found, reverse=True)):
            total += size
            if number and (number >= MOST_FILES or total > MOST_BYTES):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
