"""The Quart integration: what is still synchronous works, each request on one thread."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import click
import pytest
import quart
from click.testing import Result

from bridgekit import LoopThreadError, async_to_sync, to_thread
from bridgekit.engine import on_loop_close
from bridgekit.integrations.quart import Quart, with_appcontext


@pytest.fixture
def app() -> Quart:
    app = Quart("quart_app")
    app.secret_key = "test"
    return app


def get_db() -> sqlite3.Connection:
    """A connection for the context, bound to its thread as sqlite3 demands."""
    if "db" not in quart.g:
        quart.g.db = sqlite3.connect(":memory:")
    return quart.g.db  # type: ignore[no-any-return]


def use_database(app: Quart, closed: list[int]) -> None:
    @app.teardown_appcontext
    def close_db(error: BaseException | None = None) -> None:
        db = quart.g.pop("db", None)
        if db is not None:
            db.close()
            closed.append(threading.get_ident())


@pytest.mark.asyncio
async def test_sync_code_of_one_request_shares_a_thread(app: Quart) -> None:
    seen: list[int] = []
    use_database(app, seen)

    @app.before_request
    def before() -> None:
        seen.append(threading.get_ident())
        get_db().execute("create table t (x)")

    @app.get("/")
    def index() -> str:
        seen.append(threading.get_ident())
        return str(get_db().execute("select count(*) from t").fetchone()[0])

    @app.after_request
    def after(response: quart.Response) -> quart.Response:
        seen.append(threading.get_ident())
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        seen.append(threading.get_ident())

    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "0"
    assert len(seen) == 5
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


@pytest.mark.asyncio
async def test_concurrent_requests_have_threads_of_their_own(app: Quart) -> None:
    both = threading.Barrier(2, timeout=10)

    @app.get("/")
    def index() -> str:
        both.wait()  # passes only if both requests are in their views at the same time
        return str(threading.get_ident())

    client = app.test_client()
    responses = await asyncio.gather(client.get("/"), client.get("/"))
    assert len({await response.get_data() for response in responses}) == 2


@pytest.mark.asyncio
async def test_context_variables_come_back_from_sync_hooks(app: Quart) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    @app.before_request
    def choose() -> None:
        tenant.set("acme")

    @app.get("/")
    async def index() -> str:
        return tenant.get()

    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "acme"


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["generator", "response", "app response", "async view"])
async def test_sync_generator_body_stays_on_the_request_thread(app: Quart, form: str) -> None:
    threads: list[int] = []
    use_database(app, threads)

    def body() -> Any:
        threads.append(threading.get_ident())

        def rows() -> Iterator[str]:
            db = sqlite3.connect(":memory:")
            try:
                for number in range(3):
                    threads.append(threading.get_ident())
                    yield str(db.execute("select ?", (number,)).fetchone()[0])
            finally:
                db.close()
                threads.append(threading.get_ident())

        if form == "generator":
            return rows()
        return (quart.Response if form == "response" else app.response_class)(rows())

    async def native() -> Any:
        return await to_thread.run_sync(body, affinity="context")

    app.add_url_rule("/", view_func=native if form == "async view" else body)
    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "012"
    assert len(threads) == 5
    assert len(set(threads)) == 1


@pytest.mark.asyncio
async def test_sync_error_handler_and_facade_in_a_sync_view(app: Quart) -> None:
    async def load(number: int) -> int:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
        return number * 2

    @app.get("/<int:number>")
    def show(number: int) -> str:
        if not number:
            raise LookupError("nothing")
        return str(async_to_sync(load)(number))

    @app.errorhandler(LookupError)
    def missing(error: LookupError) -> tuple[str, int]:
        return str(error), 404

    loop = asyncio.get_running_loop()
    client = app.test_client()
    assert await (await client.get("/4")).get_data(as_text=True) == "8"
    response = await client.get("/0")
    assert (response.status_code, await response.get_data(as_text=True)) == (404, "nothing")


@pytest.mark.asyncio
async def test_app_context_and_its_teardown_share_a_thread(app: Quart) -> None:
    closed: list[int] = []
    use_database(app, closed)
    async with app.app_context():
        db = await to_thread.run_sync(get_db, affinity="context")
        opened = await to_thread.run_sync(threading.get_ident, affinity="context")
    assert closed == [opened]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        await to_thread.run_sync(db.execute, "select 1", affinity="context")


@pytest.mark.asyncio
async def test_client_block_keeps_the_context_until_its_end(app: Quart) -> None:
    closed: list[int] = []
    opened: list[int] = []
    use_database(app, closed)

    @app.get("/<name>")
    def index(name: str) -> str:
        get_db()
        opened.append(threading.get_ident())
        quart.g.user = name
        quart.session["user"] = name
        return "ok"

    async with app.test_client() as client:
        await client.get("/ann")
        assert quart.g.user == "ann"
        assert quart.session["user"] == "ann"
        assert closed == []
        await client.get("/bob")
        assert quart.g.user == "bob"
        assert quart.request.path == "/bob"
        assert closed == opened[:1]
    assert closed == opened
    assert not quart.has_app_context()
    assert not quart.has_request_context()


@pytest.mark.asyncio
async def test_shutdown_closes_what_belongs_to_the_loop(app: Quart) -> None:
    events: list[str] = []

    @app.before_serving
    async def start() -> None:
        async def close() -> None:
            await asyncio.sleep(0)
            events.append("resource closed")

        on_loop_close(close)

    @app.after_serving
    def stop() -> None:
        events.append("served")

    async with app.test_app() as running:
        await running.test_client().get("/")
        assert events == []
    assert events == ["served", "resource closed"]


def add_commands(app: Quart) -> list[int]:
    threads: list[int] = []
    use_database(app, threads)

    async def lookup(name: str) -> str:
        await asyncio.sleep(0)
        return f"{name} in {quart.current_app.name}"

    @app.cli.command("decorated")
    @click.argument("name")
    def decorated(name: str) -> None:
        get_db()
        threads.append(threading.get_ident())
        click.echo(async_to_sync(lookup)(name))
        assert click.get_current_context().info_name == "decorated"

    @click.command("added")
    def added() -> None:
        click.echo(quart.current_app.name)

    @click.command("marked")
    @with_appcontext
    def marked() -> None:
        click.echo(quart.current_app.name)

    @click.command("passed")
    @click.pass_context
    async def passed(ctx: click.Context) -> None:
        await asyncio.sleep(0)
        click.echo(f"{ctx.info_name} {await lookup('x')}")

    @app.cli.command("coroutine")
    async def coroutine() -> None:
        await asyncio.sleep(0)
        click.echo(quart.current_app.name)

    @app.cli.command("bare", with_appcontext=False)
    def bare() -> None:
        click.echo(str(quart.has_app_context()))

    @app.cli.command("exits")
    def exits() -> None:
        raise SystemExit(3)

    @click.group("group")
    def group() -> None:
        click.echo("group")

    @group.command("inner")
    def inner() -> None:
        click.echo(quart.current_app.name)

    for command in (added, marked, passed, group):
        app.cli.add_command(command)
    return threads


COMMANDS = [
    (["decorated", "ann"], 0, "ann in quart_app\n"),
    (["added"], 0, "quart_app\n"),
    (["marked"], 0, "quart_app\n"),
    (["passed"], 0, "passed x in quart_app\n"),
    (["coroutine"], 0, "quart_app\n"),
    (["bare"], 0, "False\n"),
    (["exits"], 3, ""),
    (["group", "inner"], 0, "group\nquart_app\n"),
]


def check(result: Result, exit_code: int, output: str) -> None:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.exit_code, result.output) == (exit_code, output)


class TestCommands:
    @pytest.mark.parametrize(("arguments", "exit_code", "output"), COMMANDS)
    def test_from_synchronous_code(
        self, app: Quart, arguments: list[str], exit_code: int, output: str
    ) -> None:
        threads = add_commands(app)
        for _ in range(2):  # looking a command up twice must not wrap it twice
            check(app.test_cli_runner().invoke(args=arguments), exit_code, output)
        assert set(threads) <= {threading.get_ident()}

    @pytest.mark.parametrize(("arguments", "exit_code", "output"), COMMANDS)
    @pytest.mark.asyncio
    async def test_from_asynchronous_code(
        self, app: Quart, arguments: list[str], exit_code: int, output: str
    ) -> None:
        threads = add_commands(app)
        runner = app.test_cli_runner()
        check(await to_thread.run_sync(runner.invoke, args=arguments), exit_code, output)
        # The command and the teardown that closed its connection ran on the same thread.
        assert len(set(threads)) <= 1
        assert threading.get_ident() not in threads

    @pytest.mark.asyncio
    async def test_waiting_on_the_loop_thread_is_refused(self, app: Quart) -> None:
        add_commands(app)
        with pytest.raises(LoopThreadError, match=r"await to_thread\.run_sync"):
            app.test_cli_runner().invoke(args=["added"])


@pytest.mark.asyncio
async def test_async_generator_body_is_left_alone(app: Quart) -> None:
    @app.get("/")
    async def index() -> AsyncIterator[str]:
        async def rows() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0)
                yield str(number)

        return rows()

    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "012"


@pytest.mark.asyncio
async def test_sync_background_tasks_run_side_by_side(app: Quart) -> None:
    both = threading.Barrier(2, timeout=10)
    closed: list[int] = []
    threads: list[int] = []
    use_database(app, closed)

    def job() -> None:
        get_db()
        both.wait()
        threads.append(threading.get_ident())

    @app.get("/")
    def index() -> str:
        return "ok"

    async with app.test_app() as running:
        await running.test_client().get("/")
        app.add_background_task(job)
        app.add_background_task(job)
        await asyncio.gather(*app.background_tasks)
    assert len(set(threads)) == 2
    assert sorted(closed) == sorted(threads)


@pytest.mark.asyncio
async def test_a_session_is_signed_with_the_key_of_the_moment(app: Quart) -> None:
    @app.get("/set")
    async def put() -> str:
        quart.session["who"] = "ada"
        return "set"

    @app.get("/get")
    async def get() -> str:
        return str(quart.session.get("who"))

    client = app.test_client()
    await client.get("/set")
    assert await (await client.get("/get")).get_data(as_text=True) == "ada"
    app.secret_key = "another"
    assert await (await client.get("/get")).get_data(as_text=True) == "None"
    app.config["SECRET_KEY_FALLBACKS"] = ["test"]
    assert await (await client.get("/get")).get_data(as_text=True) == "ada"
