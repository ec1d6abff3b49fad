"""The load generator counts what the server really answered."""

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "load" / "client.py"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_client", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n2;x=1\r\n!!\r\n0\r\n\r\n"
)
TRAILERS = CHUNKED[:-2] + b"Digest: x\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status"), [(SIZED, 200), (CHUNKED, 201), (TRAILERS, 201), (EMPTY, 204)]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_reader_finds_the_end_of_an_answer(
    client: ModuleType, answer: bytes, status: int, size: int
) -> None:
    reader = client.Reader()
    pieces = [answer[i : i + size] for i in range(0, len(answer), size)]
    for _ in range(2):
        found = [reader.feed(piece) for piece in pieces]
        assert found == [False] * (len(pieces) - 1) + [True]
        assert (reader.status, reader.keep_alive) == (status, True)


def test_reader_sees_that_the_connection_will_close(client: ModuleType) -> None:
    reader = client.Reader()
    assert reader.feed(SIZED.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
    assert not reader.keep_alive


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_reader_refuses_what_it_cannot_count(client: ModuleType, answer: bytes) -> None:
    with pytest.raises(client.BadAnswer):
        client.Reader().feed(answer)


def test_percentiles_are_nearest_rank(client: ModuleType) -> None:
    values = [float(n) for n in range(1, 101)]
    assert [client.percentile(values, p) for p in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert client.percentile([7.0], 99) == 7.0
    assert client.percentile([], 50) is None


def options(client: ModuleType, port: int, *more: str) -> argparse.Namespace:
    words = ["--port", str(port), "--path", "/things/{id}", "--ids", "1-3", "--clients", "4"]
    words += ["--warmup", "0.1", "--duration", "0.4", "--drain", "1", *more]
    parsed: argparse.Namespace = client.arguments().parse_args(words)
    return parsed


async def loaded(client: ModuleType, handler: Handler, *more: str) -> dict[str, Any]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        figures: dict[str, Any] = await client.Load(options(client, port, *more)).run()
        return figures


def answering(*answers: bytes, close_after: int = 0) -> Handler:
    """A server that gives the answers in turn on each connection, then closes if told to."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            served = 0
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answers[served % len(answers)])
                await writer.drain()
                served += 1
                if served == close_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client has left: what this server waits for
        finally:
            writer.close()

    return handler


@pytest.mark.asyncio
async def test_good_answers_are_counted(client: ModuleType) -> None:
    figures = await loaded(client, answering(SIZED, CHUNKED))
    assert figures["requests"] > 0
    assert figures["errors"] == 0
    assert figures["rps"] == pytest.approx(figures["requests"] / figures["seconds"], rel=0.01)
    assert figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["answers"] >= figures["requests"]


@pytest.mark.asyncio
async def test_bad_statuses_are_errors_and_not_throughput(client: ModuleType) -> None:
    bad = SIZED.replace(b"200 OK", b"503 Service Unavailable")
    figures = await loaded(client, answering(bad))
    assert figures["requests"] == 0
    assert figures["error_kinds"] == {"503": figures["errors"]}
    assert figures["errors"] > 0


@pytest.mark.asyncio
async def test_a_kept_alive_connection_closed_between_requests_is_no_error(
    client: ModuleType,
) -> None:
    figures = await loaded(client, answering(SIZED, close_after=2))
    assert figures["requests"] > 0
    assert figures["errors"] == 0
    assert figures["reconnects"] > 0


@pytest.mark.asyncio
async def test_a_connection_broken_in_an_answer_is_an_error(client: ModuleType) -> None:
    figures = await loaded(client, answering(SIZED[:-2], close_after=1))
    assert figures["requests"] == 0
    assert set(figures["error_kinds"]) == {"connection broken"}


@pytest.mark.asyncio
async def test_a_server_that_never_answers_shows_as_open_requests(client: ModuleType) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    figures = await loaded(client, silent, "--drain", "0.1")
    assert figures["requests"] == 0
    assert figures["unfinished"] == 4
    assert figures["oldest_ms"] >= 400
