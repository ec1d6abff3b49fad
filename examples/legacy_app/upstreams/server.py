"""A small HTTP/1.1 server on an asyncio Protocol: keep-alive, delayed replies, thousands a second.

Each reply is held back with `loop.call_later`, so a few hundred slow replies in flight cost
nothing but their timers. One connection handles one request at a time, in order.
"""

import argparse
import asyncio
import signal

from upstreams.replies import Reply, Request, answer
from upstreams.state import State

REASONS = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 422: "Unprocessable Content",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable"}  # fmt: skip
MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024


class BadRequest(Exception):
    """The bytes on the connection are no request this server reads."""


class Connection(asyncio.Protocol):
    def __init__(self, state: State, connections: set["Connection"]) -> None:
        self.state = state
        self.connections = connections
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.timer: asyncio.TimerHandle | None = None
        self.head: tuple[str, str, dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.timer is None:
            self.advance()

    def advance(self) -> None:
        """Answer the next whole request in the buffer, if there is one."""
        try:
            request = self.next_request()
        except BadRequest:
            self.send((400, {"Connection": "close"}, b""), keep_alive=False)
            return
        if request is None or self.transport is None:
            return
        reply, delay, drop = answer(request, self.state)
        keep_alive = request.headers.get("connection", "").lower() != "close"
        if delay <= 0 and not drop:
            self.send(reply, keep_alive)
            if self.buffer:
                self.advance()
            return
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(delay, self.finish, reply, keep_alive, drop)

    def finish(self, reply: Reply, keep_alive: bool, drop: bool) -> None:
        self.timer = None
        if self.transport is None:
            return
        if drop:
            self.transport.abort()
            return
        self.send(reply, keep_alive)
        if self.buffer:
            self.advance()

    def send(self, reply: Reply, keep_alive: bool) -> None:
        if self.transport is None:
            return
        status, headers, body = reply
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if status != 204:
            lines.append(f"Content-Length: {len(body)}")
        if not keep_alive:
            lines.append("Connection: close")
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        if not keep_alive:
            self.transport.close()

    def next_request(self) -> Request | None:
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > MAX_HEAD:
                    raise BadRequest
                return None
            first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
            del self.buffer[: end + 4]
            words = first.split(" ")
            if len(words) != 3:
                raise BadRequest
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if headers.get("expect", "").lower() == "100-continue" and self.transport:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.head = (words[0], words[1], headers)
        method, target, headers = self.head
        if "chunked" in headers.get("transfer-encoding", ""):
            body = self.take_chunked()
        else:
            body = self.take_sized(headers.get("content-length", "0"))
        if body is None:
            return None
        self.head = None
        return Request.parse(method, target, headers, body)

    def take_sized(self, value: str) -> bytes | None:
        if not value.isdigit() or int(value) > MAX_BODY:
            raise BadRequest
        size = int(value)
        if len(self.buffer) < size:
            return None
        body = bytes(self.buffer[:size])
        del self.buffer[:size]
        return body

    def take_chunked(self) -> bytes | None:
        """A chunked body, once its last chunk is here; trailers are read and dropped."""
        body, position = bytearray(), 0
        while True:
            end = self.buffer.find(b"\r\n", position)
            if end < 0:
                return None
            try:
                size = int(self.buffer[position:end].split(b";")[0], 16)
            except ValueError:
                raise BadRequest from None
            if size < 0 or len(body) + size > MAX_BODY:
                raise BadRequest
            start = end + 2
            if size == 0:
                while (end := self.buffer.find(b"\r\n", start)) != start:
                    if end < 0:
                        return None
                    start = end + 2
                del self.buffer[: start + 2]
                return bytes(body)
            if len(self.buffer) < start + size + 2:
                return None
            body += self.buffer[start : start + size]
            position = start + size + 2


async def serve(host: str, port: int, state: State) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    connections: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(state, connections), host, port, backlog=2048
    )
    print(f"upstreams listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    for connection in list(connections):
        if connection.transport is not None:
            connection.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(prog="upstreams", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed on stdout")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="hold every reply back")
    parser.add_argument(
        "--summary-per-minute", type=int, default=0, help="limit of the summary API; 0: none"
    )
    options = parser.parse_args()
    state = State(latency_ms=options.latency_ms, summary_per_minute=options.summary_per_minute)
    asyncio.run(serve(options.host, options.port, state))
