"""The processes of a load run: started on free loopback ports, pinned, measured, always ended."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HOST = "127.0.0.1"


class ServerFailed(Exception):
    """A process of the load run ended or did not answer in time. The text ends with its log."""


@dataclass(frozen=True)
class Cores:
    """Which processor cores each part runs on; empty sets where pinning is not possible."""

    server: frozenset[int]
    client: frozenset[int]
    upstreams: frozenset[int]

    @classmethod
    def choose(cls) -> "Cores":
        """One core for the server under test; client and upstreams on others."""
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if len(available) < 2:
            return cls(frozenset(), frozenset(), frozenset())
        third = available[2] if len(available) > 2 else available[1]
        return cls(frozenset({available[0]}), frozenset({available[1]}), frozenset({third}))

    def __str__(self) -> str:
        if not self.server:
            return "not pinned: fewer than two cores, or no sched_setaffinity on this system"
        named = [f"server on core {min(self.server)}", f"client on {min(self.client)}"]
        return ", ".join([*named, f"upstreams on {min(self.upstreams)}"])


@dataclass(frozen=True)
class Running:
    """A started process and the port it listens on."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def family(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess as error:
            raise ServerFailed(f"{self.name} ended\n{tail(self.log)}") from error

    def memory_mb(self) -> float:
        """PSS of the process and its children where the system has it, else RSS."""
        total = 0.0
        for process in self.family():
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
        return total / 1e6

    def cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self.family()]
        return float(sum(item.user + item.system for item in times))


def memory_kind() -> str:
    return "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def get(port: int, path: str, timeout: float) -> tuple[int, bytes]:
    """One GET on its own connection."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    cwd: Path,
    env: Mapping[str, str],
    cores: frozenset[int],
    log: Path,
    start_timeout: float = 60.0,
) -> Iterator[Running]:
    """Run `command` until the block ends; the block starts once its port accepts.

    The process has a session of its own, so that Ctrl-C reaches this process alone, which then
    ends its servers in order.

    Raises ServerFailed, with the end of its log, when it ends early or is not ready in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)
        wait_until_accepting(name, process, port, log, start_timeout)
        yield Running(name, port, process, log)
    finally:
        end(process)


def wait_until_accepting(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path, seconds: float
) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise ServerFailed(f"{name} ended with status {process.returncode}\n{tail(log)}")
        try:
            socket.create_connection((HOST, port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ServerFailed(f"{name} did not listen within {seconds:.0f} s\n{tail(log)}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, then kill what is left of it and of its children."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5.0)
    _, alive = psutil.wait_procs(children, timeout=2.0)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def gunicorn(app: str, port: int, threads: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1"),
        *("--threads", str(threads), "--worker-connections", "4000", "--backlog", "2048"),
        *("--keep-alive", "75", "--timeout", "120", "--log-level", "warning"),
        *("--bind", f"{HOST}:{port}", app),
    ]


def uvicorn(app: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "--host", HOST, "--port", str(port)),
        *("--workers", "1", "--backlog", "2048", "--timeout-keep-alive", "75"),
        *("--no-access-log", "--log-level", "warning", app),
    ]


def upstreams(port: int, latency_ms: float) -> list[str]:
    return [
        *(sys.executable, "-m", "upstreams", "--host", HOST, "--port", str(port)),
        *("--latency-ms", f"{latency_ms:g}"),
    ]
