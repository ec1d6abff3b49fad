"""The Quart integration behind real ASGI servers, from start to SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.bridge.stopwatch import Stopwatch

SECONDS_TO_STOP = 5
COMPLAINTS = ("Unclosed", "was never awaited", "Task was destroyed", "Traceback", "ResourceWarning")


class Server:
    """A server process on a socket that the test has bound, so that it waits for the start."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            number = listener.fileno()
            command = {
                "uvicorn": ["uvicorn", "--fd", str(number)],
                "hypercorn": ["hypercorn", "--workers", "0", "--bind", f"fd://{number}"],
            }[name]
            with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
                self.process = subprocess.Popen(
                    [sys.executable, "-W", "default", "-m", *command, "served_app:app"],
                    cwd=Path(__file__).parent,
                    env={
                        **os.environ,
                        "BASE_URL": self.url,
                        "DATABASE": str(folder / "data.db"),
                        "PYTHONPATH": str(Path(__file__).parent),
                    },
                    stdout=out,
                    stderr=err,
                    pass_fds=[number],
                )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read().decode()  # type: ignore[no-any-return]

    def get_json(self, path: str) -> dict[str, object]:
        return json.loads(self.get(path))  # type: ignore[no-any-return]

    def terminate(self) -> None:
        """Ask it to stop, and check that it does so in time and in order."""
        stopwatch = Stopwatch(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        assert stopwatch.measure_exit(self.process, 60) < SECONDS_TO_STOP
        code = self.process.wait(1)
        # When all is shut down, uvicorn raises the signal again for whoever started it.
        expected = -signal.SIGTERM if self.name == "uvicorn" else 0
        assert code == expected, self.err
        if self.name == "uvicorn":
            assert "Finished server process" in self.err
        assert [complaint for complaint in COMPLAINTS if complaint in self.err] == [], self.err

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()


@pytest.fixture(params=["uvicorn", "hypercorn"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    server = Server(request.param, tmp_path)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def test_one_loop_for_everything_and_an_orderly_end(server: Server) -> None:
    answer = {"database": 42, "client": "plain"}
    assert server.get_json("/sync") == answer
    assert server.get_json("/async") == {**answer, "thread": True}
    assert server.get_json("/thread") == answer
    assert server.get("/stream") == "/stream1;/stream2;/stream3;"
    loops = server.get_json("/loops")
    assert loops.keys() == {"sync_hook", "lifespan", "sync_view", "async_view", "loose_thread"}
    assert len(set(loops.values())) == 1

    server.terminate()

    said = server.out.splitlines()
    assert "serving" in said
    assert "no longer serving" in said
    word, opened, closed = said[-1].split()
    assert word == "connections"
    assert int(opened) >= 1
    assert opened == closed


def test_a_thread_that_waits_for_the_loop_does_not_keep_the_server(server: Server) -> None:
    assert server.get("/waiting") == "waiting"

    server.terminate()

    assert "no longer serving" in server.out
    if server.name != "uvicorn":
        # uvicorn's process ends by the signal, and the thread with it.
        assert "thread ended by CancelledError" in server.out


def test_a_client_that_goes_away_ends_the_stream(server: Server) -> None:
    with urllib.request.urlopen(server.url + "/endless", timeout=30) as response:
        assert response.read(100_000) == b"x" * 100_000
    assert server.get_json("/closed") == {"closed": True, "checked_out": 0}

    server.terminate()
