"""Random trees of synchronous and asynchronous calls, against a plain interpreter of the same tree.

The interpreter knows no threads and no loops: a call is a call, and a gathered child works on a
copy of the context. The bridged run must give the same results, the same exceptions and the same
context variables, and must end, whatever the size of the pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgekit import CapacityLimiter, ThreadSensitiveContext, async_to_sync, to_thread
from bridgekit.engine import workers

VARIABLES = [contextvars.ContextVar[int](f"tree_{number}", default=0) for number in range(3)]


class Planned(Exception):
    """Raised where a tree says so."""


@dataclass(frozen=True)
class Node:
    """A function: what it does before, how it calls its children, what it does after."""

    is_async: bool
    affinity: str
    limited: bool
    gathers: bool
    own_context: bool
    catches: bool
    sets: tuple[tuple[int, int], ...]
    raises: bool
    children: tuple[Node, ...] = field(default=())

    def __repr__(self) -> str:
        flags = "".join(
            letter
            for letter, on in (
                ("L", self.limited),
                ("G", self.gathers),
                ("T", self.own_context),
                ("C", self.catches),
                ("!", self.raises),
            )
            if on
        )
        kind = "async" if self.is_async else f"sync/{self.affinity}"
        return f"{kind}{flags}{list(self.sets)}{list(self.children)}"


def _nodes(children: st.SearchStrategy[tuple[Node, ...]]) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        is_async=st.booleans(),
        affinity=st.sampled_from(["chain", "chain", "context"]),
        limited=st.booleans(),
        gathers=st.booleans(),
        own_context=st.sampled_from([False, False, True]),
        catches=st.booleans(),
        sets=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 99)), max_size=2).map(tuple),
        raises=st.sampled_from([False, False, False, True]),
        children=children,
    )


TREES = st.recursive(
    _nodes(st.just(())),
    lambda inner: _nodes(st.lists(inner, max_size=3).map(tuple)),
    max_leaves=10,
)


# -- the plain interpreter -------------------------------------------------------------------------


def expect(node: Node, context: list[int]) -> Any:
    seen: list[Any] = [list(context)]
    for variable, value in node.sets:
        context[variable] += value
    try:
        if node.is_async and node.gathers:
            outcomes = []
            for child in node.children:
                try:
                    outcomes.append(expect(child, list(context)))
                except Planned as error:
                    outcomes.append(error)
            for outcome in outcomes:
                if isinstance(outcome, Planned):
                    raise outcome
            seen += outcomes
        else:
            for child in node.children:
                seen.append(expect(child, context))
        if node.raises:
            raise Planned(repr(node))
    except Planned as error:
        if not node.catches:
            raise
        seen.append(str(error))
    seen.append(list(context))
    return seen


# -- the bridged run -------------------------------------------------------------------------------


class Bridged:
    """Runs a tree through the bridges and counts what runs at one time."""

    def __init__(self, tokens: int) -> None:
        self.limiter = CapacityLimiter(tokens)
        self.lock = threading.Lock()
        self.open = 0

    def options(self, node: Node) -> dict[str, Any]:
        return {
            "affinity": node.affinity,
            "limiter": self.limiter if node.limited else None,
        }

    def before(self, node: Node) -> list[Any]:
        with self.lock:
            self.open += 1
        seen: list[Any] = [[variable.get() for variable in VARIABLES]]
        for variable, value in node.sets:
            VARIABLES[variable].set(VARIABLES[variable].get() + value)
        return seen

    def after(self, node: Node, seen: list[Any], error: Planned | None) -> list[Any]:
        with self.lock:
            self.open -= 1
        if error is not None:
            if not node.catches:
                raise error
            seen.append(str(error))
        seen.append([variable.get() for variable in VARIABLES])
        return seen

    def sync(self, node: Node) -> Any:
        seen = self.before(node)
        error: Planned | None = None
        try:
            for child in node.children:
                call = async_to_sync(self.native) if child.is_async else self.sync
                seen.append(call(child))
            if node.raises:
                raise Planned(repr(node))
        except Planned as caught:
            error = caught
        except BaseException:
            with self.lock:
                self.open -= 1
            raise
        return self.after(node, seen, error)

    async def native(self, node: Node) -> Any:
        if node.own_context:
            async with ThreadSensitiveContext():
                return await self.inside(node)
        return await self.inside(node)

    async def inside(self, node: Node) -> Any:
        seen = self.before(node)
        error: Planned | None = None
        try:
            if node.gathers:
                outcomes = await asyncio.gather(
                    *(self.call(child) for child in node.children), return_exceptions=True
                )
                for outcome in outcomes:
                    if isinstance(outcome, BaseException):
                        raise outcome
                seen += outcomes
            else:
                for child in node.children:
                    seen.append(await self.call(child))
            await asyncio.sleep(0)
            if node.raises:
                raise Planned(repr(node))
        except Planned as caught:
            error = caught
        except BaseException:
            with self.lock:
                self.open -= 1
            raise
        return self.after(node, seen, error)

    async def call(self, node: Node) -> Any:
        if node.is_async:
            return await self.native(node)
        return await to_thread.run_sync(self.sync, node, **self.options(node))

    def root(self, node: Node, from_sync: bool) -> Any:
        if from_sync:
            return async_to_sync(self.call)(node)

        async def main() -> Any:
            async with asyncio.timeout(30):
                return await self.call(node), [variable.get() for variable in VARIABLES]

        result, context = asyncio.run(main())
        for variable, value in zip(VARIABLES, context, strict=True):
            variable.set(value)  # asyncio.run works on a copy
        return result


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, workers.WorkerPool]]:
    pools = {size: workers.WorkerPool(size) for size in (1, 2, 4)}
    yield pools
    for pool in pools.values():
        pool.close(10)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=TREES,
    size=st.sampled_from([1, 2, 4]),
    tokens=st.integers(1, 3),
    from_sync=st.booleans(),
)
def test_a_bridged_tree_does_what_the_plain_tree_does(
    pools: dict[int, workers.WorkerPool], tree: Node, size: int, tokens: int, from_sync: bool
) -> None:
    context = [0, 0, 0]
    try:
        expected: Any = expect(tree, context)
    except Planned as error:
        expected = str(error)

    def bridged() -> None:
        run = Bridged(tokens)
        try:
            result = run.root(tree, from_sync)
        except Planned as error:
            result = str(error)
        assert result == expected
        if isinstance(expected, list) or from_sync:
            assert [variable.get() for variable in VARIABLES] == context
        assert run.open == 0
        assert run.limiter.borrowed_tokens == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_pool", pools[size])
        contextvars.Context().run(bridged)
    assert pools[size].threads <= size


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=TREES,
    size=st.sampled_from([1, 2]),
    tokens=st.integers(1, 2),
    turns=st.lists(st.integers(0, 12), min_size=1, max_size=3),
)
def test_a_tree_cancelled_anywhere_ends_and_leaves_nothing(
    pools: dict[int, workers.WorkerPool], tree: Node, size: int, tokens: int, turns: list[int]
) -> None:
    run = Bridged(tokens)

    async def main() -> None:
        task = asyncio.create_task(run.call(tree))
        cancels = 0
        for count in turns:
            for _ in range(count):
                await asyncio.sleep(0)
            cancels += task.cancel()
        async with asyncio.timeout(30):
            await asyncio.wait([task])
        if not task.cancelled():
            # Only the tree's own error may stand in for the cancellation, never a result.
            assert not cancels or isinstance(task.exception(), Planned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_pool", pools[size])
        asyncio.run(main())
    assert run.open == 0
    assert run.limiter.borrowed_tokens == 0
