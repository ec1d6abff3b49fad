"""Request bodies as requests builds them: forms, JSON, multipart, streams."""

from __future__ import annotations

import binascii
import io
import json as jsonlib
import os
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from .urls import encode_params, to_key_val_list

BLOCK = 16384


def super_len(obj: Any, errors: ModuleType) -> int:
    """Return how many bytes remain to be read from *obj*; 0 when that cannot be known."""
    total: int | None = None
    position = 0
    if isinstance(obj, str):
        obj = obj.encode("utf-8")
    if hasattr(obj, "__len__"):
        total = len(obj)
    elif hasattr(obj, "len"):
        total = obj.len
    elif hasattr(obj, "fileno"):
        try:
            descriptor = obj.fileno()
        except (io.UnsupportedOperation, AttributeError):
            descriptor = None
        if descriptor is not None:
            total = os.fstat(descriptor).st_size
            if "b" not in obj.mode:
                warnings.warn(
                    "the content-length of this request is the size of the file in bytes, but the "
                    "file is open in text mode: open it with mode 'rb'",
                    errors.FileModeWarning,
                    stacklevel=2,
                )
    if hasattr(obj, "tell"):
        try:
            position = obj.tell()
        except OSError:
            if total is not None:
                position = total
        else:
            if hasattr(obj, "seek") and total is None:
                try:
                    obj.seek(0, 2)
                    total = obj.tell()
                    obj.seek(position or 0)
                except OSError:
                    total = 0
    return max(0, (total or 0) - position)


def is_stream(data: Any) -> bool:
    """Tell whether *data* is sent piece by piece (a file or iterator) and not encoded."""
    if type(data) is dict or isinstance(data, (str, bytes, list, tuple, Mapping)):
        return False
    return hasattr(data, "__iter__") or hasattr(data, "__aiter__")


def encode_json(value: Any, errors: ModuleType, request: Any) -> bytes:
    """Return the bytes requests sends for ``json=``. Raises InvalidJSONError (NaN, infinity)."""
    try:
        return jsonlib.dumps(value, allow_nan=False).encode("utf-8")
    except ValueError as error:
        raise errors.InvalidJSONError(error, request=request) from error


def _quote_param(name: str, value: str | bytes) -> str:
    text = value.decode("utf-8") if isinstance(value, bytes) else value
    return f'{name}="{text.translate({10: "%0A", 13: "%0D", 34: "%22"})}"'


def _guess_filename(obj: Any) -> str | None:
    name = getattr(obj, "name", None)
    if name and isinstance(name, (str, bytes)) and name[:1] not in ("<", b"<"):
        base = os.path.basename(name)
        return base.decode() if isinstance(base, bytes) else base
    return None


def _part(
    name: str,
    data: Any,
    filename: Any = None,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    disposition = "form-data; " + _quote_param("name", name)
    if filename is not None:
        disposition += "; " + _quote_param("filename", filename)
    fields: dict[str, Any] = dict(headers or {})
    # As requests does: what the caller put into these headers of the part is overwritten.
    fields["Content-Disposition"] = disposition
    fields["Content-Type"] = content_type
    fields["Content-Location"] = None
    order = ["Content-Disposition", "Content-Type"]
    order += [key for key in fields if key not in order]
    head = "".join(f"{key}: {fields[key]}\r\n" for key in order if fields.get(key))
    if isinstance(data, int):
        data = str(data)
    if isinstance(data, str):
        data = data.encode("utf-8")
    return head.encode("utf-8") + b"\r\n" + bytes(memoryview(data)) + b"\r\n"


def encode_files(files: Any, data: Any) -> tuple[bytes, str]:
    """Return body and content type of a multipart form; file objects are read whole.

    Raises ValueError for a string as *data*, for anything that is not made of pairs, and for a
    tuple that is not (name, file), (name, file, type) or (name, file, type, headers).
    """
    if not files:
        raise ValueError("Files must be provided.")
    if isinstance(data, (str, bytes)):
        raise ValueError("Data must not be a string.")
    parts: list[bytes] = []
    for field, values in to_key_val_list(data or {}):
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            values = [values]
        name = field.decode("utf-8") if isinstance(field, bytes) else field
        parts.extend(
            _part(name, v if isinstance(v, bytes) else str(v)) for v in values if v is not None
        )
    for key, value in to_key_val_list(files):
        content_type = headers = None
        if isinstance(value, (tuple, list)):
            filename, source, *rest = value
            content_type = rest[0] if rest else None
            if len(rest) > 1:
                (headers,) = rest[1:]
        else:
            filename, source = _guess_filename(value) or key, value
        if source is None:
            continue
        content = source.read() if hasattr(source, "read") else source
        parts.append(_part(key, content, filename, content_type, headers))
    boundary = binascii.hexlify(os.urandom(16)).decode("ascii")
    body = b"".join(f"--{boundary}\r\n".encode() + part for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def encode_form(data: Any) -> tuple[Any, str | None]:
    """Return body and content type of ``data=`` that is neither a stream nor multipart."""
    body = encode_params(data)
    plain = isinstance(data, (str, bytes)) or hasattr(data, "read")
    return body, None if plain else "application/x-www-form-urlencoded"


def body_chunks(body: Any) -> Iterator[bytes]:
    """Iterate over the bytes of a stream body: blocks of a file, or the items of an iterable."""
    if hasattr(body, "read"):
        while chunk := body.read(BLOCK):
            yield chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)
        return
    try:
        yield bytes(memoryview(body))
    except TypeError:
        for chunk in body:
            if chunk:
                yield chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)
