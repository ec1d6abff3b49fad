"""Faults that were found by the tests of this room, each in the smallest program that shows it."""

from __future__ import annotations

import os
import sys

import pytest
from tests.bridge.processes import run_program
from tests.bridge.test_faults_fork import CHILD

pytestmark = pytest.mark.timeout(60)

no_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


# -- liveness --------------------------------------------------------------------------------------


def test_a_token_is_taken_before_a_thread() -> None:
    """One worker, one token: the second sibling takes the token and then waits for the thread,
    which waits below the first sibling for the token. docs/bridge/calls.md tells why the token
    comes first; such a wait ends with an error, and the others go on.
    """
    lines = run_program(
        """
        import logging
        logging.getLogger("bridgekit").disabled = True
        to_thread.set_max_workers(1)
        limiter = CapacityLimiter(1)
        async def limited():
            return await to_thread.run_sync(int, limiter=limiter)
        def first(loop):
            turned = threading.Event()
            loop.call_soon_threadsafe(turned.set)
            turned.wait(30)  # now the second has begun
            return async_to_sync(limited)()
        async def siblings():
            loop = asyncio.get_running_loop()
            both = to_thread.run_sync(first, loop), limited()
            return await asyncio.gather(*both, return_exceptions=True)
        async def main():
            # No timeout here: with one, the waits could end by themselves.
            outcomes = await to_thread.run_sync(async_to_sync(siblings))
            say(sorted(type(outcome).__name__ for outcome in outcomes))
            say(limiter.borrowed_tokens)
        asyncio.run(main())
        """
    )
    assert lines == ["['DeadlockError', 'int']", "0"]


# -- fork ------------------------------------------------------------------------------------------


@no_fork
@pytest.mark.parametrize("what", ["default", "started", "on a loop"])
def test_a_portal_of_the_parent_refuses_the_child(what: str) -> None:
    """Its loop has no thread in the child: a call must raise, not wait for ever."""
    lines = run_program(
        CHILD
        + f"""
def child():
    try:
        portal.call(native)
    except PortalClosedError:
        say("refused")
    try:
        portal.start_task_soon(native).result(30)
    except PortalClosedError:
        say("refused")
    use_the_bridge()
def share(opened):
    global portal
    portal = opened
    fork(child)
async def on_loop():
    async with BlockingPortal() as opened:
        await to_thread.run_sync(share, opened)
what = {what!r}
if what == "default":
    share(default_portal())
elif what == "started":
    with start_blocking_portal() as opened:
        share(opened)
else:
    asyncio.run(on_loop())
use_the_bridge()
say("parent")
"""
    )
    assert lines == ["refused", "refused", "child in time", "parent"]


@no_fork
def test_a_limiter_that_is_full_in_the_parent_is_free_in_the_child() -> None:
    """Who holds its tokens does not exist in the child and could never give them back."""
    lines = run_program(
        CHILD
        + """
limiter = CapacityLimiter(1)
async def main():
    tasks = [asyncio.create_task(to_thread.run_sync(block, limiter=limiter)) for _ in range(2)]
    while not begun.acquire(blocking=False):
        await asyncio.sleep(0.001)
    await asyncio.to_thread(fork, child)
    release.set()
    await asyncio.gather(*tasks)
async def limited():
    async with asyncio.timeout(30):
        await to_thread.run_sync(int, limiter=limiter)
    assert limiter.borrowed_tokens == 0
def child():
    async_to_sync(limited)()
asyncio.run(main())
assert limiter.borrowed_tokens == 0
say("parent")
"""
    )
    assert lines == ["child in time", "parent"]


def test_the_engines_threads_import_nothing() -> None:
    """What a thread is importing while another one forks stays half imported in the child."""
    lines = run_program(
        """
        class Finder:
            def find_spec(self, name, path=None, target=None):
                thread = threading.current_thread().name
                if name.startswith("bridgekit.") and thread.startswith("bridgekit"):
                    say(thread, "imports", name)
        sys.meta_path.insert(0, Finder())
        to_thread.set_max_workers(1)
        async def queued():
            calls = (to_thread.run_sync(time.sleep, 0.1) for _ in range(2))
            await asyncio.gather(*calls)
            async with ThreadSensitiveContext():
                call = sync_to_async(async_to_sync(native), thread_sensitive=True)
                await asyncio.gather(*(call() for _ in range(5)))
        asyncio.run(queued())
        async_to_sync(queued)()
        say("done")
        """
    )
    assert lines == ["done"]


# -- loops that close ------------------------------------------------------------------------------


def test_calls_that_end_while_their_loop_closes() -> None:
    """The message of a thread meets the end of the loop that it is for."""
    lines = run_program(
        """
        import random
        sys.unraisablehook = lambda what: say("unraisable:", repr(what.exc_value))
        sys.setswitchinterval(1e-6)
        rng = random.Random(1)
        def work(gate, delay):
            gate.wait(30)
            for _ in range(delay):
                pass
        for _ in range(400):
            gate = threading.Event()
            async def main():
                calls = [
                    to_thread.run_sync(work, gate, rng.randrange(3000), abandon_on_cancel=True)
                    for _ in range(6)
                ]
                tasks = [asyncio.create_task(call) for call in calls]
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                gate.set()
            asyncio.run(main())
        say("done")
        """
    )
    assert lines == ["done"]


# -- exit ------------------------------------------------------------------------------------------


def test_exit_with_a_portal_that_was_never_closed() -> None:
    """The interpreter collects the context manager when threads cannot run any more."""
    lines = run_program(
        """
        opened = start_blocking_portal()
        portal = opened.__enter__()
        future = portal.start_task_soon(asyncio.sleep, 60)
        portal.call(native)
        default_portal().start_task_soon(asyncio.sleep, 60)
        default_portal().call(native)
        say("main ends")
        """,
        within=2.0,
    )
    assert lines == ["main ends"]


def test_a_call_leaves_no_reference_cycle() -> None:
    """With the garbage collector off, what the caller's context held is free at once."""
    lines = run_program(
        """
        import weakref
        class Request:
            pass
        variable = contextvars.ContextVar("request")
        async def both():
            return await to_thread.run_sync(async_to_sync(native))
        def through_async_to_sync():
            async_to_sync(both)()
        def through_a_loop():
            asyncio.run(both())
        def through_a_portal():
            default_portal().call(both)
        async def left_behind():
            release = threading.Event()
            call = to_thread.run_sync(release.wait, 5, abandon_on_cancel=True)
            task = asyncio.create_task(call)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])  # nobody takes the exception off the task
            release.set()
        def through_a_cancelled_call():
            asyncio.run(left_behind())
        def through_a_future():
            default_portal().start_task_soon(both).result()
        ways = (through_async_to_sync, through_a_loop, through_a_portal,
                through_a_cancelled_call, through_a_future)
        for way in ways:
            way()
        gc.collect()
        gc.disable()
        for way in ways:
            request = Request()
            watch = weakref.ref(request)
            context = contextvars.copy_context()
            context.run(variable.set, request)
            context.run(way)
            del request, context
            deadline = time.monotonic() + 2
            while watch() and time.monotonic() < deadline:
                time.sleep(0.001)
            say(way.__name__, "kept" if watch() else "free")
            gc.collect()
        """
    )
    assert lines == [
        "through_async_to_sync free",
        "through_a_loop free",
        "through_a_portal free",
        "through_a_cancelled_call free",
        "through_a_future free",
    ]


# -- workers that are struck down ------------------------------------------------------------------

STRUCK = """
import ctypes
class Struck(BaseException):
    pass
threading.excepthook = lambda args: None
to_thread.set_max_workers(1)
def strike(ident):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Struck))
def break_the_tracer():
    def trace(frame, event, arg):
        sys.settrace(None)
        raise Struck
    sys.settrace(trace)
async def tried(function):
    with contextlib.suppress(Struck):
        return await to_thread.run_sync(function, affinity=affinity)
async def main():
    async with asyncio.timeout(10):
        for _ in range(5):
            await hurt()
            # The exception may come up inside the next call, and is then that call's.
            for _ in range(3):
                await tried(int)
        assert await to_thread.run_sync(int, affinity=affinity) == 0
"""


@pytest.mark.parametrize("affinity", ["chain", "context"])
def test_a_worker_struck_while_it_is_idle(affinity: str) -> None:
    """It ends or it goes on; the calls after that find a thread in either case."""
    lines = run_program(
        STRUCK
        + f"affinity = {affinity!r}\n"
        + """
async def hurt():
    strike(await to_thread.run_sync(threading.get_ident, affinity=affinity))
asyncio.run(main())
say("goes on")
"""
    )
    assert lines == ["goes on"]


@pytest.mark.parametrize("affinity", ["chain", "context"])
def test_a_worker_struck_inside_the_engine(affinity: str) -> None:
    """By a debugger's mistake, say: its call must end and the pool must not lose its thread."""
    lines = run_program(
        STRUCK
        + f"affinity = {affinity!r}\n"
        + """
async def hurt():
    await tried(break_the_tracer)
asyncio.run(main())
say("goes on")
"""
    )
    assert lines == ["goes on"]


# -- references ------------------------------------------------------------------------------------


def test_the_portal_loop_does_not_keep_the_context_of_its_first_caller() -> None:
    lines = run_program(
        """
        import weakref
        class Request:
            pass
        variable = contextvars.ContextVar("request")
        def handle(request):
            variable.set(request)
            async_to_sync(native)()
            asyncio.run(to_thread.run_sync(int))
        request = Request()
        watch = weakref.ref(request)
        contextvars.Context().run(handle, request)
        del request
        async_to_sync(native)()
        gc.collect()
        say("kept" if watch() else "free")
        """
    )
    assert lines == ["free"]


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_handler_that_returns_disturbs_nothing() -> None:
    """Also one that uses the bridge itself, on top of the call that it interrupted."""
    lines = run_program(
        """
        hits = []
        def handler(number, frame):
            hits.append(async_to_sync(native)(len(hits)))
            if len(hits) < 200:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + len(hits) % 7 * 0.0001)
        signal.signal(signal.SIGALRM, handler)
        async def both(n):
            return await to_thread.run_sync(async_to_sync(native), n)
        async_to_sync(both)(0)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        done = 0
        while len(hits) < 200:
            assert async_to_sync(both)(done) == done
            done += 1
        assert hits == list(range(200))
        say("undisturbed")
        """
    )
    assert lines == ["undisturbed"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_signals_that_raise_at_any_moment_leave_the_bridge_usable() -> None:
    """A timeout by signal, as test runners have it: it strikes anywhere in the engine."""
    lines = run_program(
        """
        class Strike(BaseException):
            pass
        armed = False
        def handler(number, frame):
            global armed
            if armed:
                armed = False
                raise Strike
        signal.signal(signal.SIGALRM, handler)
        running = set()
        async def counted(n):
            running.add(n)
            try:
                for _ in range(n % 5):
                    await asyncio.sleep(0)
                return await to_thread.run_sync(int, n)
            finally:
                running.discard(n)
        def until_struck(n):
            # A function of its own: CPython 3.13 lets a signal that strikes at the end of a loop's
            # body past the handlers of the `try` that the loop is in (python/cpython#130279).
            while armed:
                assert async_to_sync(counted)(n) == n
        async_to_sync(counted)(0)
        strikes = 0
        delays = [(n % 37 + 1) * 0.00005 for n in range(300)]
        for n, delay in enumerate(delays):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, delay)
                until_struck(n)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Strike:
                strikes += 1
        deadline = time.monotonic() + 10
        while running and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not running, running
        assert strikes > 250, strikes
        assert async_to_sync(counted)(3) == 3
        say("usable")
        """
    )
    assert lines == ["usable"]
