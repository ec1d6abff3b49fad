"""Fork, interpreter exit, Ctrl-C and import: each in a process of its own."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from tests.bridge.stopwatch import Stopwatch

from bridgekit import set_exit_timeout
from bridgekit.engine import process as process_module


def start(code: str, **kwargs: object) -> subprocess.Popen[str]:
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,  # type: ignore[call-overload]
    )
    return process


def finish(process: subprocess.Popen[str], timeout: float = 60) -> tuple[str, str]:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the process hung; it printed {out!r} and {err!r}")
    return out, err


def run(code: str) -> str:
    process = start(code)
    out, err = finish(process)
    assert process.returncode == 0, err
    assert err == ""
    return out


def test_exit_closes_in_order() -> None:
    out = run(
        """
        import asyncio
        from bridgekit import async_to_sync, default_portal, to_thread
        tasks = []
        async def forever():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                print("task cancelled", flush=True)
        async def numbers():
            try:
                yield 1
            finally:
                await asyncio.sleep(0)
                print("generator closed", flush=True)
        async def begin():
            tasks.append(asyncio.create_task(forever()))
            tasks.append(numbers())
            await tasks[1].__anext__()
            await to_thread.run_sync(int)
        async def close():
            await asyncio.sleep(0)
            print("resource closed", flush=True)
        async_to_sync(begin)()
        default_portal().at_close(close)
        print("main ends", flush=True)
        """
    )
    lines = out.splitlines()
    assert lines[:2] == ["main ends", "task cancelled"]
    assert sorted(lines[2:]) == ["generator closed", "resource closed"]


def test_exit_comes_before_the_wait_for_library_threads() -> None:
    """A database driver's thread, which is not a daemon, ends only when its engine is closed."""
    out = run(
        """
        import threading
        from bridgekit import default_portal
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        async def close():
            stop.set()
        default_portal().at_close(close)
        print("main ends")
        """
    )
    assert out == "main ends\n"


def test_exit_waits_for_foreground_threads_in_a_call() -> None:
    out = run(
        """
        import asyncio, threading
        from bridgekit import async_to_sync
        begun = threading.Event()
        async def slow():
            begun.set()
            await asyncio.sleep(0.2)
            return "finished"
        def call():
            print(async_to_sync(slow)())
            print(async_to_sync(slow)())
        threading.Thread(target=call).start()
        begun.wait()
        """
    )
    assert out == "finished\nfinished\n"


def test_exit_is_bounded_when_a_task_will_not_end() -> None:
    process = start(
        """
        import asyncio
        from bridgekit import async_to_sync, set_exit_timeout
        set_exit_timeout(0.3)
        tasks = []
        async def stubborn():
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    print("refused", flush=True)
        async def begin():
            tasks.append(asyncio.create_task(stubborn()))
            await asyncio.sleep(0)
        async_to_sync(begin)()
        """
    )
    out, err = finish(process)
    assert process.returncode == 0
    assert out == "refused\n"
    assert err.count("did not end within 0.3 seconds") == 1


STUBBORN = """
    import asyncio
    from bridgekit import async_to_sync
    tasks = []
    async def stubborn():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
    async def begin():
        tasks.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)
    async_to_sync(begin)()
"""


def test_exit_takes_two_seconds_at_most() -> None:
    process = start(STUBBORN + "    print('exit', flush=True)")
    assert process.stdout is not None
    assert process.stdout.readline() == "exit\n"
    took = Stopwatch(process.pid).measure_exit(process, 60)
    _, err = finish(process)
    assert "did not end within 2.0 seconds" in err
    assert took < 3.5  # and not twice as long


def test_the_environment_says_how_long_exit_may_take() -> None:
    prelude = "    import os\n    os.environ['BRIDGEKIT_EXIT_SECONDS'] = '0.1'"
    _, err = finish(start(prelude + STUBBORN))
    assert "did not end within 0.1 seconds" in err


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon"])
def test_the_exit_timeout_must_be_a_number_of_seconds(value: Any) -> None:
    before = process_module.exit_timeout()
    with pytest.raises(ValueError, match="number of seconds"):
        set_exit_timeout(value)
    assert process_module.exit_timeout() == before


def test_exit_with_a_worker_that_is_still_busy() -> None:
    out = run(
        """
        import asyncio, threading
        from bridgekit import to_thread
        async def main():
            begun = threading.Event()
            def work():
                begun.set()
                threading.Event().wait()
            task = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
        asyncio.run(main())
        print("left")
        """
    )
    assert out == "left\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("place", ["plain", "worker", "lane", "context"])
def test_fork(place: str) -> None:
    affinity = "context" if place == "context" else "chain"
    out = run(
        f"""
        import asyncio, os, warnings
        warnings.simplefilter("ignore")
        from bridgekit import async_to_sync, to_thread
        async def native(n):
            await asyncio.sleep(0)
            return await to_thread.run_sync(lambda: n + 1, affinity={affinity!r})
        call = async_to_sync(native)
        async def loop_in_child():
            return await native(20)
        def fork():
            assert call(0) == 1
            pid = os.fork()
            if not pid:
                try:
                    first = call(1)
                    second = asyncio.run(loop_in_child())
                    os.write(1, f"child {{first}} {{second}}\\n".encode())
                finally:
                    os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            os.write(1, f"parent {{call(2)}}\\n".encode())
        async def bridged():
            await to_thread.run_sync(fork)
        call(0)
        places = {{"worker": lambda: asyncio.run(bridged()), "lane": async_to_sync(bridged)}}
        places.get({place!r}, fork)()
        """
    )
    assert out == "child 2 21\nparent 3\n"


CTRL_C = """
    import asyncio, signal, sys, threading
    from bridgekit import async_to_sync, to_thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async def wait():
        print("ready", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            print("coroutine cancelled", flush=True)
            raise
    async def stubborn():
        print("ready", flush=True)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("again", flush=True)
    async def nested():
        await to_thread.run_sync(async_to_sync(wait))
    async def fine():
        await asyncio.sleep(0)
        return "still usable"
    try:
        async_to_sync({function})()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(async_to_sync(fine)(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("function", ["wait", "nested"])
def test_ctrl_c_cancels_the_coroutine_first(function: str) -> None:
    process = start(CTRL_C.format(function=function))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == ["coroutine cancelled", "interrupted", "still usable"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_ctrl_c_does_not_wait() -> None:
    code = CTRL_C.format(function="stubborn") + "    import os; os._exit(0)\n"
    process = start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "again\n"
    process.send_signal(signal.SIGINT)
    out, _ = finish(process)
    assert process.returncode == 0
    assert out.splitlines() == ["interrupted", "still usable"]


def test_a_forked_server_worker_exits_in_order() -> None:
    """A pre-forking server: each child has its own portal and closes what belongs to it."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    out = run(
        """
        import os, sys, warnings
        warnings.simplefilter("ignore")
        from bridgekit import async_to_sync, default_portal
        async def close(name):
            os.write(1, f"{name} closed\\n".encode())
        default_portal().at_close(lambda: close("parent"))
        pid = os.fork()
        if not pid:
            default_portal().at_close(lambda: close("child"))
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert out == "child closed\nparent closed\n"


def test_importing_is_light() -> None:
    out = run(
        """
        import sys
        before = set(sys.modules)
        import bridgekit
        heavy = {"libcst", "typer", "rich", "httpx", "httpx2", "flask", "quart", "click",
                 "sqlalchemy", "aiohttp", "anyio", "asgiref", "requests", "trio", "uvloop"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert out == "[]\n"


def test_importing_costs_little_more_than_asyncio() -> None:
    def cost(module: str) -> float:
        code = (
            f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        )
        return statistics.median(float(run(code)) for _ in range(5))

    assert cost("bridgekit") < 2.0 * cost("asyncio") + 0.02
