"""The current span of OpenTelemetry survives every crossing, and children find their parents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.context import attach, detach, get_current, set_value
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer, get_current_span

from bridgekit import (
    ThreadSensitiveContext,
    async_context_manager,
    async_iterator,
    async_to_sync,
    from_thread,
    start_blocking_portal,
    suspending,
    sync_context_manager,
    sync_iterator,
    sync_to_async,
    to_thread,
)

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@pytest.fixture(params=BACKENDS)
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def run(func: Callable[..., Awaitable[Any]]) -> Any:
        return anyio.run(func, **BACKENDS[request.param])

    return run


class Trace:
    """Spans in memory, and who is whose parent."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("test")

    def paths(self) -> set[str]:
        """Every span as its chain of names from the root."""
        spans = {
            span.context.span_id: span
            for span in self._exporter.get_finished_spans()
            if span.context is not None
        }

        def path(span: ReadableSpan) -> str:
            above = f"{path(spans[span.parent.span_id])}/" if span.parent else ""
            return above + span.name

        return {path(span) for span in spans.values()}


@pytest.fixture
def trace() -> Trace:
    return Trace()


def test_a_chain_that_crosses_four_times_is_one_chain_of_spans(
    run: Callable[..., Any], trace: Trace
) -> None:
    start = trace.tracer.start_as_current_span

    def leaf() -> None:
        with start("leaf"):
            pass

    async def inner() -> None:
        with start("inner"):
            await to_thread.run_sync(leaf)

    def middle() -> None:
        with start("middle"):
            async_to_sync(inner)()
            from_thread.run(inner)

    async def main() -> None:
        with start("root"):
            await sync_to_async(middle)()
            async with ThreadSensitiveContext():
                await to_thread.run_sync(leaf, affinity="context")

    run(main)
    assert trace.paths() == {
        "root",
        "root/middle",
        "root/middle/inner",
        "root/middle/inner/leaf",
        "root/leaf",
    }


def test_from_plain_code_through_the_portal_loop(trace: Trace) -> None:
    start = trace.tracer.start_as_current_span

    async def inner(name: str) -> None:
        with start(name):
            await asyncio.sleep(0)

    with start("root"), start_blocking_portal() as portal:
        async_to_sync(inner)("bridge")
        portal.call(inner, "portal")
        portal.start_task_soon(inner, "task").result()
        before = get_current_span()
        assert before is get_current_span()
    assert trace.paths() == {"root", "root/bridge", "root/portal", "root/task"}


def test_concurrent_calls_keep_their_own_spans(run: Callable[..., Any], trace: Trace) -> None:
    start = trace.tracer.start_as_current_span

    def work() -> None:
        with start("work"):
            pass

    async def request(number: int) -> None:
        with start(f"request{number}") as span:
            for _ in range(3):
                await to_thread.run_sync(work)
                assert get_current_span() is span

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(request, number)

    run(main)
    requests = {f"request{number}" for number in range(20)}
    assert trace.paths() == requests | {f"{name}/work" for name in requests}


def test_iterators_and_managers_keep_the_span(trace: Trace) -> None:
    start = trace.tracer.start_as_current_span

    def items() -> Iterator[int]:
        for number in range(3):
            with start("step"):
                yield number

    async def async_items() -> AsyncIterator[int]:
        with start("source"):
            for number in range(3):
                yield number
                await asyncio.sleep(0)

    @contextmanager
    def session() -> Iterator[None]:
        with start("session"):
            yield

    @asynccontextmanager
    async def async_session() -> AsyncIterator[None]:
        with start("async session"):
            yield

    async def main() -> None:
        with start("async") as span:
            async for _ in async_iterator(items(), strict=True):
                with start("seen"):
                    pass
            async with async_context_manager(session()):
                with start("in session"):
                    pass
            assert get_current_span() is span

    asyncio.run(main())
    with start("sync") as span:
        for _ in sync_iterator(async_items()):
            pass
        with sync_context_manager(async_session()), start("in session"):
            pass
        assert get_current_span() is span
    assert trace.paths() >= {
        "async",
        "async/step",
        "async/step/seen",
        "async/session",
        "async/session/in session",
        "sync",
        "sync/source",
        "sync/async session",
        "sync/async session/in session",
    }


def test_a_suspended_stack_keeps_the_span(run: Callable[..., Any], trace: Trace) -> None:
    pytest.importorskip("greenlet")
    start = trace.tracer.start_as_current_span

    async def inner() -> None:
        with start("inner"):
            await anyio.lowlevel.checkpoint()

    def stack() -> None:
        with start("stack"):
            async_to_sync(inner)()

    async def main() -> None:
        with start("root"):
            await suspending.run_sync(stack)

    run(main)
    assert trace.paths() == {"root", "root/stack", "root/stack/inner"}


def test_attach_and_detach_in_two_calls_need_a_shared_context(run: Callable[..., Any]) -> None:
    async def main() -> None:
        token = await to_thread.run_sync(attach, set_value("key", "value"), context="share")
        assert get_current().get("key") == "value"
        await to_thread.run_sync(detach, token, context="share")
        assert get_current().get("key") is None

    run(main)


def test_a_foreign_thread_brings_its_own_span(trace: Trace) -> None:
    start = trace.tracer.start_as_current_span

    async def inner() -> None:
        with start("inner"):
            await asyncio.sleep(0)

    def job(number: int) -> None:
        with start(f"job{number}"):
            async_to_sync(inner)()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(job, range(8)))
    jobs = {f"job{number}" for number in range(8)}
    assert trace.paths() == jobs | {f"{name}/inner" for name in jobs}
