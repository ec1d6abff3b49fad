"""Unified diffs of byte contents, exact enough for ``git apply`` and ``patch -p1``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

NO_NEWLINE = "\\ No newline at end of file\n"


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """The difference between two contents of one file; ``None`` stands for no file.

    Bytes that are not UTF-8 survive as surrogate escapes: write the result with
    :func:`encode`.
    """
    if before == after:
        return ""
    lines = difflib.unified_diff(
        _lines(before),
        _lines(after),
        "/dev/null" if before is None else f"a/{path}",
        "/dev/null" if after is None else f"b/{path}",
    )
    head = f"diff --git a/{path} b/{path}\n"
    if before is None:
        head += "new file mode 100644\n"
    elif after is None:
        head += "deleted file mode 100644\n"
    return head + "".join(
        line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}" for line in lines
    )


def patch(before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> str:
    """The differences of every file named in ``after``, in path order."""
    return "".join(_each(before, after))


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _each(before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> Iterator[str]:
    for path in sorted(after):
        yield unified(path, before.get(path), after[path])


def _lines(data: bytes | None) -> list[str]:
    # Only "\n" ends a line here: str.splitlines() would also split at form feeds and the like.
    text = (data or b"").decode("utf-8", "surrogateescape")
    pieces = text.split("\n")
    lines = [piece + "\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines
