"""Random nesting of stacks, threads, SQLAlchemy's greenlets and awaits, against plain calls.

Under asyncio, uvloop and trio.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.util import greenlet_spawn

from bridgekit import async_to_sync, from_thread, to_thread
from bridgekit.adapters import suspending

VARIABLES = [contextvars.ContextVar[int](f"stack_{n}", default=0) for n in range(3)]
LEAVES = ("plain", "stack", "thread", "spawn")


class Planned(Exception):
    pass


@dataclass(frozen=True)
class Node:
    """A function: what it sets and does, whom it calls, how it ends; `how` it is to be called."""

    is_async: bool
    how: str
    sets: tuple[tuple[int, int, bool], ...]
    waits: int
    raises: bool
    catches: bool
    children: tuple[Node, ...]


def nodes(children: st.SearchStrategy[tuple[Node, ...]]) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        is_async=st.booleans(),
        how=st.sampled_from(LEAVES),
        sets=st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans()), max_size=2
        ).map(tuple),
        waits=st.integers(0, 2),
        raises=st.integers(0, 5).map(lambda n: n == 0),
        catches=st.booleans(),
        children=children,
    )


trees = st.recursive(
    nodes(st.just(())),
    lambda inner: nodes(st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)


class Run:
    """One execution of a tree; both kinds share the body, so they can only differ in the calls."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.host: object = None

    def enter(self, node: Node) -> list[tuple[int, contextvars.Token[int]]]:
        self.note("enter", node)
        tokens = [(which, VARIABLES[which].set(value), reset) for which, value, reset in node.sets]
        return [(which, token) for which, token, reset in reversed(tokens) if reset]

    def note(self, what: str, node: Node) -> None:
        self.log.append((what, [variable.get() for variable in VARIABLES], node.how))

    def leave(self, node: Node, tokens: list[tuple[int, contextvars.Token[int]]]) -> int:
        self.note("leave", node)
        for which, token in tokens:
            VARIABLES[which].reset(token)
        if node.raises:
            raise Planned(node.waits)
        return 1

    def caught(self, node: Node, error: Planned) -> int:
        self.note(f"caught {error.args}", node)
        if not node.catches:
            raise error
        return 100


class Plain(Run):
    def call(self, node: Node) -> int:
        tokens = self.enter(node)
        total = 0
        try:
            for child in node.children:
                total += self.call(child)
        except Planned as error:
            total += self.caught(node, error)
        return total + self.leave(node, tokens)


class Bridged(Run):
    def call(self, node: Node) -> int:
        """A synchronous function; below a stack or on a worker thread."""
        tokens = self.enter(node)
        total = 0
        try:
            for _ in range(node.waits):
                assert async_to_sync(self.task)() == self.host
            for child in node.children:
                if not child.is_async:
                    total += self.call(child)
                elif child.how == "plain":
                    total += from_thread.run(self.acall, child)
                else:
                    total += async_to_sync(self.acall)(child)
        except Planned as error:
            total += self.caught(node, error)
        return total + self.leave(node, tokens)

    async def acall(self, node: Node) -> int:
        tokens = self.enter(node)
        total = 0
        try:
            for _ in range(node.waits):
                assert await self.task() == self.host
            for child in node.children:
                if child.is_async:
                    total += await self.acall(child)
                elif child.how == "thread":
                    total += await to_thread.run_sync(self.call, child)
                elif child.how == "spawn":
                    total += await greenlet_spawn(self.call, child)
                elif child.how == "stack":
                    total += await suspending.run_sync(self.call, child)
                else:
                    total += self.call(child)
        except Planned as error:
            total += self.caught(node, error)
        return total + self.leave(node, tokens)

    async def task(self) -> object:
        await anyio.lowlevel.checkpoint()
        return anyio.get_current_task().id


def outcome(call: Callable[[], Any], run: Run) -> tuple[Any, ...]:
    try:
        result: Any = call()
    except Planned as error:
        result = repr(error)
    return result, run.log, [variable.get() for variable in VARIABLES]


def expected(tree: Node) -> tuple[Any, ...]:
    run = Plain()
    return contextvars.Context().run(outcome, lambda: run.call(tree), run)


async def bridged(tree: Node) -> tuple[Any, ...]:
    run = Bridged()
    run.host = anyio.get_current_task().id
    for variable in VARIABLES:
        variable.set(0)
    try:
        result: Any = await suspending.run_sync(run.call, tree)
    except Planned as error:
        result = repr(error)
    return result, run.log, [variable.get() for variable in VARIABLES]


async def side_by_side(forest: list[Node]) -> list[tuple[Any, ...]]:
    found: dict[int, tuple[Any, ...]] = {}

    async def one(number: int, tree: Node) -> None:
        found[number] = await bridged(tree)

    async with anyio.create_task_group() as group:
        for number, tree in enumerate(forest):
            group.start_soon(one, number, tree)
    return [found[number] for number in range(len(forest))]


BACKENDS: tuple[dict[str, Any], ...] = (
    {"backend": "asyncio"},
    {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    {"backend": "trio"},
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(forest=st.lists(trees, min_size=1, max_size=3), backend=st.sampled_from(BACKENDS))
def test_any_nesting_is_a_plain_call(forest: list[Node], backend: dict[str, Any]) -> None:
    found = anyio.run(side_by_side, forest, **backend)
    assert found == [expected(tree) for tree in forest]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees, steps=st.integers(0, 12), backend=st.sampled_from(BACKENDS))
def test_cancelled_anywhere_it_ends_as_cancelled_or_as_planned(
    tree: Node, steps: int, backend: dict[str, Any]
) -> None:
    """After any number of turns of the loop: the call ends, one way or the other."""
    found: list[tuple[Any, ...]] = []

    async def main() -> None:
        scope = anyio.CancelScope()

        async def call() -> None:
            with scope:
                found.append(await bridged(tree))

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
        assert scope.cancelled_caught == (not found)

    anyio.run(main, **backend)
    assert found in ([], [expected(tree)])
