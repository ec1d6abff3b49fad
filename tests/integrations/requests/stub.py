"""A loopback server that answers by path; it echoes requests and misbehaves on demand."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import socketserver
import ssl
import threading
import urllib.parse
import zlib
from collections import Counter
from typing import Any

TEXT = "caf\xe9 \u20ac"


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.counts: Counter[str] = Counter()
        self.connections = 0
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""

    def stop(self) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(
        self, status: int, body: bytes = b"", headers: Any = (), reason: str | None = None
    ) -> None:
        self.send_response(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunked(self, chunks: list[bytes], headers: Any = (), *, finish: bool = True) -> None:
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if finish:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def answer(self) -> None:
        body = self.body()
        url = urllib.parse.urlsplit(self.path)
        route, _, argument = url.path.lstrip("/").partition("/")
        handle = getattr(self, f"at_{route.replace('-', '_')}", None)
        if handle is not None:
            handle(argument, url.query)
            return
        echo = {
            "method": self.command,
            "path": self.path,
            "headers": [[k, v] for k, v in self.headers.items()],
            "body": body.decode("latin-1"),
        }
        self.reply(200, json.dumps(echo).encode(), [("Content-Type", "application/json")])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def at_status(self, code: str, query: str) -> None:
        self.reply(int(code), b"" if code in ("204", "304") else b"body")

    def at_reason(self, argument: str, query: str) -> None:
        self.reply(404, reason="Nix da")

    def at_redirect(self, code: str, query: str) -> None:
        target = urllib.parse.unquote(query) or "/echo?after=1"
        self.reply(int(code), b"moved", [("Location", target), ("Set-Cookie", "rc=1; Path=/")])

    def at_hops(self, count: str, query: str) -> None:
        target = f"/hops/{int(count) - 1}" if int(count) > 1 else "/echo"
        self.reply(302, headers=[("Location", target)])

    def at_loop(self, argument: str, query: str) -> None:
        self.reply(302, headers=[("Location", "/loop")])

    def at_location_utf8(self, argument: str, query: str) -> None:
        self.reply(302, headers=[("Location", "/\xfc".encode().decode("latin-1"))])

    def at_cookie(self, argument: str, query: str) -> None:
        cookies = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/; HttpOnly")]
        self.reply(200, b"{}", cookies)

    def at_cookie_path(self, argument: str, query: str) -> None:
        self.reply(200, b"", [("Set-Cookie", "p=1; Path=/only"), ("Set-Cookie", 'q="x y"; Path=/')])

    def at_uncookie(self, argument: str, query: str) -> None:
        self.reply(200, b"", [("Set-Cookie", "a=; Max-Age=0; Path=/")])

    def at_text(self, encoding: str, query: str) -> None:
        kind = urllib.parse.unquote(query)
        data = TEXT.encode(encoding, "replace")
        self.reply(200, data, [("Content-Type", kind)] if kind else [])

    def at_json(self, encoding: str, query: str) -> None:
        self.reply(200, json.dumps({"a": TEXT}, ensure_ascii=False).encode(encoding))

    def at_notjson(self, argument: str, query: str) -> None:
        self.reply(200, b"<html>", [("Content-Type", urllib.parse.unquote(query))])

    def at_link(self, argument: str, query: str) -> None:
        value = '<http://x/2>; rel="next", <http://x/9>; rel="last", <http://x/7>'
        self.reply(200, b"", [("Link", value)])

    def at_multi(self, argument: str, query: str) -> None:
        self.reply(200, b"", [("X-Multi", "1"), ("X-MULTI", "2"), ("X-Case", "\xe9")])

    def at_gzip(self, kind: str, query: str) -> None:
        one = gzip.compress(b"x" * 1000)
        data = {
            "one": one,
            "two": one + gzip.compress(b"y" * 10),
            "garbage": one + b"rubbish",
            "bad": b"not gzip",
            "empty": b"",
        }[kind]
        self.reply(200, data, [("Content-Encoding", "gzip")])

    def at_deflate(self, kind: str, query: str) -> None:
        data = zlib.compress(b"z" * 500)
        self.reply(200, data[2:-4] if kind == "raw" else data, [("Content-Encoding", "deflate")])

    def at_lines(self, argument: str, query: str) -> None:
        self.reply(200, b"a\nb\r\nc\n\nd", [("Content-Type", "text/plain")])

    def at_bytes(self, size: str, query: str) -> None:
        self.reply(200, bytes(i % 251 for i in range(int(size))))

    def at_chunked(self, argument: str, query: str) -> None:
        self.chunked([b"first", b"second", b"third\nfourth"])

    def at_chunked_gzip(self, argument: str, query: str) -> None:
        data = gzip.compress(b"x" * 1000)
        self.chunked([data[:10], data[10:]], [("Content-Encoding", "gzip")])

    def at_chunked_short(self, argument: str, query: str) -> None:
        self.chunked([b"first"], finish=False)

    def at_short(self, argument: str, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"abc")
        self.close_connection = True

    def at_until_close(self, argument: str, query: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"everything")
        self.close_connection = True

    def at_disconnect(self, argument: str, query: str) -> None:
        self.close_connection = True

    def at_nonsense(self, argument: str, query: str) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")
        self.close_connection = True

    def at_hang(self, argument: str, query: str) -> None:
        self.server.released.wait(30)
        self.close_connection = True

    def at_slow(self, seconds: str, query: str) -> None:
        self.server.released.wait(float(seconds))
        self.reply(200, b"slow")

    def at_hang_body(self, argument: str, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"abc")
        self.wfile.flush()
        self.at_hang("", "")

    def at_flaky(self, key: str, query: str) -> None:
        """Fail ``query`` times, as the first part of *key* says, then report the attempts."""
        self.server.counts[key] += 1
        count = self.server.counts[key]
        kind, _, _ = key.partition("/")
        if count > int(query):
            self.reply(200, str(count).encode())
        elif kind == "disconnect":
            self.close_connection = True
        elif kind == "after":
            self.reply(503, b"", [("Retry-After", "0")])
        else:
            self.reply(int(kind), b"later")

    def at_count(self, key: str, query: str) -> None:
        self.reply(200, str(self.server.counts[urllib.parse.unquote(query)]).encode())

    def at_basic(self, argument: str, query: str) -> None:
        if self.headers.get("Authorization"):
            self.reply(200, self.headers["Authorization"].encode())
        else:
            self.reply(401, b"", [("WWW-Authenticate", 'Basic realm="x"')])

    def at_digest(self, algorithm: str, query: str) -> None:
        digest = getattr(hashlib, {"SHA-256": "sha256"}.get(algorithm, "md5"))

        def h(text: str) -> str:
            return str(digest(text.encode()).hexdigest())

        sent = self.headers.get("Authorization", "")
        fields = {
            key.strip(): value.strip().strip('"')
            for key, _, value in (item.partition("=") for item in sent[7:].split(", "))
        }
        if sent.startswith("Digest "):
            first = h(f"user:realm:{'pass'}")
            second = h(f"{self.command}:{self.path}")
            middle = ":".join(fields[k] for k in ("nonce", "nc", "cnonce", "qop"))
            if fields["response"] == h(f"{first}:{middle}:{second}"):
                self.reply(200, f"nc={fields['nc']}".encode())
                return
        challenge = f'Digest realm="realm", nonce="n1", qop="auth", algorithm={algorithm}'
        self.reply(401, b"no", [("WWW-Authenticate", challenge), ("Set-Cookie", "d=1; Path=/")])

    def at_large_header(self, size: str, query: str) -> None:
        self.reply(200, b"", [("X-Large", "x" * int(size))])

    def at_raw(self, argument: str, query: str) -> None:
        self.reply(200, gzip.compress(b"raw " * 10), [("Content-Encoding", "gzip")])
