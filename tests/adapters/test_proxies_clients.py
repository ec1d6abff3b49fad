"""Proxies of clients that people use: sqlite3, queues, httpx, smtplib, and a fake of a store."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import queue
import smtplib
import socketserver
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any

import httpx
import pytest

from bridgekit import LoopThreadError, start_blocking_portal, to_thread
from bridgekit.adapters.proxies import SyncProxy, async_proxy, sync_proxy, unwrap

# ---- synchronous clients in asynchronous code


def test_sqlite() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as one_thread:  # the connection belongs to the thread it is
            Connection = async_proxy(  # made on, as sqlite3 has it by default
                sqlite3.Connection, wrap={sqlite3.Cursor}, executor=one_thread
            )
            connection = await Connection.create(":memory:")
            await connection.execute("create table t (n integer)")
            async with connection as entered:
                assert entered is connection
                many = [(n,) for n in range(5)]
                await connection.executemany("insert into t values (?)", many)
            with contextlib.suppress(ZeroDivisionError):
                async with connection:
                    await connection.execute("insert into t values (99)")
                    raise ZeroDivisionError
            cursor = await connection.execute("select n from t order by n")
            assert isinstance(cursor, sqlite3.Cursor)
            assert cursor.description[0][0] == "n"
            seen = []
            async for (n,) in cursor:
                seen.append(n)
                if n == 1:
                    break
            assert await cursor.fetchall() == [(2,), (3,), (4,)]
            assert seen == [0, 1]
            assert connection.total_changes == 6
            await connection.close()
            with pytest.raises(sqlite3.ProgrammingError):
                await connection.execute("select 1")

    asyncio.run(main())


def test_a_blocking_queue() -> None:
    async def main() -> None:
        waiting = async_proxy(queue.Queue, plain={"qsize", "empty", "full"})(1)
        await waiting.put("a")
        assert waiting.full()
        _, first = await asyncio.gather(waiting.put("b"), waiting.get())
        assert (first, await waiting.get()) == ("a", "b")
        with pytest.raises(queue.Empty):
            await waiting.get_nowait()

    asyncio.run(main())


def text(request: httpx.Request) -> httpx.Response:
    assert request.url.host == "service"
    return httpx.Response(200, text="one\ntwo\n", headers={"x-thread": str(threading.get_ident())})


def test_httpx_client_in_asynchronous_code() -> None:
    async def main() -> None:
        Client = async_proxy(httpx.Client, wrap={httpx.Response}, plain={"Response.json"})
        async with Client(transport=httpx.MockTransport(text), base_url="http://service") as client:
            assert isinstance(client, httpx.Client)
            response = await client.get("/")
            assert isinstance(response, httpx.Response)
            assert response.status_code == 200
            assert response.headers["x-thread"] != str(threading.get_ident())
            async with client.stream("GET", "/") as stream:
                assert [line async for line in stream.iter_lines()] == ["one", "two"]
        assert client.is_closed

    asyncio.run(main())


class Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def mail() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[0], server.server_address[1]  # type: ignore[misc]
        server.shutdown()
        thread.join()


def test_smtplib(mail: tuple[str, int]) -> None:
    async def main() -> None:
        SMTP = async_proxy(smtplib.SMTP)
        async with await SMTP.create(*mail) as client:
            assert await client.noop() == (250, b"fine")
            assert client.ehlo_resp is None
        assert client.sock is None

    asyncio.run(main())


class Store:
    """A client in the style of redis-py: pipelines, a scan, subscriptions by a generator."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.events: list[str] = []

    def set(self, key: str, value: str) -> bool:
        self.data[key] = value
        return True

    def get(self, key: str) -> str | None:
        return self.data.get(key)

    def scan(self) -> Iterator[str]:
        try:
            yield from sorted(self.data)
        finally:
            self.events.append("scan closed")

    @contextmanager
    def pipeline(self) -> Iterator[Store]:
        self.events.append("begin")
        try:
            yield self
        except KeyError:
            self.events.append("swallowed")
        finally:
            self.events.append("end")

    def lock(self) -> Lock:
        return Lock(self)


class Lock:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.thread = 0

    def __enter__(self) -> str:
        self.thread = threading.get_ident()
        return "held"

    def __exit__(self, *exc: object) -> None:
        self.store.events.append(f"same thread: {self.thread == threading.get_ident()}")


def test_a_store() -> None:
    async def main() -> None:
        store = async_proxy(Store(), context_managers={"lock"})
        assert await store.set("b", "2")
        assert await store.set("a", "1")
        assert [key async for key in store.scan()] == ["a", "b"]
        scan = store.scan()
        assert await anext(scan) == "a"
        await scan.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(scan)
        async with store.pipeline() as inner:
            assert inner is store
            raise KeyError
        async with store.lock() as value:
            assert value == "held"
        assert store.events[:2] == ["scan closed"] * 2
        assert store.events[2:] == ["begin", "swallowed", "end", "same thread: True"]

    asyncio.run(main())


def test_paths(tmp_path: pathlib.Path) -> None:
    """``pathlib.Path(...)`` makes an object of a subclass."""

    async def main() -> None:
        Path = async_proxy(pathlib.Path, iterators={"iterdir"}, plain={"with_suffix"})
        path = Path(tmp_path)
        assert isinstance(path, Path)
        await (path / "a.txt").write_text("text")
        (child,) = [child async for child in path.iterdir()]
        assert isinstance(child, Path)
        assert isinstance(child, pathlib.Path)
        assert await child.read_text() == "text"
        assert child.with_suffix(".md").name == "a.md"
        assert await (await Path.cwd()).is_dir()
        assert "read_text" in vars(type(child))
        assert "write_text" in vars(type(path / "b"))

    asyncio.run(main())


def test_a_lock_is_left_by_the_task_that_entered_it() -> None:
    """``threading.RLock`` refuses to be released by another thread than the one that took it."""

    async def main() -> None:
        lock = async_proxy(threading.RLock())
        inside: list[str] = []

        async def use(name: str) -> None:
            async with lock, lock:
                inside.append(name)
                await asyncio.sleep(0)
                inside.append(name)

        await asyncio.wait_for(asyncio.gather(use("a"), use("b")), 30)
        assert inside in (list("aabb"), list("bbaa"))
        with pytest.raises(RuntimeError, match="not been entered"):
            await lock.__aexit__(None, None, None)

    asyncio.run(main())


def test_iterators_hand_over_one_item_at_a_time_when_strict() -> None:
    class Counter:
        made = 0

        def count(self) -> Iterator[int]:
            for n in range(5):
                self.made += 1
                yield n

    async def main() -> None:
        counter = async_proxy(Counter(), strict=True)
        async for n in counter.count():
            assert counter.made == n + 1
        ahead = async_proxy(Counter())
        assert [n async for n in ahead.count()] == list(range(5))

    asyncio.run(main())


def test_items_and_entered_values_become_proxies() -> None:
    class Owner:
        def parts(self) -> Iterator[Store]:
            yield Store()

        @contextmanager
        def part(self) -> Iterator[Store]:
            yield Store()

    async def main() -> None:
        owner = async_proxy(Owner(), wrap={Store})
        async for part in owner.parts():
            assert await part.set("a", "b")
        async with owner.part() as part:
            assert await part.set("a", "b")

    asyncio.run(main())


def test_a_generator_takes_values_and_exceptions() -> None:
    class Talker:
        def talk(self) -> Generator[str, str, None]:
            heard = yield "ready"
            while True:
                try:
                    heard = yield f"heard {heard}"
                except KeyError:
                    yield "caught"
                    return

    async def main() -> None:
        talk = async_proxy(Talker(), strict=True).talk()
        assert await anext(talk) == "ready"
        assert await talk.asend("x") == "heard x"
        assert await talk.athrow(KeyError()) == "caught"
        assert await anext(talk, None) is None

    asyncio.run(main())


# ---- asynchronous clients in synchronous code


async def text_async(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(0)
    return text(request)


def test_httpx_client_in_synchronous_code() -> None:
    Client = sync_proxy(httpx.AsyncClient, wrap={httpx.Response}, plain={"json"})
    with Client(transport=httpx.MockTransport(text_async), base_url="http://service") as client:
        assert isinstance(client, httpx.AsyncClient)
        assert isinstance(client, SyncProxy)
        response = client.get("/")
        assert response.status_code == 200
        with client.stream("GET", "/") as stream:
            assert list(stream.aiter_lines()) == ["one", "two"]
    assert client.is_closed


def test_an_asynchronous_queue_from_several_threads() -> None:
    waiting = sync_proxy(asyncio.Queue, plain={"qsize"})(1)
    got: list[int] = []
    taker = threading.Thread(target=lambda: got.extend(waiting.get() for _ in range(20)))
    taker.start()
    for n in range(20):
        waiting.put(n)
    taker.join(30)
    assert got == list(range(20))
    assert waiting.qsize() == 0
    with pytest.raises(asyncio.QueueEmpty):
        waiting.get_nowait()


class AsyncStore:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events: list[str] = []
        self.task: asyncio.Task[Any] | None = None

    def get(self, key: str) -> Awaitable[str]:
        async def found() -> str:
            assert asyncio.get_running_loop() is self.loop
            return key

        return found()

    def on_loop(self) -> bool:
        return asyncio.get_running_loop() is self.loop

    def here(self) -> int:
        return threading.get_ident()

    async def scan(self) -> AsyncIterator[int]:
        try:
            for n in range(3):
                await asyncio.sleep(0)
                yield n
        finally:
            self.events.append("closed")

    @property
    async def size(self) -> int:
        return 3

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncStore]:
        self.events.append("begin")
        try:
            yield self
        except KeyError:
            self.events.append("swallowed")

    def __aiter__(self) -> AsyncIterator[int]:
        return self.scan()

    async def __aenter__(self) -> AsyncStore:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        self.events.append("left")
        return exc_type is KeyError

    async def __call__(self, x: int) -> int:
        return x + 1


SyncStore = sync_proxy(AsyncStore, plain={"here"}, awaited={"size"})


def test_an_asynchronous_store() -> None:
    with SyncStore() as store:
        assert isinstance(store, AsyncStore)
        assert isinstance(store, SyncStore)
        assert store.get("a") == "a"
        assert store.on_loop()
        assert store.here() == threading.get_ident()
        assert store.size == 3
        assert store(1) == 2
        assert list(store) == [0, 1, 2]
        scan = store.scan()
        assert next(scan) == 0
        scan.close()
        assert next(scan, None) is None
        assert store.events == ["closed"] * 2
        with store.session() as inner:
            assert inner is store
            raise KeyError
        assert store.events[2:] == ["begin", "swallowed"]
        raise KeyError
    assert store.events[4:] == ["left"]


def test_waiting_on_a_loop_is_refused_with_the_name() -> None:
    store = SyncStore()

    async def main() -> None:
        with pytest.raises(LoopThreadError, match=r"AsyncStore\.get"):
            store.get("a")
        assert store.here() == threading.get_ident()

    asyncio.run(main())


def test_a_worker_comes_back_to_its_own_loop() -> None:
    async def main() -> None:
        store = AsyncStore()
        assert await to_thread.run_sync(sync_proxy(store).get, "x") == "x"

    asyncio.run(main())


def test_a_portal_of_ones_own() -> None:
    with start_blocking_portal() as portal:
        store = sync_proxy(AsyncStore, portal=portal)()
        other = SyncStore()
        assert unwrap(store).loop is not unwrap(other).loop
        assert store.get("a") == "a"
        assert list(store.scan()) == [0, 1, 2]
        with store.session():
            pass
