"""Text of responses: character sets and re-chunking."""

from __future__ import annotations

import codecs
import importlib
from collections.abc import Iterator, Mapping
from typing import Any


def encoding_from_headers(headers: Mapping[str, str]) -> str | None:
    """Return the charset of the headers by RFC 2616: ISO-8859-1 for text without one."""
    content_type = headers.get("content-type")
    if not content_type:
        return None
    kind, *params = content_type.split(";")
    charset: str | None = None
    for param in params:
        key, equals, value = param.strip().partition("=")
        if equals and key.strip("\"' ").lower() == "charset":
            charset = value.strip("\"' ").strip("'\"")
    if charset is not None:
        return charset
    if "text" in kind:
        return "ISO-8859-1"
    if "application/json" in kind:
        return "utf-8"
    return None


def detect_encoding(content: bytes) -> str | None:
    """Guess the character set with charset_normalizer or chardet; ``utf-8`` without either."""
    for name in ("chardet", "charset_normalizer"):
        try:
            detector = importlib.import_module(name)
        except ImportError:
            continue
        encoding: str | None = detector.detect(content)["encoding"]
        return encoding
    return "utf-8"


def guess_json_utf(data: bytes) -> str | None:
    """Tell which UTF a JSON document is in, from its byte order mark or its null bytes."""
    sample = data[:4]
    if sample in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if sample[:3] == codecs.BOM_UTF8:
        return "utf-8-sig"
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    nulls = sample.count(0)
    if nulls == 0:
        return "utf-8"
    if nulls == 2:
        if sample[::2] == b"\0\0":
            return "utf-16-be"
        if sample[1::2] == b"\0\0":
            return "utf-16-le"
    if nulls == 3:
        if sample[:3] == b"\0\0\0":
            return "utf-32-be"
        if sample[1:] == b"\0\0\0":
            return "utf-32-le"
    return None


def slices(content: Any, size: int | None) -> Iterator[Any]:
    """Cut *content* into pieces of *size*; one piece when size is None or not positive."""
    step = size if size is not None and size > 0 else len(content)
    return (content[i : i + step] for i in range(0, len(content), step or 1))


class Rechunker:
    """Cut a stream of byte strings into pieces.

    With *exact* every piece but the last has *size* bytes: the way urllib3 reads a body of known
    length. Without, pieces are handed on as they arrive and only cut when larger: the way it reads
    a chunked body, which must not be delayed (event streams). A *size* of None collects everything
    when exact and passes everything on when not.
    """

    def __init__(self, size: int | None, exact: bool) -> None:
        self._size = size
        self._exact = exact
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if not self._exact:
            yield from slices(data, self._size)
            return
        self._buffer += data
        if self._size is None:
            return
        while len(self._buffer) >= self._size:
            yield bytes(self._buffer[: self._size])
            del self._buffer[: self._size]

    def finish(self) -> Iterator[bytes]:
        if self._buffer:
            yield bytes(self._buffer)
            self._buffer.clear()


class LineSplitter:
    """requests' line splitting: pieces of the stream in, complete lines out."""

    def __init__(self, delimiter: Any = None) -> None:
        self._delimiter = delimiter
        self._pending: Any = None

    def feed(self, chunk: Any) -> list[Any]:
        if self._pending is not None:
            chunk = self._pending + chunk
        lines = chunk.split(self._delimiter) if self._delimiter else chunk.splitlines()
        if lines and lines[-1] and chunk and lines[-1][-1] == chunk[-1]:
            self._pending = lines.pop()
        else:
            self._pending = None
        return list(lines)

    def finish(self) -> list[Any]:
        return [] if self._pending is None else [self._pending]
