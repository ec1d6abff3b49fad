"""The portal's selector skips turns of the loop; nothing that needs a turn may be left out."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from bridgekit import BlockingPortal, start_blocking_portal
from bridgekit.engine import first_step
from bridgekit.engine.first_step import FirstSteps
from bridgekit.engine.inbox_selector import new_portal_loop

SECONDS = 10


@pytest.fixture(params=["plain", "debug"])
def portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        portal.call(lambda: asyncio.get_running_loop().set_debug(request.param == "debug"))
        portal.call(int)  # from now on the loop sleeps, with nothing to do
        yield portal


def test_what_a_call_that_never_waits_leaves_to_do_is_done(portal: BlockingPortal) -> None:
    done = {name: threading.Event() for name in ("soon", "later", "task")}
    tasks: list[asyncio.Task[Any]] = []

    async def task() -> None:
        await asyncio.sleep(0)
        done["task"].set()

    async def begin(kind: str) -> None:
        loop = asyncio.get_running_loop()
        if kind == "soon":
            loop.call_soon(done[kind].set)
        elif kind == "later":
            loop.call_later(0.001, done[kind].set)
        else:
            tasks.append(loop.create_task(task()))

    for kind, event in done.items():
        portal.call(begin, kind)
        assert event.wait(SECONDS)


def test_other_descriptors_are_served(portal: BlockingPortal) -> None:
    ours, theirs = socket.socketpair()
    ready = threading.Event()

    async def read() -> None:
        asyncio.get_running_loop().add_reader(theirs, ready.set)

    async def stop_reading() -> None:
        asyncio.get_running_loop().remove_reader(theirs)

    with ours, theirs:
        portal.call(read)
        ours.send(b"x")
        assert ready.wait(SECONDS)
        assert portal.call(int) == 0  # both are ready now
        portal.call(stop_reading)
        assert portal.call(int) == 0


def test_other_threads_wake_the_loop(portal: BlockingPortal) -> None:
    async def loop_of() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = portal.call(loop_of)
    called = threading.Event()
    loop.call_soon_threadsafe(called.set)
    assert called.wait(SECONDS)


def test_each_call_goes_through_a_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    """By which tools see what blocks a loop."""
    run: Callable[[Any], None] = asyncio.Handle._run  # type: ignore[attr-defined]
    inside: list[int] = []

    def watched(handle: Any) -> None:
        inside.append(threading.get_ident())
        try:
            run(handle)
        finally:
            inside.remove(threading.get_ident())

    async def is_watched() -> bool:
        return threading.get_ident() in inside

    with start_blocking_portal() as portal:
        monkeypatch.setattr(asyncio.Handle, "_run", watched)
        assert portal.call(is_watched)
        assert portal.call(is_watched)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_closed_portal_leaves_no_descriptor() -> None:
    def once() -> None:
        with start_blocking_portal() as portal:
            portal.call(int)

    once()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        once()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_loop_of_another_policy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop(asyncio.SelectorEventLoop):
        """Not the stock one."""

    monkeypatch.setattr(asyncio, "new_event_loop", Loop)
    loop, serve_inbox = new_portal_loop()
    try:
        serve_inbox(0)
        assert type(loop) is Loop
    finally:
        loop.close()


@pytest.mark.skipif(not hasattr(selectors, "EpollSelector"), reason="needs epoll")
def test_an_inbox_that_is_unregistered_is_forgotten() -> None:
    loop, serve_inbox = new_portal_loop()
    ours, theirs = socket.socketpair()
    read: list[bytes] = []
    with ours, theirs:
        loop.add_reader(theirs, lambda: read.append(theirs.recv(1)))
        serve_inbox(theirs.fileno())
        ours.send(b"a")
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        loop.remove_reader(theirs)
        loop.add_reader(theirs, lambda: read.append(theirs.recv(1).upper()))
        ours.send(b"b")
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        loop.close()
    assert read == [b"a", b"B"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tasks start eagerly from Python 3.12 on")
def test_a_callback_that_comes_while_a_task_is_made_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A finalizer's: making a task can begin a garbage collection."""
    events: list[str] = []
    make = asyncio.Task

    async def first() -> None:
        events.append("step")

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def collecting(*args: Any, **kwargs: Any) -> asyncio.Task[None]:
            loop.call_soon(events.append, "finalizer")
            return make(*args, **kwargs)

        def start() -> None:
            steps = FirstSteps(loop)
            steps.start(first(), copy_context())
            steps.end()
            events.append("started")

        with monkeypatch.context() as patch:
            patch.setattr(first_step.asyncio, "Task", collecting)
            loop.call_soon(start)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert "call_soon" not in vars(loop)

    asyncio.run(main())
    assert events == ["step", "started", "finalizer"]
