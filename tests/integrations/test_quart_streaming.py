"""Streamed bodies keep their request's context: the same views under Flask and under Quart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import flask
import pytest
import quart
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

import bridgekit.integrations.quart as bridged
from bridgekit.integrations.quart_streaming import StreamedBody
from bridgekit.integrations.sqlalchemy import create_engine, sessionmaker

Log = list[Any]
Define = Callable[[Any, Any, Log], None]

FLASK = SimpleNamespace(
    Response=flask.Response,
    abort=flask.abort,
    g=flask.g,
    request=flask.request,
    session=flask.session,
    stream_with_context=flask.stream_with_context,
)
QUART = SimpleNamespace(
    Response=quart.Response,
    abort=quart.abort,
    g=quart.g,
    request=quart.request,
    session=quart.session,
    stream_with_context=bridged.stream_with_context,
)


def prepared(app: Any, define: Define, web: Any, log: Log) -> Any:
    app.secret_key = "test"
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.teardown_request
    def teardown_request(error: BaseException | None) -> None:
        log.append(("teardown_request", type(error).__name__))

    @app.teardown_appcontext
    def teardown_appcontext(error: BaseException | None) -> None:
        log.append(("teardown_appcontext", type(error).__name__, web.g.get("value")))

    define(app, web, log)
    return app


def under_flask(define: Define, method: str = "GET") -> tuple[int, bytes, Log]:
    log: Log = []
    app = prepared(flask.Flask("flask_app"), define, FLASK, log)
    response = app.test_client().open("/?name=Ada", method=method, buffered=False)
    pieces = bytearray()
    try:
        for piece in response.response:
            pieces += piece
            log.append(("sent", piece))
    except LookupError as error:
        log.append(("broken", str(error)))
    response.close()
    return response.status_code, bytes(pieces), after_the_body(log)


def after_the_body(log: Log) -> Log:
    """The log without the first of two teardowns.

    Flask 3.1.2 and 3.1.3 run the teardown functions when the view has returned and again after the
    last piece; all other versions, and we, only after the last piece.
    """
    teardowns = [entry for entry in log if entry[0].startswith("teardown")]
    for entry in teardowns[:-2]:
        log.remove(entry)
    return log


async def under_quart(define: Define, method: str = "GET") -> tuple[int, bytes, Log]:
    log: Log = []
    app = prepared(bridged.Quart("quart_app"), define, QUART, log)
    exchange = Exchange(app, method, log)
    try:
        await exchange.run()
    except LookupError as error:
        log.append(("broken", str(error)))
    return exchange.status, bytes(exchange.pieces), log


class Exchange:
    """One request against the ASGI application; says in the log when a piece is sent."""

    def __init__(self, app: Any, method: str = "GET", log: Log | None = None) -> None:
        self.app = app
        self.log: Log = [] if log is None else log
        self.status = 0
        self.pieces = bytearray()
        self.sent = asyncio.Event()
        self.gone = asyncio.Event()
        self._asked = False
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"name=Ada",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
        }

    async def run(self) -> None:
        await self.app(self.scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["body"]:
            self.pieces += message["body"]
            self.log.append(("sent", message["body"]))
            self.sent.set()


def wrapped(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"
        web.session["user"] = "ada"

        def pieces() -> Iterator[str]:
            log.append("started")
            yield web.request.args["name"]
            yield web.g.value
            yield web.session["user"]
            log.append("ended")

        return web.Response(web.stream_with_context(pieces()))


def decorated(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"

        @web.stream_with_context
        def pieces(count: int) -> Iterator[str]:
            """Some pieces."""
            for number in range(count):
                yield f"{web.g.value}{number}"

        log.append((pieces.__name__, pieces.__doc__))
        return web.Response(pieces(3))


def returned_bare(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"
        return web.stream_with_context(web.g.value + str(number) for number in range(2))


def returned_with_status(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"
        return web.stream_with_context(iter(["a", "b"])), 203, {"X-Way": "tuple"}


def from_a_list(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        return web.Response(web.stream_with_context(["a", "b"]))


def failing(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"

        def pieces() -> Iterator[str]:
            try:
                yield "first"
                raise LookupError(web.g.value)
            finally:
                log.append("closed")

        return web.Response(web.stream_with_context(pieces()))


def two_bodies(app: Any, web: Any, log: Log) -> None:
    """One body wraps another; both keep the context."""

    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"
        other = web.stream_with_context(iter(["never sent"]))
        log.append(("made", other is not None))

        def pieces() -> Iterator[str]:
            yield web.g.value

        return web.Response(web.stream_with_context(pieces()))


def changed_while_streaming(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        def pieces() -> Iterator[str]:
            web.g.value = 1
            yield "a"
            web.g.value += 1
            yield str(web.g.value)

        return web.Response(web.stream_with_context(pieces()))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "define",
    [
        wrapped,
        decorated,
        returned_bare,
        returned_with_status,
        from_a_list,
        failing,
        two_bodies,
        changed_while_streaming,
    ],
)
async def test_as_under_flask(define: Define) -> None:
    expected = under_flask(define)

    assert await under_quart(define) == expected
    teardowns = [entry for entry in expected[2] if entry[0] == "teardown_appcontext"]
    assert len(teardowns) == 1


def without_context(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"

        def pieces() -> Iterator[str]:
            log.append("started")
            while True:
                yield "piece"

        return pieces()


def text_only(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        return "some text"

    @app.after_request
    def after(response: Any) -> Any:
        log.append(("length", response.content_length))
        return response


def missing(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.abort(404)


@pytest.mark.asyncio
@pytest.mark.parametrize("define", [wrapped, without_context, text_only, missing])
async def test_head_makes_no_body(define: Define) -> None:
    expected = under_flask(define, "HEAD")

    assert await under_quart(define, "HEAD") == expected
    assert expected[1] == b""
    assert "started" not in expected[2]


def replaced_by_an_error(app: Any, web: Any, log: Log) -> None:
    @app.get("/")
    def index() -> Any:
        web.g.value = "kept"

        def pieces() -> Iterator[str]:
            log.append("started")
            yield "never"

        web.stream_with_context(pieces())
        web.abort(418)


def replaced_by_a_hook(app: Any, web: Any, log: Log) -> None:
    wrapped(app, web, log)

    @app.after_request
    def after(response: Any) -> Any:
        return web.Response("instead")


@pytest.mark.asyncio
@pytest.mark.parametrize("define", [replaced_by_an_error, replaced_by_a_hook])
async def test_a_body_that_is_not_sent_still_owes_the_teardown(define: Define) -> None:
    status, body, log = await under_quart(define)

    assert (status, body) == under_flask(define)[:2]
    assert "started" not in log
    assert [entry[0] for entry in log if entry[0].startswith("teardown")] == [
        "teardown_request",
        "teardown_appcontext",
    ]


@pytest.mark.asyncio
async def test_an_asynchronous_generator_has_the_context_too() -> None:
    def define(app: Any, web: Any, log: Log) -> None:
        @app.get("/")
        async def index() -> Any:
            web.g.value = "kept"

            @web.stream_with_context
            async def pieces() -> AsyncIterator[str]:
                yield web.request.args["name"]
                await asyncio.sleep(0)
                yield web.g.value

            return pieces()

    status, body, log = await under_quart(define)

    assert (status, body) == (200, b"Adakept")
    assert log[-2:] == [
        ("teardown_request", "NoneType"),
        ("teardown_appcontext", "NoneType", "kept"),
    ]


def endless(threads: list[int], closed: threading.Event) -> Define:
    def define(app: Any, web: Any, log: Log) -> None:
        @app.get("/")
        def index() -> Any:
            threads.append(threading.get_ident())
            web.g.value = "kept"

            def pieces() -> Iterator[str]:
                try:
                    while True:
                        yield "piece"
                finally:
                    threads.append(threading.get_ident())
                    log.append(("closed", web.g.value))
                    closed.set()

            return web.Response(web.stream_with_context(pieces()))

    return define


@pytest.mark.asyncio
async def test_a_client_that_goes_away_closes_the_generator_on_its_thread() -> None:
    threads: list[int] = []
    closed = threading.Event()
    log: Log = []
    app = prepared(bridged.Quart("quart_app"), endless(threads, closed), QUART, log)
    exchange = Exchange(app)
    request = asyncio.create_task(exchange.run())
    await exchange.sent.wait()
    exchange.gone.set()
    await request

    assert closed.is_set()
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    assert log[-3] == ("closed", "kept")
    assert [entry[0] for entry in log].count("teardown_appcontext") == 1
    assert [entry[0] for entry in log].count("teardown_request") == 1
    # Whether it was in the middle of a piece or between two decides which of these it is.
    assert log[-1][1] in ("GeneratorExit", "CancelledError")
    assert log[-1][2] == "kept"


@pytest.mark.asyncio
async def test_an_asynchronous_generator_is_closed_when_the_client_goes_away() -> None:
    def define(app: Any, web: Any, log: Log) -> None:
        @app.get("/")
        async def index() -> Any:
            web.g.value = "kept"

            async def pieces() -> AsyncIterator[str]:
                try:
                    yield "piece"
                    await asyncio.Event().wait()
                finally:
                    log.append(("closed", web.g.value))

            return web.Response(web.stream_with_context(pieces()))

    log: Log = []
    app = prepared(bridged.Quart("quart_app"), define, QUART, log)
    exchange = Exchange(app)
    request = asyncio.create_task(exchange.run())
    await exchange.sent.wait()
    exchange.gone.set()
    await request

    assert log == [
        ("closed", "kept"),
        ("teardown_request", "CancelledError"),
        ("teardown_appcontext", "CancelledError", "kept"),
    ]


@pytest.mark.asyncio
async def test_a_failing_teardown_leaves_the_other_requests_alone() -> None:
    def define(app: Any, web: Any, log: Log) -> None:
        wrapped(app, web, log)

        @app.teardown_request
        def broken(error: BaseException | None) -> None:
            raise LookupError("teardown")

    log: Log = []
    app = prepared(bridged.Quart("quart_app"), define, QUART, log)
    for _ in range(2):
        exchange = Exchange(app)
        with pytest.raises(LookupError, match="teardown"):
            await exchange.run()
        assert exchange.pieces == b"Adakeptada"
    assert [entry[0] for entry in log].count("teardown_appcontext") == 2


@pytest.mark.asyncio
async def test_concurrent_streams_keep_their_own_contexts() -> None:
    app = bridged.Quart("quart_app")
    both = threading.Barrier(2, timeout=10)

    @app.get("/<name>")
    def index(name: str) -> Any:
        quart.g.name = name

        def pieces() -> Iterator[str]:
            for _ in range(5):
                both.wait()
                yield quart.g.name

        return quart.Response(bridged.stream_with_context(pieces()))

    client = app.test_client()
    replies = await asyncio.gather(client.get("/a"), client.get("/b"))
    assert [await reply.get_data() for reply in replies] == [b"aaaaa", b"bbbbb"]


@pytest.mark.parametrize("web", [FLASK, QUART], ids=["flask", "quart"])
def test_outside_a_request(web: Any) -> None:
    with pytest.raises(RuntimeError, match="request context is active"):
        web.stream_with_context(iter(()))
    # A decorated function is refused when it is called, not before.
    function = web.stream_with_context(lambda: iter(()))
    with pytest.raises(RuntimeError, match="request context is active"):
        function()


@pytest.mark.asyncio
async def test_a_request_context_of_a_test_tears_down_itself() -> None:
    app = bridged.Quart("quart_app")
    log: Log = []
    app.teardown_appcontext(lambda error: log.append("teardown"))

    async with app.test_request_context("/?name=Ada"):
        quart.g.value = "kept"
        body = bridged.stream_with_context(iter([quart.request.args["name"]]))
        assert isinstance(body, StreamedBody)
        assert [piece async for piece in body] == ["Ada"]
    assert log == ["teardown"]
    await body.aclose()
    assert log == ["teardown"]


@pytest.mark.asyncio
async def test_a_client_that_keeps_the_context_defers_the_teardown() -> None:
    log: Log = []
    app = prepared(bridged.Quart("quart_app"), wrapped, QUART, log)

    async with app.test_client() as client:
        reply = await client.get("/?name=Ada")
        assert await reply.get_data() == b"Adakeptada"
        assert quart.g.value == "kept"
        assert quart.session["user"] == "ada"
        assert log == ["started", "ended"]
    assert log[2:] == [
        ("teardown_request", "NoneType"),
        ("teardown_appcontext", "NoneType", "kept"),
    ]


@pytest.mark.asyncio
async def test_a_connection_of_the_view_serves_its_generator() -> None:
    """``sqlite3`` refuses every other thread, so all of it has to be the thread of the request."""
    app = bridged.Quart("quart_app")
    closed: Log = []

    @app.teardown_appcontext
    def close_db(error: BaseException | None) -> None:
        db = quart.g.pop("db", None)
        if db is not None:
            db.close()
            closed.append(error)

    @app.get("/")
    def index() -> Any:
        quart.g.db = sqlite3.connect(":memory:")
        quart.g.db.execute("create table t (x)")
        quart.g.db.executemany("insert into t values (?)", [(1,), (2,), (3,)])

        def rows() -> Iterator[str]:
            for (value,) in quart.g.db.execute("select x from t order by x"):
                yield f"{value};"

        return quart.Response(bridged.stream_with_context(rows()))

    reply = await app.test_client().get("/")
    assert await reply.get_data() == b"1;2;3;"
    assert closed == [None]


@pytest.mark.asyncio
@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_session_of_the_view_serves_its_generator(colour: str, tmp_path: Path) -> None:
    app = bridged.Quart("quart_app")
    engine = create_engine(f"sqlite:///{tmp_path}/t.db", poolclass=QueuePool)
    maker = sessionmaker(engine)
    during: list[int] = []
    statement = text("select value from json_each('[1, 2, 3]')")

    if colour == "sync":

        @app.teardown_appcontext
        def close(error: BaseException | None) -> None:
            quart.g.session.close()

        @app.get("/")
        def index() -> Any:
            quart.g.session = maker()

            def rows() -> Iterator[str]:
                for (value,) in quart.g.session.execute(statement):
                    during.append(engine.pool.checkedout())  # type: ignore[attr-defined]
                    yield f"{value};"

            return quart.Response(bridged.stream_with_context(rows()))

    else:

        @app.teardown_appcontext
        async def close_async(error: BaseException | None) -> None:
            await quart.g.session.aio.close()

        @app.get("/")
        async def index_async() -> Any:
            quart.g.session = maker()

            @bridged.stream_with_context
            async def rows() -> AsyncIterator[str]:
                for (value,) in await quart.g.session.aio.execute(statement):
                    during.append(engine.pool.checkedout())  # type: ignore[attr-defined]
                    yield f"{value};"

            return quart.Response(rows())

    reply = await app.test_client().get("/")
    assert await reply.get_data() == b"1;2;3;"
    assert during == [1, 1, 1]
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    await engine.aio.dispose()


def test_the_modules_under_comparison_are_the_real_ones() -> None:
    module: ModuleType = bridged
    assert module.stream_with_context is not quart.stream_with_context
    assert issubclass(bridged.Quart, quart.Quart)
