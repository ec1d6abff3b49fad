"""Exit, signals and missing libraries, each in a process of its own that prints how far it got."""

from __future__ import annotations

import sys
import textwrap

import pytest
from tests.bridge.processes import Program, run_program

pytestmark = pytest.mark.timeout(90)

NO_THREAD = "can't create new thread at interpreter shutdown"


@pytest.fixture(scope="module")
def threads_at_exit() -> bool:
    """Whether this interpreter still starts threads when its exit has begun: 3.12 does not."""
    program = """
        def late():
            try:
                threading.Thread(target=say, args=("started",)).start()
            except RuntimeError as error:
                say(error)
        import atexit
        atexit.register(late)
        """
    lines = run_program(program)
    assert lines in (["started"], [NO_THREAD])
    return lines == ["started"]


# -- exit ------------------------------------------------------------------------------------------

IN_FLIGHT = {
    "a worker is busy": """
        async def main():
            begun = threading.Event()
            def work():
                begun.set()
                threading.Event().wait()
            task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
            await started(begun)
            task.cancel()
        asyncio.run(main())
    """,
    "a worker is busy and others are queued": """
        to_thread.set_max_workers(1)
        begun = threading.Event()
        def work():
            begun.set()
            threading.Event().wait()
        async def main():
            tasks = [
                asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
                for _ in range(5)
            ]
            await started(begun)
            for task in tasks:
                task.cancel()
        asyncio.run(main())
    """,
    "threads wait for coroutines": """
        begun = threading.Semaphore(0)
        async def wait():
            begun.release()
            await asyncio.Event().wait()
        def call():
            with contextlib.suppress(asyncio.CancelledError, PortalClosedError):
                async_to_sync(wait)()
        for _ in range(3):
            threading.Thread(target=call, daemon=True).start()
        for _ in range(3):
            begun.acquire()
    """,
    "a coroutine waits for a worker": """
        begun = threading.Event()
        def work():
            begun.set()
            while True:
                from_thread.check_cancelled()
                time.sleep(0.001)
        async def main():
            await to_thread.run_sync(work)
        def call():
            with contextlib.suppress(asyncio.CancelledError, PortalClosedError):
                async_to_sync(main)()
        threading.Thread(target=call, daemon=True).start()
        begun.wait()
    """,
    "a context thread is busy": """
        begun = threading.Event()
        def work():
            begun.set()
            threading.Event().wait()
        async def main():
            async with ThreadSensitiveContext():
                call = sync_to_async(work, thread_sensitive=True, abandon_on_cancel=True)
                task = asyncio.create_task(call())
                await started(begun)
                task.cancel()
        asyncio.run(main())
    """,
    "tasks on the portal loop": """
        tasks = []
        async def begin():
            tasks.extend(asyncio.create_task(to_thread.run_sync(time.sleep, 0.05))
                         for _ in range(100))
        async_to_sync(begin)()
    """,
}


@pytest.mark.parametrize("state", IN_FLIGHT)
def test_exit_with_calls_in_flight_is_orderly_within_two_seconds(state: str) -> None:
    program = textwrap.dedent(IN_FLIGHT[state]) + 'say("main ends")\n'
    assert run_program(program, within=2.0) == ["main ends"]


@pytest.mark.parametrize("warm", [True, False])
def test_exit_ends_what_the_portal_loop_was_doing(warm: bool, threads_at_exit: bool) -> None:
    """Its clean-up can use threads: those of the pool, and new ones where there are any."""
    lines = run_program(
        f"""
        if {warm}:
            asyncio.run(to_thread.run_sync(int))
        """
        """
        tasks = []
        async def forever():
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    await to_thread.run_sync(say, "cleaned up")
                except RuntimeError as error:
                    say(error)
        async def begin():
            tasks.append(asyncio.create_task(forever()))
            await asyncio.sleep(0)
        async_to_sync(begin)()
        say("main ends")
        """,
        within=2.0,
    )
    assert lines == ["main ends", "cleaned up" if warm or threads_at_exit else NO_THREAD]


@pytest.mark.parametrize("warm", [True, False])
def test_exit_handlers_can_use_the_bridge(warm: bool, threads_at_exit: bool) -> None:
    """Or are told that there are no more threads; the portal has had its own closed by then."""
    lines = run_program(
        f"""
        if {warm}:
            asyncio.run(to_thread.run_sync(int))
        """
        """
        import atexit
        def late():
            for call in (
                lambda: async_to_sync(native)("portal"),
                lambda: default_portal().call(native, "portal"),
                lambda: start_blocking_portal().__enter__().call(native, "portal"),
                lambda: asyncio.run(to_thread.run_sync(str, "pool")),
                lambda: asyncio.run(sync_to_async(str)("pool")),
            ):
                try:
                    say(call())
                except RuntimeError as error:
                    say(error)
        atexit.register(late)
        """
    )
    portal = "portal" if threads_at_exit else NO_THREAD
    pool = "pool" if warm or threads_at_exit else NO_THREAD
    *before, again = lines
    assert before == [portal, portal, portal, pool]
    # The thread that is left may not be idle yet.
    assert again == pool or (again == NO_THREAD and not threads_at_exit)


def test_an_exit_handler_does_not_wait_for_a_busy_worker(threads_at_exit: bool) -> None:
    lines = run_program(
        """
        import atexit
        entered = threading.Event()
        def late():
            try:
                say(asyncio.run(to_thread.run_sync(int)))
            except RuntimeError as error:
                say(error)
        def busy():
            entered.set()
            threading.Event().wait()
        async def leave():
            call = asyncio.create_task(to_thread.run_sync(busy, abandon_on_cancel=True))
            while not entered.is_set():
                await asyncio.sleep(0.001)
            call.cancel()
        atexit.register(late)
        asyncio.run(leave())
        """
    )
    assert lines == ["0" if threads_at_exit else NO_THREAD]


def test_an_exit_request_on_a_worker_is_an_exception_of_its_call() -> None:
    lines = run_program(
        """
        try:
            asyncio.run(to_thread.run_sync(sys.exit, 3))
        except SystemExit as error:
            say("exit", error.code)
        say(asyncio.run(to_thread.run_sync(int)))
        """
    )
    assert lines == ["exit 3", "0"]


# -- Ctrl-C and other signals ----------------------------------------------------------------------

INTERRUPTED = """
signal.signal(signal.SIGINT, signal.default_int_handler)
async def wait():
    say("ready")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        say("cancelled")
        raise
def in_thread():
    async_to_sync(wait)()
async def on_worker():
    # The parked main thread may serve only one of them.
    async with ThreadSensitiveContext():
        await sync_to_async(in_thread, thread_sensitive=True)()
async def deep():
    await to_thread.run_sync(async_to_sync(on_worker))
def on_portal():
    with start_blocking_portal() as portal:
        portal.call(wait)
def default():
    default_portal().call(on_worker)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "call",
    [
        "async_to_sync(wait)",
        "async_to_sync(on_worker)",
        "async_to_sync(deep)",
        "on_portal",
        "default",
    ],
)
def test_ctrl_c_ends_the_coroutine_and_then_the_caller(call: str) -> None:
    program = Program(
        INTERRUPTED
        + f"""
try:
    ({call})()
except KeyboardInterrupt:
    say("interrupted")
assert async_to_sync(native)(1) == 1
assert asyncio.run(to_thread.run_sync(int)) == 0
say("usable")
"""
    )
    try:
        assert program.line() == "ready"
        program.signal()
        lines, err = program.end()
        assert (program.code, err, lines) == (0, "", ["cancelled", "interrupted", "usable"])
    finally:
        program.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_in_asyncio_run_reaches_the_coroutine_of_a_worker() -> None:
    program = Program(
        INTERRUPTED
        + """
async def main():
    await to_thread.run_sync(async_to_sync(wait))
try:
    asyncio.run(main())
except KeyboardInterrupt:
    say("interrupted")
assert async_to_sync(native)(1) == 1
say("usable")
"""
    )
    try:
        assert program.line() == "ready"
        program.signal()
        lines, err = program.end()
        assert (program.code, err, lines) == (0, "", ["cancelled", "interrupted", "usable"])
    finally:
        program.kill()


# -- what is not installed -------------------------------------------------------------------------


def test_without_gevent_and_greenlet() -> None:
    """Neither is needed, nor looked for at import."""
    lines = run_program(
        """
        for name in ("gevent", "greenlet", "uvloop", "trio"):
            assert name not in sys.modules
            sys.modules[name] = None
        async def both():
            return await to_thread.run_sync(async_to_sync(native), 1)
        assert async_to_sync(both)() == 1
        assert asyncio.run(both()) == 1
        say("works")
        """
    )
    assert lines == ["works"]
