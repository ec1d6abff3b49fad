"""A stateful machine: calls that begin, wait, are released, cancelled and abandoned in any order.

The rules are coroutines; they run on one loop that lives as long as the machine. A model without
threads says after each rule which calls must be running, waiting for a thread, or waiting for a
token, and the bridge must come to exactly that.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridgekit import (
    CapacityLimiter,
    PortalClosedError,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)

SECONDS = 10


def on_the_loop(
    function: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Make a rule of a coroutine function: it runs on the machine's loop."""

    @functools.wraps(function)
    def wrapper(machine: BridgeMachine, *args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SECONDS * 2):
                await function(machine, *args, **kwargs)

        machine.loop.run_until_complete(bounded())

    return wrapper


class Call:
    """One call under way. Its function waits for `release`, in the way that its kind says."""

    def __init__(self, kind: str, limiter: CapacityLimiter | None, abandon: bool) -> None:
        self.kind = kind
        self.limited = limiter is not None
        self.abandon = abandon
        self.began, self.gate, self.ended = (threading.Event() for _ in range(3))
        self.woken = asyncio.Event()
        self.thread = 0
        self.cancelled = False
        self.task = asyncio.create_task(self.start(limiter))

    async def start(self, limiter: CapacityLimiter | None) -> str:
        options: Any = {"limiter": limiter, "abandon_on_cancel": self.abandon}
        if self.kind != "context":
            return await to_thread.run_sync(self.work, **options)
        async with ThreadSensitiveContext():
            return await sync_to_async(self.work, thread_sensitive=True, **options)()

    def work(self) -> str:
        self.thread = threading.get_ident()
        try:
            if self.kind == "asking":
                async_to_sync(self.wait)()
            elif self.kind == "nested":
                async_to_sync(self.below)()
            else:
                self.block()
            return "done"
        finally:
            self.ended.set()

    # A call has begun when it waits where its kind says; before, a cancellation meets it elsewhere.

    def block(self) -> None:
        self.began.set()
        assert self.gate.wait(SECONDS * 6)

    async def wait(self) -> None:
        self.began.set()
        await self.woken.wait()

    async def below(self) -> None:
        await to_thread.run_sync(self.block)

    def release(self) -> None:
        self.gate.set()
        self.woken.set()


class Model:
    """Who runs, who waits for a thread and who for a token: first come, first served."""

    def __init__(self, size: int, tokens: int) -> None:
        self.size = size
        self.tokens = tokens
        self.borrowed = 0
        self.waiting: list[Call] = []
        self.queue: list[Call] = []
        self.running: list[Call] = []

    def submit(self, call: Call) -> None:
        if not call.limited:
            self.enter(call)
        elif self.borrowed < self.tokens and not self.waiting:
            self.borrowed += 1
            self.enter(call)
        else:
            self.waiting.append(call)

    def enter(self, call: Call) -> None:
        if call.kind == "context" or len(self.in_pool()) < self.size:
            self.running.append(call)
        else:
            self.queue.append(call)

    def in_pool(self) -> list[Call]:
        return [call for call in self.running if call.kind != "context"]

    def end(self, call: Call) -> None:
        self.running.remove(call)
        self.fill()
        self.give_back(call)

    def fill(self) -> None:
        while self.queue and len(self.in_pool()) < self.size:
            self.running.append(self.queue.pop(0))

    def give_back(self, call: Call) -> None:
        if call.limited:
            self.borrowed -= 1
            self.grant()

    def grant(self) -> None:
        while self.waiting and self.borrowed < self.tokens:
            self.borrowed += 1
            self.enter(self.waiting.pop(0))

    def withdraw(self, call: Call) -> bool:
        """Cancelled: whether the call will never run."""
        if call in self.waiting:
            self.waiting.remove(call)
            return True
        if call in self.queue:
            self.queue.remove(call)
            self.give_back(call)
            return True
        return False


class BridgeMachine(RuleBasedStateMachine):
    @initialize(size=st.integers(1, 3), tokens=st.integers(1, 3))
    def begin(self, size: int, tokens: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.size_before = to_thread.get_max_workers()
        to_thread.set_max_workers(size)
        self.limiter = CapacityLimiter(tokens)
        self.model = Model(size, tokens)
        self.calls: list[Call] = []
        self.futures: list[tuple[Any, asyncio.Event]] = []
        self.portals: list[tuple[Any, Any]] = []

    # -- rules ---------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(["plain", "asking", "nested", "context"]),
        limited=st.booleans(),
        abandon=st.booleans(),
    )
    @on_the_loop
    async def call(self, kind: str, limited: bool, abandon: bool) -> None:
        call = Call(kind, self.limiter if limited else None, abandon)
        self.calls.append(call)
        self.model.submit(call)
        await self.settle()

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    @on_the_loop
    async def release(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.model.running))
        call.release()
        self.model.end(call)
        await self.settle()
        await self.finished(call)

    @precondition(lambda self: any(not call.task.done() for call in self.calls))
    @rule(data=st.data(), twice=st.booleans())
    @on_the_loop
    async def cancel(self, data: st.DataObject, twice: bool) -> None:
        open_ = [call for call in self.calls if not call.task.done()]
        call = data.draw(st.sampled_from(open_))
        for _ in range(1 + twice):
            assert call.task.cancel()
        call.cancelled = True
        if self.model.withdraw(call):
            await self.settle()
            await self.finished(call)
            assert not call.began.is_set(), "a call that was withdrawn has run"
        elif call.kind == "asking":
            self.model.end(call)  # the coroutine is cancelled, and that ends the function
            await self.settle()
            await self.finished(call)
        elif call.abandon and call.kind != "nested":
            await asyncio.wait([call.task], timeout=SECONDS)
            assert call.task.cancelled(), "abandoned, but the await was not left"
            await self.settle()
        else:
            for _ in range(3):
                await asyncio.sleep(0)
            assert not call.task.done(), "the await was left before the function's end"

    @rule(size=st.integers(1, 4))
    @on_the_loop
    async def resize_pool(self, size: int) -> None:
        to_thread.set_max_workers(size)
        self.model.size = size
        self.model.fill()
        await self.settle()

    @rule(tokens=st.integers(1, 4))
    @on_the_loop
    async def resize_limiter(self, tokens: int) -> None:
        self.limiter.total_tokens = tokens
        self.model.tokens = tokens
        self.model.grant()
        await self.settle()

    @rule(own=st.booleans())
    def start_portal_task(self, own: bool) -> None:
        portal = self.portals[-1][1] if own and self.portals else default_portal()
        woken = asyncio.Event()
        self.futures.append((portal, portal.start_task_soon(woken.wait), woken))  # type: ignore[arg-type]

    @precondition(lambda self: self.futures)
    @rule(cancel=st.booleans())
    def end_portal_task(self, cancel: bool) -> None:
        portal, future, woken = self.futures.pop()  # type: ignore[misc]
        if cancel:
            future.cancel()
            assert future.cancelled()
        else:
            portal.call(woken.set)
            assert future.result(SECONDS) is True

    @precondition(lambda self: len(self.portals) < 2)
    @rule()
    def open_portal(self) -> None:
        manager = start_blocking_portal()
        self.portals.append((manager, manager.__enter__()))

    @precondition(lambda self: self.portals)
    @rule()
    def close_portal(self) -> None:
        manager, portal = self.portals.pop()
        for entry in [entry for entry in self.futures if entry[0] is portal]:
            self.futures.remove(entry)
            portal.call(entry[2].set)  # type: ignore[misc]
        manager.__exit__(None, None, None)
        with pytest.raises(PortalClosedError):
            portal.call(int)

    # -- what must hold ------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until the bridge has come to what the model says, and no further."""
        deadline = time.monotonic() + SECONDS
        while self.difference() and time.monotonic() < deadline:  # noqa: ASYNC110 (threads)
            await asyncio.sleep(0.0005)
        assert not self.difference(), self.difference()

    def difference(self) -> list[str]:
        model = self.model
        wrong = [f"{call.kind} should run" for call in model.running if not call.began.is_set()] + [
            f"{call.kind} should wait"
            for call in model.waiting + model.queue
            if call.began.is_set()
        ]
        statistics = self.limiter.statistics()
        if statistics.borrowed_tokens != model.borrowed:
            wrong.append(f"{statistics.borrowed_tokens} tokens are out, not {model.borrowed}")
        if statistics.tasks_waiting != len(model.waiting):
            wrong.append(f"{statistics.tasks_waiting} wait for a token, not {len(model.waiting)}")
        return wrong

    async def finished(self, call: Call) -> None:
        await asyncio.wait([call.task], timeout=SECONDS)
        assert call.task.done(), "the call never ended"
        if call.cancelled:
            assert call.task.cancelled(), "the cancellation was swallowed"
        else:
            assert call.task.result() == "done"

    @invariant()
    def threads_are_bounded(self) -> None:
        if hasattr(self, "model"):
            busy = [call.thread for call in self.model.in_pool()]
            assert len(set(busy)) == len(busy), "two calls at one time on one thread"

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        while self.futures:
            self.end_portal_task(cancel=False)
        while self.portals:
            self.close_portal()
        self.loop.run_until_complete(self.end_all())
        self.loop.close()
        to_thread.set_max_workers(self.size_before)
        assert self.limiter.borrowed_tokens == 0
        assert self.limiter.statistics().tasks_waiting == 0

    async def end_all(self) -> None:
        for call in self.calls:
            call.release()
        for call in self.calls:
            await self.finished(call)
        for call in self.calls:
            assert not call.began.is_set() or call.ended.wait(SECONDS)
        deadline = time.monotonic() + SECONDS
        while self.limiter.borrowed_tokens and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.0005)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "tasks are left"


def play(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        BridgeMachine,
        settings=settings(
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )


@pytest.mark.timeout(100)
def test_machine() -> None:
    play(60, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_machine_for_long() -> None:
    play(1_000, 50)
