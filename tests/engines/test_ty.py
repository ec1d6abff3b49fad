"""Asking a language server: what of its answers counts, and servers that fail."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.engines import Answer, ty
from bridgekit_codemods.engines.server import Server, ServerError
from bridgekit_codemods.tracing.record import Definition, Place

SOURCE = """\
class Shop:
    def buy(self): ...

run = shop.buy()
"""
CALL = Place("shop.py", 4, 6, 4, 16)


class Script:
    """A server of given answers: where things are defined, and what a hover shows."""

    def __init__(self, links: list[dict[str, Any]], hover: str = "bound method Shop.buy()") -> None:
        self.links = links
        self.hover = hover
        self.asked: list[tuple[str, int, int]] = []

    def request(self, method: str, params: dict[str, Any]) -> Any:
        position = params["position"]
        self.asked.append((method, position["line"], position["character"]))
        if method == "textDocument/definition":
            return self.links
        return {"contents": {"kind": "plaintext", "value": self.hover}}


def link(path: Path, line: int, character: int) -> dict[str, Any]:
    start = {"line": line, "character": character}
    return {"targetUri": path.as_uri(), "targetSelectionRange": {"start": start, "end": start}}


def answers(root: Path, script: Script) -> dict[Place, Answer]:
    return ty.read(script, root, {"shop.py": SOURCE.encode()}).calls  # type: ignore[arg-type]


def test_a_definition_in_the_program_is_the_answer(tmp_path: Path) -> None:
    script = Script([link(tmp_path / "shop.py", 1, 8)])
    assert answers(tmp_path, script) == {CALL: Answer(frozenset({Definition("shop.py", 2, "buy")}))}
    assert script.asked == [("textDocument/definition", 3, 13), ("textDocument/hover", 3, 13)]


def test_a_definition_elsewhere_is_the_answer_that_it_is_elsewhere(tmp_path: Path) -> None:
    script = Script([link(tmp_path.parent / "lib.py", 1, 8)])
    assert answers(tmp_path, script) == {CALL: Answer(frozenset(), elsewhere=True)}


@pytest.mark.parametrize(
    ("lines", "hover"),
    [
        ([], "Unknown"),
        ([1], "(bound method Shop.buy()) | Unknown"),
        ([3], "def buy()"),
    ],
    ids=["nothing", "something unknown", "a variable"],
)
def test_what_is_not_known_to_be_all_is_no_answer(
    tmp_path: Path, lines: list[int], hover: str
) -> None:
    columns = {1: 8, 3: 0}
    links = [link(tmp_path / "shop.py", line, columns[line]) for line in lines]
    assert answers(tmp_path, Script(links, hover)) == {}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("bound method Shop.buy() -> int | str", True),
        ("def buy(\n    a: int | None,\n    b\n) -> Unknown", True),
        ("class Shop()", True),
        ("type[Shop]", True),
        ("(bound method Shop.buy() -> Unknown) | (bound method Mall.buy() -> Any)", True),
        ("(bound method Shop.buy() -> Unknown) | Any", False),
        ("Unknown & (bound method Shop.buy() -> Unknown)", False),
        ("Any | type[Shop]", False),
        ("Unknown", False),
        ("", False),
    ],
)
def test_types_of_callees(text: str, known: bool) -> None:
    assert ty.all_known(text) is known


# A server in few lines, for what only a process can do. `act` is what it does with a request.
SERVER = """
import json, sys, time

def send(message):
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(data) + data)
    sys.stdout.buffer.flush()

def receive():
    length = 0
    while (line := sys.stdin.buffer.readline()).strip():
        length = int(line.split(b":")[1])
    return json.loads(sys.stdin.buffer.read(length)) if length else sys.exit()

while True:
    message = receive()
    if message["method"] == "initialize":
        encoding = "ENCODING"
        result = {"capabilities": {"positionEncoding": encoding}}
        send({"id": message["id"], "result": result})
    elif "id" in message:
        ACT
"""
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(act: str, encoding: str = "utf-8", limit: float = 30.0) -> Server:
        text = SERVER.replace("ENCODING", encoding).replace("ACT", act)
        file = tmp_path / "server.py"
        file.write_text(textwrap.dedent(text))
        return Server([sys.executable, str(file)], tmp_path, limit, {}, {})

    return start


def test_a_server_is_asked_and_may_ask_back(start: Start) -> None:
    act = (
        "send({'method': 'log'}); "
        "send({'id': 'x', 'method': 'ask', 'params': {'items': [1, 2]}}); "
        "send({'id': message['id'], 'result': receive()['result']})"
    )
    with start(act) as server:
        assert server.request("question", {}) == [None, None]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("sys.exit()", "ended without an answer"),
        ("send({'id': message['id'], 'error': {'code': 1, 'message': 'no idea'}})", "no idea"),
    ],
    ids=["ends", "refuses"],
)
def test_a_server_that_does_not_answer_is_told(start: Start, act: str, message: str) -> None:
    with start(act) as server, pytest.raises(ServerError, match=message):
        server.request("question", {})


def test_a_server_that_takes_too_long_is_ended(start: Start) -> None:
    with (
        start("receive()", limit=2.0) as server,
        pytest.raises(ServerError, match="longer than 2 s"),
    ):
        server.request("question", {})


def test_a_server_that_counts_otherwise_is_refused(start: Start) -> None:
    with pytest.raises(ServerError, match="columns"):
        start("pass", encoding="utf-16")


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="cannot run"):
        Server([str(tmp_path / "nothing")], tmp_path, 5.0, {}, {})
