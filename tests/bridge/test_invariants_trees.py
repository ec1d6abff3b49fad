"""Random trees of calls, to depth 12, against a plain interpreter: the bridge's invariants 1 to 10.

Checked while a tree runs (`bridged.Run`) or after it:

1. the same result, or the same exception object, as plain calls; ``StopIteration`` becomes a
   ``RuntimeError`` with it as its cause;
2. context variables as with plain calls, siblings isolated;
3. affinity: one thread for all context-affine calls of a context; the caller's, if synchronous;
4. every tree ends, with a pool of any size, and never uses more threads than that;
5. at no instant more limited calls run than there are tokens, and all tokens come back;
6. after a cancelled await nothing runs any more, the cancellation is not swallowed or miscounted;
7. re-entered coroutines run in the host task, and expired timeouts around a bridge strike;
8. arguments and context values are free again without the garbage collector;
9. no synchronous function runs on a loop's thread, and the loop goes on meanwhile;
10. waiting synchronously on a loop's thread is refused, and leaves no coroutine behind.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tests.bridge.bridged import ROOTS, SYNC_ROOTS, Baggage, Run, variables
from tests.bridge.trees import (
    MAX_DEPTH,
    VARIABLES,
    Call,
    Deadline,
    Failure,
    Gather,
    Node,
    Scoped,
    depth_of,
    expect,
    trees,
)

from bridgekit import async_to_sync, default_portal, sync_to_async, to_thread

pytestmark = pytest.mark.timeout(110)

EXAMPLES = 250
SLOW_EXAMPLES = 3_000
WIDE = 40  # a pool that is wider than any tree

profile = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    # Shrinking a hang or a race takes for ever and finds nothing smaller.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@pytest.fixture(scope="module", autouse=True)
def _pool() -> Iterator[None]:
    before = to_thread.get_max_workers()
    default_portal().call(int)  # threads that stay are started before any are counted
    yield
    to_thread.set_max_workers(before)


def free_of_references(check: Callable[[Baggage], None]) -> None:
    """Call with an object that must be gone afterwards without the garbage collector."""
    bag = Baggage()
    watch = weakref.ref(bag)
    gc.disable()
    try:
        contextvars.Context().run(check, bag)
        del bag
        deadline = time.monotonic() + 5
        while watch() is not None and time.monotonic() < deadline:
            # Threads may still be on their way from the end of the call to their next wait.
            default_portal().call(asyncio.sleep, 0)
        assert watch() is None, "invariant 8: something still refers to an argument"
    finally:
        gc.enable()


def without_held_waits(node: Node, size: int, fanned: bool = False) -> Node:
    """Take the limiter from calls that would wait for a thread while they hold a token.

    `test_findings.test_a_token_is_taken_before_a_thread` shows how that ends.
    """
    narrow = size < WIDE or node.affinity != "chain"
    limited = node.limited and not (fanned and narrow)

    def inside(steps: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = []
        for step in steps:
            if isinstance(step, Call):
                step = replace(step, child=without_held_waits(step.child, size, fanned))
            elif isinstance(step, Gather):
                children = (without_held_waits(child, size, True) for child in step.children)
                step = replace(step, children=tuple(children))
            elif isinstance(step, Scoped | Deadline):
                step = replace(step, body=inside(step.body))
            changed.append(step)
        return tuple(changed)

    return replace(node, limited=limited, steps=inside(node.steps))


def compare(tree: Node, root: str, size: int, tokens: int) -> None:
    tree = without_held_waits(tree, size)
    context: list[int | None] = [None] * VARIABLES
    try:
        expected: Any = expect(tree, context, bridged=root not in SYNC_ROOTS)
    except Failure as failure:
        expected = failure

    def bridged(bag: Baggage) -> None:
        run = Run(tokens, root)
        outcome, after = run.outcome(tree, bag)
        run.raised.clear()
        assert outcome == expected, "invariant 1 (results) or 2 (context)"
        assert after == context, "invariant 2: the caller's context"
        assert run.open == 0, "invariant 6: something still runs"
        assert run.limiter.borrowed_tokens == 0, "invariant 5: a token is lost"
        caller = threading.get_ident()
        used = run.pool_threads(caller) - (root == "thread")
        assert used <= size, "invariant 4: more threads than the pool may have"

    to_thread.set_max_workers(size)
    free_of_references(bridged)


ARGUMENTS = {
    "tree": trees(),
    "root": st.sampled_from(ROOTS),
    "size": st.sampled_from([1, 1, 2, 4, WIDE]),
    "tokens": st.integers(1, 3),
}


@settings(profile, max_examples=EXAMPLES)
@given(**ARGUMENTS)
def test_a_bridged_tree_does_what_the_plain_tree_does(
    tree: Node, root: str, size: int, tokens: int
) -> None:
    compare(tree, root, size, tokens)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(profile, max_examples=SLOW_EXAMPLES)
@given(**ARGUMENTS)
def test_thousands_of_bridged_trees(tree: Node, root: str, size: int, tokens: int) -> None:
    compare(tree, root, size, tokens)


# -- cancelled anywhere ----------------------------------------------------------------------------


def cancel(
    tree: Node, loop: str, size: int, tokens: int, turns: list[int], steps: list[int]
) -> None:
    tree = without_held_waits(tree, size)

    def bridged(bag: Baggage) -> None:
        run = Run(tokens, loop, tuple(steps))
        run.bound = not may_abandon(tree)
        still_open: list[int] = []

        async def main() -> None:
            await run.cancelled(tree, bag, turns)
            still_open.append(run.open)
            if run.open or run.limiter.borrowed_tokens:
                await asyncio.to_thread(run.wait_until_quiet)

        factory = None if loop == "loop" else __import__("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        task, run.task = run.task, None
        assert task is not None
        note(f"{run.cancels_accepted} cancels, {run.steps_taken} steps")
        if run.cancels_accepted:
            assert task.cancelled(), "invariant 6: the cancellation was swallowed"
            assert task.cancelling() == run.cancels_accepted, "invariant 6: it was miscounted"
        elif task.exception() is not None:
            run.describe(task.exception(), None)
        del task  # its exception may refer to this frame
        run.raised.clear()
        if not may_abandon(tree):
            assert still_open == [0], "invariant 6: the await was left before the function's end"
        assert run.open == 0
        assert run.limiter.borrowed_tokens == 0, "invariant 5: a token is lost"

    to_thread.set_max_workers(size)
    free_of_references(bridged)


def may_abandon(node: Node) -> bool:
    def inside(steps: tuple[Any, ...]) -> bool:
        for step in steps:
            children = (
                (step.child,)
                if isinstance(step, Call)
                else step.children
                if isinstance(step, Gather)
                else ()
            )
            if any(map(may_abandon, children)) or inside(getattr(step, "body", ())):
                return True
        return False

    return node.abandon or inside(node.steps)


CANCEL_ARGUMENTS = {
    "tree": trees(),
    "loop": st.sampled_from(["loop", "loop", "uvloop"]),
    "size": st.sampled_from([1, 1, 2, WIDE]),
    "tokens": st.integers(1, 2),
    "turns": st.lists(st.integers(0, 30), max_size=2),
    "steps": st.lists(st.integers(1, 25), max_size=3, unique=True),
}


@settings(profile, max_examples=EXAMPLES)
@given(**CANCEL_ARGUMENTS)
def test_a_tree_cancelled_anywhere_ends_and_leaves_nothing(
    tree: Node, loop: str, size: int, tokens: int, turns: list[int], steps: list[int]
) -> None:
    cancel(tree, loop, size, tokens, turns, steps)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(profile, max_examples=SLOW_EXAMPLES)
@given(**CANCEL_ARGUMENTS)
def test_thousands_of_cancelled_trees(
    tree: Node, loop: str, size: int, tokens: int, turns: list[int], steps: list[int]
) -> None:
    cancel(tree, loop, size, tokens, turns, steps)


# -- siblings that share one context ---------------------------------------------------------------

SHARED = [contextvars.ContextVar[int](f"shared_{number}", default=0) for number in range(6)]


@settings(profile, max_examples=60)
@given(
    kinds=st.lists(st.sampled_from(["sync", "nested", "sensitive"]), min_size=2, max_size=6),
    size=st.sampled_from([1, 2, 4]),
)
def test_invariant_2_siblings_in_one_context_lose_no_update(kinds: list[str], size: int) -> None:
    """Tasks in one and the same `Context`, side by side, each set a variable of their own."""

    async def native(number: int) -> None:
        await asyncio.sleep(0)
        SHARED[number].set(SHARED[number].get() + 10)
        await asyncio.sleep(0)

    def sync(number: int, kind: str) -> None:
        SHARED[number].set(SHARED[number].get() + 1)
        if kind == "nested":
            async_to_sync(native)(number)
            SHARED[number].set(SHARED[number].get() + 100)

    async def main() -> list[int]:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(
                sync_to_async(sync, thread_sensitive=kind == "sensitive")(number, kind),
                context=context,
            )
            for number, kind in enumerate(kinds)
        ]
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)
        return [context.get(variable, 0) for variable in SHARED[: len(kinds)]]

    to_thread.set_max_workers(size)
    assert asyncio.run(main()) == [111 if kind == "nested" else 1 for kind in kinds]


def test_the_trees_reach_depth_twelve() -> None:
    depths: set[int] = set()

    @settings(profile, max_examples=120, database=None, derandomize=True)
    @given(trees())
    def collect(tree: Node) -> None:
        depths.add(depth_of(tree))

    collect()
    assert max(depths) == MAX_DEPTH
    assert variables() == [None] * VARIABLES
