"""What a result follows from, as one short name: equal names, equal results.

A result is a pure function of the program's files, of the catalog and of this tool under this
Python. So its name holds the content of each of them, and nothing else has to be watched: no times,
no versions that someone may forget to raise.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from bridgekit_codemods.catalog.store import Extension

_SUFFIXES = (".py", ".toml")


def program_key(sources: Mapping[str, bytes], additions: Iterable[Extension]) -> str:
    """The name of what this tool finds in a program.

    `sources` are all files that the program model reads, `additions` what was added to the catalog.
    """
    digest = hashlib.sha256()
    _add(digest, tool_key().encode(), sys.version.encode(), sys.implementation.name.encode())
    for addition in additions:
        _add(digest, repr(addition).encode("utf-8", "backslashreplace"))
    for path, data in sorted(sources.items()):
        _add(digest, path.encode("utf-8", "backslashreplace"), data)
    return digest.hexdigest()


def options_key(*options: object) -> str:
    """A short name for what the user chose, to be part of a result's kind.

    The options must be plain values whose `repr` tells them apart and has a fixed order.
    """
    return hashlib.sha256(repr(options).encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def tool_key() -> str:
    """The name of this tool: the contents of its modules and of its catalog."""
    digest = hashlib.sha256()
    for name, data in sorted(_files(resources.files("bridgekit_codemods"), "")):
        _add(digest, name.encode(), data)
    return digest.hexdigest()


def _files(folder: Traversable, above: str) -> Iterable[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _files(item, f"{above}{item.name}/")
        elif item.name.endswith(_SUFFIXES):
            yield f"{above}{item.name}", item.read_bytes()


def _add(digest: hashlib._Hash, *parts: bytes) -> None:
    """Each part with its length before it: no two lists of parts read the same."""
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
