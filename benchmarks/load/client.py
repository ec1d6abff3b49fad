"""A closed-loop load generator: N keep-alive connections, each one request at a time.

It speaks just enough HTTP/1.1 on raw asyncio protocols to cost little next to the server it
measures. Every client sends its next request as soon as it has the last answer. After the warm-up
the answers that arrive within the measured time are counted; latency is from the write of a
request to the last byte of its answer, and includes any wait in the server's accept queue.

Prints one JSON object. Honesty about what was not answered:

* `errors`: answers with a status other than 2xx, connections that broke in mid-request, answers
  that took longer than --timeout;
* `reconnects`: kept-alive connections that the server closed between two requests; the request is
  sent again on a new connection and its latency counts from the first attempt;
* `answers`: all answers of the run, warm-up and drain included, for cost per request;
* `unfinished` and `oldest_ms`: requests still open at the end and the age of the oldest. A server
  that answers some clients fast and starves others shows it here, not in p99.

    python benchmarks/load/client.py --port 8000 --clients 100 --path /api/orders/1/quote
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass
class Tally:
    """What the measured time brought. Only filled while `measuring`."""

    measuring: bool = False
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    answers: int = 0  # of the whole run, warm-up and drain included

    def answered(self, status: int, seconds: float) -> None:
        self.answers += 1
        if self.measuring:
            self.statuses[status] += 1
            if 200 <= status < 300:
                self.latencies.append(seconds)

    def failed(self, why: str) -> None:
        if self.measuring:
            self.failures[why] += 1


class BadAnswer(Exception):
    """The server's bytes are no HTTP/1.1 answer that this client reads."""


class Reader:
    """Cuts one answer after another out of a byte stream: sized, chunked or empty bodies."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.status = 0
        self.keep_alive = True
        self.remaining: int | None = None  # None: the head is not read yet; -1: chunked

    def feed(self, data: bytes) -> bool:
        """Take bytes; True when one whole answer is in (`status`, `keep_alive` are then set)."""
        self.buffer += data
        if self.remaining is None and not self.head():
            return False
        if self.remaining == -1:
            return self.chunks()
        assert self.remaining is not None
        if len(self.buffer) < self.remaining:
            return False
        del self.buffer[: self.remaining]
        self.remaining = None
        return True

    def head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end]).lower()
        del self.buffer[: end + 4]
        if not head.startswith(b"http/1.") or not head[9:12].isdigit():
            raise BadAnswer(head[:40])
        self.status = int(head[9:12])
        self.keep_alive = b"\r\nconnection: close" not in head and head[7:8] == b"1"
        self.remaining = self.body_size(head)
        return True

    def body_size(self, head: bytes) -> int:
        if self.status in (204, 304):
            return 0
        if b"\r\ntransfer-encoding: chunked" in head:
            return -1
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            raise BadAnswer("neither Content-Length nor chunked")
        return int(head[at + 17 :].split(b"\r\n", 1)[0])

    def chunks(self) -> bool:
        while (end := self.buffer.find(b"\r\n")) >= 0:
            size = int(self.buffer[:end].split(b";")[0], 16)
            # After the last chunk come optional trailers and an empty line.
            if size == 0:
                stop = self.buffer.find(b"\r\n\r\n", end)
                if stop < 0:
                    return False
                del self.buffer[: stop + 4]
                self.remaining = None
                return True
            if len(self.buffer) < end + 4 + size:
                return False
            del self.buffer[: end + 4 + size]
        return False


class Client(asyncio.Protocol):
    """One simulated user: a connection, at most one request in flight, reconnecting when closed."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.reader = Reader()
        self.request = b""
        self.started: float | None = None  # when the open request was first written
        self.answered_here = 0
        self.got_bytes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.reader = Reader()
        self.answered_here = 0
        if self.load.stopping:
            self.transport.close()
            return
        self.send(again=self.started is not None)

    def send(self, again: bool = False) -> None:
        assert self.transport is not None
        if not again:
            self.request = next(self.load.requests)
            self.started = time.perf_counter()
        self.got_bytes = False
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got_bytes = True
        try:
            whole = self.reader.feed(data)
        except (BadAnswer, ValueError) as error:
            self.fail(f"unreadable answer: {error}")
            return
        if not whole or self.started is None or self.transport is None:
            return
        self.load.tally.answered(self.reader.status, time.perf_counter() - self.started)
        self.answered_here += 1
        self.started = None
        if self.load.stopping or not self.reader.keep_alive:
            self.transport.close()
            self.load.settle()
        else:
            self.send()

    def fail(self, why: str) -> None:
        self.load.tally.failed(why)
        self.started = None
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.load.stopping:
            self.started = None
            self.load.settle()
            return
        if self.started is not None:
            closed_while_idle = self.answered_here > 0 and not self.got_bytes
            if closed_while_idle:
                self.load.tally.reconnects += self.load.tally.measuring
            else:
                self.load.tally.failed("connection broken")
                self.started = None
        self.load.connect(self)


class Load:
    """All clients of one run. `run` returns the figures."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tally = Tally()
        self.requests: Iterator[bytes] = itertools.cycle(requests(options))
        self.clients = [Client(self) for _ in range(options.clients)]
        self.stopping = False
        self.quiet = asyncio.Event()
        self.connecting: set[asyncio.Task[None]] = set()

    def connect(self, client: Client) -> None:
        task = asyncio.get_running_loop().create_task(self.open(client))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def open(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            try:
                await loop.create_connection(lambda: client, self.options.host, self.options.port)
            except OSError as error:
                self.tally.failed(f"cannot connect: {error.strerror or error}")
                await asyncio.sleep(0.1)  # not a wait for something: a bound on the retry rate
            else:
                return

    def settle(self) -> None:
        """Note the moment when, after the measured time, no request is open any more."""
        if self.stopping and all(client.started is None for client in self.clients):
            self.quiet.set()

    async def watch_timeouts(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            limit = time.perf_counter() - self.options.timeout
            for client in self.clients:
                if client.started is not None and client.started < limit:
                    client.fail("timeout")

    async def run(self) -> dict[str, Any]:
        watch = asyncio.create_task(self.watch_timeouts())
        for client in self.clients:
            self.connect(client)
        await asyncio.sleep(self.options.warmup)
        self.tally.measuring = True
        cpu, begin = time.process_time(), time.perf_counter()
        await asyncio.sleep(self.options.duration)
        self.tally.measuring = False
        elapsed = time.perf_counter() - begin
        cpu = time.process_time() - cpu
        self.stopping = True
        now = time.perf_counter()
        open_ages = [now - client.started for client in self.clients if client.started is not None]
        # Let the server finish what it has accepted, so that the next run starts on a quiet one.
        self.settle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.quiet.wait(), self.options.drain)
        watch.cancel()
        for client in self.clients:
            if client.transport is not None:
                client.transport.abort()
        for task in list(self.connecting):
            task.cancel()
        await asyncio.gather(watch, *self.connecting, return_exceptions=True)
        return self.figures(elapsed, cpu, open_ages)

    def figures(self, elapsed: float, cpu: float, open_ages: Sequence[float]) -> dict[str, Any]:
        good = sorted(self.tally.latencies)
        bad_statuses = {str(k): n for k, n in self.tally.statuses.items() if not 200 <= k < 300}
        errors = sum(bad_statuses.values()) + sum(self.tally.failures.values())
        return {
            "clients": self.options.clients,
            "seconds": round(elapsed, 3),
            "requests": len(good),
            "rps": round(len(good) / elapsed, 1),
            "p50_ms": milliseconds(percentile(good, 50)),
            "p99_ms": milliseconds(percentile(good, 99)),
            "max_ms": milliseconds(good[-1] if good else None),
            "errors": errors,
            "error_kinds": {**bad_statuses, **self.tally.failures},
            "reconnects": self.tally.reconnects,
            "unfinished": len(open_ages),
            "oldest_ms": milliseconds(max(open_ages, default=None)),
            "answers": self.tally.answers,
            "client_cpu": round(cpu / elapsed, 3),
        }


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of an ascending sequence; None for an empty one."""
    if not ordered:
        return None
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def requests(options: argparse.Namespace) -> list[bytes]:
    """The bytes of the requests to send in turn: one for every id when the path has `{id}`."""
    first, _, last = options.ids.partition("-")
    ids = range(int(first), int(last or first) + 1)
    paths = [options.path.replace("{id}", str(i)) for i in ids]
    extra = "".join(f"{header}\r\n" for header in options.header)
    host = f"{options.host}:{options.port}"
    head = f"Host: {host}\r\nAccept: application/json\r\nUser-Agent: load\r\n{extra}\r\n"
    return [f"GET {path} HTTP/1.1\r\n{head}".encode("latin-1") for path in dict.fromkeys(paths)]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="`{id}` stands for each of --ids in turn")
    parser.add_argument("--ids", default="1", help="one id or a range such as 1-50")
    parser.add_argument("--header", action="append", default=[], help='"Name: value", repeatable')
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds, not counted")
    parser.add_argument("--duration", type=float, default=5.0, help="seconds, counted")
    parser.add_argument("--drain", type=float, default=5.0, help="seconds to wait for the rest")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one answer")
    return parser


def run(load: argparse.Namespace) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        return await Load(load).run()

    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


if __name__ == "__main__":
    json.dump(run(arguments().parse_args()), sys.stdout)
    print()
