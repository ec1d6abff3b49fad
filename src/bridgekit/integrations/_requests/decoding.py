"""Content decodings: gzip (several members), deflate (with or without zlib header), br, zstd."""

from __future__ import annotations

import importlib
import zlib
from types import ModuleType
from typing import Any, Protocol


class Decoder(Protocol):
    """Turns encoded bytes into decoded ones, piece by piece. Raises DecodingError."""

    def decode(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class DecodingError(Exception):
    """The body is not what its Content-Encoding says."""


class _Gzip:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._members = 0
        self._ended = False

    def decode(self, data: bytes) -> bytes:
        output = bytearray()
        while data and not self._ended:
            try:
                output += self._inflate.decompress(data)
            except zlib.error as error:
                self._ended = True
                if self._members:  # bytes after a complete member are ignored, as by urllib3
                    break
                raise DecodingError(str(error)) from error
            data = self._inflate.unused_data
            if self._inflate.eof:
                self._members += 1
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return bytes(output)

    def flush(self) -> bytes:
        return self._inflate.flush()


class _Deflate:
    def __init__(self) -> None:
        self._inflate: Any = zlib.decompressobj()
        self._seen = b""
        self._settled = False

    def decode(self, data: bytes) -> bytes:
        if not data:
            return b""
        if not self._settled:
            self._seen += data
        try:
            output: bytes = self._inflate.decompress(data)
        except zlib.error as error:
            if self._settled:
                raise DecodingError(str(error)) from error
            self._settled = True
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            seen, self._seen = self._seen, b""
            return self.decode(seen)
        if output:
            self._settled, self._seen = True, b""
        return output

    def flush(self) -> bytes:
        return bytes(self._inflate.flush())


def _optional(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli = _optional("brotlicffi", "brotli")
_zstd = _optional("compression.zstd", "backports.zstd")


class _Brotli:
    def __init__(self) -> None:
        self._inner: Any = _brotli.Decompressor()  # type: ignore[union-attr]

    def decode(self, data: bytes) -> bytes:
        step = getattr(self._inner, "decompress", None) or self._inner.process
        try:
            return bytes(step(data))
        except Exception as error:
            raise DecodingError(str(error)) from error

    def flush(self) -> bytes:
        return b""


class _Zstd:
    def __init__(self) -> None:
        self._inner: Any = _zstd.ZstdDecompressor()  # type: ignore[union-attr]

    def decode(self, data: bytes) -> bytes:
        output = bytearray()
        try:
            while data:
                output += self._inner.decompress(data)
                if not self._inner.eof:
                    break
                data = self._inner.unused_data
                self._inner = _zstd.ZstdDecompressor()  # type: ignore[union-attr]
        except Exception as error:
            raise DecodingError(str(error)) from error
        return bytes(output)

    def flush(self) -> bytes:
        return b""


class _Chain:
    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    def decode(self, data: bytes) -> bytes:
        for decoder in self._decoders:
            data = decoder.decode(data)
        return data

    def flush(self) -> bytes:
        data = b""
        for decoder in self._decoders:
            data = decoder.decode(data) + decoder.flush()
        return data


_DECODERS: dict[str, type[Any]] = {"gzip": _Gzip, "x-gzip": _Gzip, "deflate": _Deflate}
if _brotli is not None:
    _DECODERS["br"] = _Brotli
if _zstd is not None:
    _DECODERS["zstd"] = _Zstd

ACCEPT_ENCODING = ", ".join(name for name in _DECODERS if name != "x-gzip")


def decoder_for(content_encoding: str) -> Decoder | None:
    """Return a fresh decoder for a ``Content-Encoding`` value; None when nothing applies."""
    names = [name.strip() for name in content_encoding.lower().split(",")]
    known: list[Decoder] = [_DECODERS[name]() for name in reversed(names) if name in _DECODERS]
    if not known:
        return None
    return known[0] if len(known) == 1 else _Chain(known)
