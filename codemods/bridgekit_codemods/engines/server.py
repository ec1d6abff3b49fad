"""A language server as a child process: requests and answers, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class ServerError(Exception):
    """The server ended, did not answer in time, or said what is no answer."""


class Server:
    """A running server for the workspace `root`; use it as a context manager.

    It is killed when it has not ended after `limit` seconds, whatever it is doing. For one thread.
    """

    def __init__(
        self,
        words: list[str],
        root: Path,
        limit: float,
        environment: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> None:
        try:
            self._process = subprocess.Popen(
                words,
                cwd=root,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ServerError(f"cannot run {words[0]}: {error.strerror or error}") from error
        self._limit = limit
        self._late = threading.Event()
        self._timer = threading.Timer(limit, self._stop)
        self._timer.daemon = True
        self._timer.start()
        self._number = 0
        uri = root.as_uri()
        try:
            found = self.request(
                "initialize",
                {
                    "processId": os.getpid(),
                    "rootUri": uri,
                    "workspaceFolders": [{"uri": uri, "name": root.name}],
                    "capabilities": {
                        "general": {"positionEncodings": ["utf-8"]},
                        "textDocument": {"definition": {"linkSupport": True}},
                    },
                    "initializationOptions": dict(options),
                },
            )
            if found["capabilities"].get("positionEncoding") != "utf-8":
                raise ServerError("the server does not count columns in bytes")
            self._send({"method": "initialized", "params": {}})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """The result of one request. Raises `ServerError`."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": dict(params)})
        while True:
            message = self._receive()
            if "method" in message:
                if "id" in message:  # it asks us: there are no settings
                    items = (message.get("params") or {}).get("items")
                    result = [None] * len(items) if items else None
                    self._send({"id": message["id"], "result": result})
                continue
            if message.get("id") == self._number:
                if "error" in message:
                    raise ServerError(f"{method}: {message['error'].get('message')}")
                return message.get("result")

    def close(self) -> None:
        """End the server."""
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()

    def _stop(self) -> None:
        self._late.set()
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
            stream.flush()
        except OSError as error:
            raise self._ended() from error

    def _receive(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while (line := stream.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        data = stream.read(length)
        if not length or len(data) < length:
            raise self._ended()
        message: dict[str, Any] = json.loads(data)
        return message

    def _ended(self) -> ServerError:
        if self._late.is_set():
            return ServerError(f"it took longer than {self._limit:.0f} s")
        return ServerError("it ended without an answer")
