"""What a round keeps from the one before is what it would compute again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.program import Program, read_sources
from bridgekit_codemods.program.infer import Inference

Describe = Callable[[Program], list[Any]]
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = {
    "app/__init__.py": b"",
    "app/model.py": b"""
class Node:
    def __init__(self, left=None):
        self.left = left
        self.right = left.right if left else None

    def walk(self):
        return self.left.walk() if self.left else self

    def both(self):
        for part in (self.left, self.right):
            yield part or self.both()
""",
    "app/use.py": b"""
from contextlib import contextmanager
from app.model import Node
import app.registry as registry

def make(kind, seed):
    node = kind(seed)
    node.owner = registry.current
    registry.latest = node
    return node if seed else make(kind, node)

def first(nodes, default=None):
    return next(iter(nodes), default)

@contextmanager
def opened(node):
    yield node.walk()

@registry.app.route("/")
def view():
    with opened(make(Node, Node())) as node:
        return first([node, registry.latest]).owner.call(lambda: make(Node, None))
""",
    "app/registry.py": b"""
from flask import Flask

app = Flask(__name__)

class Current:
    def call(self, work):
        return work()

current = Current()
latest = None
""",
}


def forgetful(engine: Inference, changed: Iterable[Hashable]) -> None:
    """`next_round`, keeping nothing but what recursion needs."""
    engine.named = True
    engine.previous = {**engine.settled, **engine.memo}
    engine.forget()


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param(PROGRAM, id="small"),
        pytest.param(read_sources(ROOT / "examples" / "legacy_app"), id="legacy_app"),
        pytest.param(
            {
                p: d
                for p, d in read_sources(ROOT / "codemods").items()
                if p.startswith("bridgekit_codemods/program/")
            },
            id="the model itself",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_keeping_answers_changes_none(
    sources: dict[str, bytes], described: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = described(Program.load(sources))
    monkeypatch.setattr(Inference, "next_round", forgetful)
    assert described(Program.load(sources)) == kept


def test_a_round_computes_little_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most answers stand after the second round."""
    sizes = []
    whole = Inference.next_round

    def counted(engine: Inference, changed: Iterable[Hashable]) -> None:
        before = len(engine.settled) + len(engine.memo)
        whole(engine, changed)
        sizes.append((len(engine.settled) + len(engine.memo)) / before)

    monkeypatch.setattr(Inference, "next_round", counted)
    Program.load(read_sources(ROOT / "examples" / "legacy_app"))
    assert len(sizes) > 1
    assert min(sizes[1:]) > 0.8
