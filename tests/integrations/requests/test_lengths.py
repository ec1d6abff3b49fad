"""Streamed bodies whose length is not what was announced: an error, never a cut-off body.

requests counts the characters of a text file, or takes the size of the file on disk, and sends
UTF-8. Where these differ it sends more than the server reads (the rest is lost), or less than the
server waits for. Both faces raise instead.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .faces import outcome
from .stub import Server

pytest.importorskip("requests")

TEXT = "caf\xe9 \u20ac"
HEADERS = {"User-Agent": "test"}
FACES = [
    ("httpx", "sync"),
    ("httpx", "async"),
    ("httpx2", "sync"),
    ("httpx2", "async"),
]


class Announced:
    """An iterable that says it has a length."""

    def __init__(self, length: int, *chunks: bytes) -> None:
        self.length = length
        self.chunks = chunks

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)


def file_in(encoding: str, text: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        path = folder / f"{encoding}.txt"
        path.write_text(text, encoding=encoding)
        return path.open(encoding=encoding)

    return make


WRONG: dict[str, Callable[[Path], Any]] = {
    "StringIO": lambda folder: io.StringIO(TEXT),
    "a file in latin-1": file_in("latin-1", "caf\xe9"),
    "a file in utf-16": file_in("utf-16", TEXT),
    "an iterable that is too long": lambda folder: Announced(3, b"ab", b"cd"),
    "an iterable that is too short": lambda folder: Announced(5, b"ab", b"cd"),
}

RIGHT: dict[str, Callable[[Path], Any]] = {
    "StringIO of ASCII": lambda folder: io.StringIO("cafe"),
    "StringIO, half read": lambda folder: half_read(io.StringIO("0123456789")),
    "an empty StringIO": lambda folder: io.StringIO(""),
    "a file in UTF-8": file_in("utf-8", TEXT),
    "a binary file": lambda folder: half_read(io.BytesIO(TEXT.encode())),
    "an iterable": lambda folder: Announced(4, b"ab", b"cd"),
}


def half_read(file: Any) -> Any:
    file.read(4)
    return file


def posting(make: Callable[[Path], Any], folder: Path) -> Callable[[Any], Any]:
    async def case(face: Any) -> Any:
        data = make(folder)
        try:
            with warnings.catch_warnings():
                # The size of a text file is announced with a FileModeWarning.
                warnings.simplefilter("ignore")
                response = await face.post("/echo", data=data, timeout=10, headers=HEADERS)
            body = await face.body(response)
            # The connection is fit for the next request.
            following = await face.get("/echo")
            return response.status_code, body, following.status_code
        finally:
            if isinstance(data, io.IOBase):
                data.close()

    return case


@pytest.mark.parametrize(("library", "kind"), FACES)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_length_is_an_error(
    name: str, library: str, kind: str, server: Server, tmp_path: Path
) -> None:
    raised = outcome(posting(WRONG[name], tmp_path), library, kind, server.url)

    assert raised["raised"] == "InvalidHeader"
    assert {"RequestException", "ValueError"} <= set(raised["caught by"])


@pytest.mark.parametrize(("library", "kind"), FACES)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_length_is_sent_as_requests_does(
    name: str, library: str, kind: str, server: Server, tmp_path: Path
) -> None:
    expected = outcome(posting(RIGHT[name], tmp_path), "requests", "sync", server.url)

    assert outcome(posting(RIGHT[name], tmp_path), library, kind, server.url) == expected
    assert expected[0] == 200


@pytest.mark.parametrize(("library", "kind"), FACES)
def test_the_session_goes_on_after_the_error(
    library: str, kind: str, server: Server, tmp_path: Path
) -> None:
    async def case(face: Any) -> Any:
        errors = 0
        for _ in range(3):
            assert (await face.get("/echo")).status_code == 200
            try:
                await face.post("/echo", data=io.StringIO(TEXT))
            except ValueError:
                errors += 1
        return errors, (await face.post("/echo", data=b"whole")).status_code

    assert outcome(case, library, kind, server.url) == (3, 200)
