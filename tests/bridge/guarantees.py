"""What the bridge answers, capability by capability: each row is a function that proves it.

`test_guarantees` runs them; ``scripts/guarantees.py`` makes the table of the documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from tests.bridge.processes import run_program

from bridgekit import (
    BlockingPortal,
    CapacityLimiter,
    DeadlockError,
    LoopThreadError,
    PortalClosedError,
    ThreadSensitiveContext,
    async_to_sync,
    default_portal,
    from_thread,
    start_blocking_portal,
    sync_to_async,
    to_thread,
)
from bridgekit.adapters.portal import Backend

__all__ = ["GUARANTEES", "Guarantee"]


@dataclass(frozen=True)
class Guarantee:
    """A row of the table."""

    capability: str
    answer: str
    prove: Callable[[], None]


GUARANTEES: list[Guarantee] = []


def guarantee(capability: str, answer: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(prove: Callable[[], None]) -> Callable[[], None]:
        GUARANTEES.append(Guarantee(capability, answer, prove))
        return prove

    return add


variable = contextvars.ContextVar("guarantee", default=0)


async def native(value: Any = None) -> Any:
    await asyncio.sleep(0)
    return value


def run(coroutine: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(15):
            return await coroutine

    return asyncio.run(bounded())


async def started(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 (a thread sets it)
        await asyncio.sleep(0.001)


# -- calls -----------------------------------------------------------------------------------------


@guarantee("sync from async", "on a worker thread, with positional and keyword arguments")
def sync_from_async() -> None:
    async def main() -> Any:
        return await to_thread.run_sync(dict, [("a", 1)], b=2)

    assert run(main()) == {"a": 1, "b": 2}


@guarantee("thread affinity", "`thread_sensitive=True`: one thread for a `ThreadSensitiveContext`")
def thread_affinity() -> None:
    async def main() -> int:
        async with ThreadSensitiveContext():
            call = sync_to_async(threading.get_ident, thread_sensitive=True)
            return len(set(await asyncio.gather(*(call() for _ in range(20)))))

    assert run(main()) == 1


@guarantee("async from sync, no loop anywhere", "on one portal loop for the whole process")
def async_from_sync() -> None:
    loops = {id(async_to_sync(running_loop)()) for _ in range(3)}
    assert len(loops) == 1


async def running_loop() -> Any:
    return asyncio.get_running_loop()


@guarantee("async from sync in a worker", "in the very task that awaits the worker")
def async_from_worker() -> None:
    async def name() -> Any:
        task = asyncio.current_task()
        return task and task.get_name()

    async def main() -> bool:
        return await to_thread.run_sync(async_to_sync(name)) == await name()

    assert run(main())


@guarantee(
    "async from sync on the loop's thread", "`LoopThreadError`, never a wait; names the ways out"
)
def on_the_loop_thread() -> None:
    async def main() -> None:
        for wait in (
            async_to_sync(native),
            functools.partial(default_portal().call, native),
            functools.partial(from_thread.run, native),
        ):
            with pytest.raises(LoopThreadError, match=r"to_thread\.run_sync"):
                wait()

    run(main())


@guarantee("a loop that stays", "the portal loop keeps its connections; closed at exit")
def persistent_loop() -> None:
    assert default_portal().call(running_loop) is default_portal().call(running_loop)


@guarantee(
    "portals", "`BlockingPortal`, `start_blocking_portal`, to asyncio and trio; closed ones refuse"
)
def portals() -> None:
    async def plain(value: int = 0) -> int:
        return value

    async def main() -> Any:
        async with BlockingPortal() as portal:
            return await to_thread.run_sync(portal.call, plain, 2)

    backends: tuple[Backend, ...] = ("asyncio", "trio")
    for backend in backends:
        with start_blocking_portal(backend) as portal:
            assert portal.call(plain, 1) == portal.start_task_soon(plain, 1).result(10) == 1
        with pytest.raises(PortalClosedError):
            portal.call(plain)
        assert anyio.run(main, backend=backend) == 2


# -- context ---------------------------------------------------------------------------------------


@guarantee("context variables, forward", "seen at every depth")
def context_forward() -> None:
    async def read() -> int:
        return variable.get()

    async def main() -> int:
        variable.set(5)
        return await to_thread.run_sync(async_to_sync(read))

    assert run(main()) == 5


@guarantee("context variables, back", "both ways; siblings in one context lose no update")
def context_back() -> None:
    async def set_it() -> None:
        variable.set(variable.get() + 1)

    def both() -> None:
        variable.set(variable.get() + 10)
        async_to_sync(set_it)()

    async def main() -> int:
        await to_thread.run_sync(both)
        return variable.get()

    assert run(main()) == 11


# -- cancellation ----------------------------------------------------------------------------------


@guarantee("`Task.cancel()` while the thread runs", "the await ends after the function, and raises")
def native_cancel_waits() -> None:
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@guarantee("`abandon_on_cancel=True`", "the await ends at once; the thread keeps its token")
def abandon() -> None:
    begun, release = threading.Event(), threading.Event()
    limiter = CapacityLimiter(1)

    def work() -> None:
        begun.set()
        release.wait(10)

    async def main() -> None:
        task = asyncio.create_task(
            to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
        )
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.borrowed_tokens == 1
        release.set()
        while limiter.borrowed_tokens:  # noqa: ASYNC110 (a thread gives it back)
            await asyncio.sleep(0.001)

    run(main())


@guarantee("cancelled before a thread took it", "never runs")
def cancelled_before_start() -> None:
    ran: list[int] = []
    limiter = CapacityLimiter(1)

    async def main() -> None:
        await limiter.acquire()
        task = asyncio.create_task(to_thread.run_sync(ran.append, 1, limiter=limiter))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        limiter.release()
        await to_thread.run_sync(int)

    run(main())
    assert (ran, limiter.borrowed_tokens) == ([], 0)


@guarantee("cooperative cancel", "`from_thread.check_cancelled()`, for native cancellation too")
def cooperative_cancel() -> None:
    begun = threading.Event()

    def work() -> None:
        begun.set()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            from_thread.check_cancelled()

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(work))
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@guarantee("cancel reaches the nested coroutine", "as ordinary cancellation, in its own task")
def cancel_reaches_nested() -> None:
    seen: list[str] = []
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        task = asyncio.create_task(to_thread.run_sync(async_to_sync(wait)))
        await started(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert seen == ["cancelled"]


@guarantee("Ctrl-C in a blocked caller", "cancels the coroutine, waits for it, then raises")
def ctrl_c() -> None:
    lines = run_program(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        async def wait():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say("cancelled")
                raise
        try:
            async_to_sync(wait)()
        except KeyboardInterrupt:
            say("interrupted")
        """
    )
    assert lines == ["cancelled", "interrupted"]


@guarantee(
    "timeouts around a bridge", "`asyncio.timeout` strikes and leaves the task's count alone"
)
def timeouts() -> None:
    async def main() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await to_thread.run_sync(async_to_sync(asyncio.Event().wait))
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main()) == 0


# -- capacity --------------------------------------------------------------------------------------


@guarantee("capacity limits", "`CapacityLimiter` per call; a chain never needs a second token")
def capacity() -> None:
    limiter = CapacityLimiter(1)

    async def inner() -> int:
        return await to_thread.run_sync(int, limiter=limiter)

    async def main() -> None:
        await to_thread.run_sync(async_to_sync(inner), limiter=limiter)

    run(main())
    assert limiter.borrowed_tokens == 0


@guarantee("nested fan-out beyond the pool's size", "ends, with a pool of one thread")
def fan_out() -> None:
    async def leaf() -> int:
        return await to_thread.run_sync(int)

    async def main() -> int:
        calls = (to_thread.run_sync(async_to_sync(leaf)) for _ in range(60))
        return len(await asyncio.gather(*calls))

    before = to_thread.get_max_workers()
    to_thread.set_max_workers(1)
    try:
        assert run(main()) == 60
    finally:
        to_thread.set_max_workers(before)


@guarantee("a wait that can never end", "`DeadlockError` instead of a hang, under asyncio and trio")
def deadlock() -> None:
    async def main() -> None:
        with pytest.raises(DeadlockError):
            await to_thread.run_sync(int, affinity="main")
        limiter = CapacityLimiter(1)
        with pytest.raises(BaseExceptionGroup) as raised:  # found, not refused
            async with limiter, anyio.create_task_group() as group:
                group.start_soon(functools.partial(to_thread.run_sync, int, limiter=limiter))
        assert raised.group_contains(DeadlockError)

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


@guarantee("the pool", "bounded, the bridge's own, not the loop's default executor")
def pool() -> None:
    names: set[str] = set()

    async def main() -> None:
        before = asyncio.get_running_loop()
        await to_thread.run_sync(lambda: names.add(threading.current_thread().name))
        assert getattr(before, "_default_executor", None) is None

    run(main())
    assert all("bridgekit" in name for name in names)


# -- fork ------------------------------------------------------------------------------------------

FORK = """
def fork(child):
    pid = os.fork()
    if not pid:
        try:
            say(child())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
"""


@guarantee("fork: the child calls async from sync", "on a portal loop of its own")
def fork_async_to_sync() -> None:
    assert run_program(
        FORK + "async_to_sync(native)(1)\nfork(lambda: async_to_sync(native)(2))"
    ) == ["2"]


@guarantee("fork inside a worker", "the child starts afresh")
def fork_in_worker() -> None:
    assert run_program(
        FORK + "asyncio.run(to_thread.run_sync(fork, lambda: async_to_sync(native)(2)))"
    ) == ["2"]


@guarantee("fork after sync from async, the child calls it too", "on threads of its own")
def fork_sync_to_async() -> None:
    code = "asyncio.run(sync_to_async(int, thread_sensitive=True)())"
    assert run_program(FORK + f"{code}\nfork(lambda: {code})") == ["0"]


# -- exceptions ------------------------------------------------------------------------------------


@guarantee("exceptions", "the same object, both ways")
def exceptions() -> None:
    error = ValueError("mine")

    async def fail() -> None:
        raise error

    async def main() -> None:
        await to_thread.run_sync(async_to_sync(fail))

    with pytest.raises(ValueError, match="mine") as caught:
        run(main())
    assert caught.value is error


@guarantee("`StopIteration` from a sync function", "`RuntimeError` with it as the cause")
def stop_iteration() -> None:
    with pytest.raises(RuntimeError) as caught:
        run(to_thread.run_sync(next, iter(())))
    assert isinstance(caught.value.__cause__, StopIteration)


@guarantee("an exception leaves no cycle", "arguments are free without the garbage collector")
def no_cycle() -> None:
    class Argument:
        pass

    async def fail(argument: Argument) -> None:
        raise ValueError

    async def main(argument: Argument) -> None:
        with contextlib.suppress(ValueError):
            await to_thread.run_sync(async_to_sync(fail), argument)

    argument = Argument()
    watch = weakref.ref(argument)
    gc.disable()
    try:
        run(main(argument))
        del argument
        for _ in range(1000):
            if watch() is None:
                break
            run(to_thread.run_sync(int))
        assert watch() is None
    finally:
        gc.enable()


@guarantee("tracebacks", "show the frames of both sides")
def tracebacks() -> None:
    def on_the_thread() -> None:
        raise ValueError

    async def in_the_task() -> None:
        await to_thread.run_sync(on_the_thread)

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        run(in_the_task())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.index("in_the_task") < names.index("on_the_thread")


# -- wrappers --------------------------------------------------------------------------------------


class Methods:
    @sync_to_async
    def method(self) -> Any:
        return self

    @sync_to_async
    @classmethod
    def of_class(cls) -> Any:
        return cls

    @sync_to_async
    @staticmethod
    def static(value: int) -> int:
        return value


@guarantee("methods, class methods, static methods", "wrapped in place, bound as usual")
def methods() -> None:
    instance = Methods()
    assert run(instance.method()) is run(Methods.method(instance)) is instance
    assert run(Methods.of_class()) is Methods
    assert run(Methods.static(3)) == 3


def plain(a: int, *, b: str = "b") -> int:
    """Documented."""
    return a


@guarantee("signature and coroutine mark", "kept; `inspect` tells which is which")
def signature() -> None:
    wrapped = sync_to_async(plain)
    assert inspect.iscoroutinefunction(wrapped)
    assert inspect.signature(wrapped) == inspect.signature(plain)
    assert inspect.unwrap(wrapped) is plain
    assert not inspect.iscoroutinefunction(async_to_sync(native))
    assert inspect.signature(async_to_sync(native)) == inspect.signature(native)


@sync_to_async
def decorated() -> int:
    return 1


@guarantee("pickling a decorated function", "by name, as any function")
def pickling() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated


@guarantee("asgiref's and anyio's worker threads", "async code called there runs on their loop")
def foreign_workers() -> None:
    import anyio.to_thread
    import asgiref.sync

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await anyio.to_thread.run_sync(async_to_sync(running_loop)) is loop
        call = asgiref.sync.sync_to_async(async_to_sync(running_loop), thread_sensitive=False)
        assert await call() is loop

    run(main())
