"""The Flask integration: asynchronous code of a synchronous application on one loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import click
import flask
import pytest

from bridgekit import default_portal, to_thread
from bridgekit.integrations.flask import Flask


@pytest.fixture
def app() -> Flask:
    app = Flask("flask_app")
    app.secret_key = "test"
    return app


def test_async_views_share_one_loop(app: Flask) -> None:
    loops: set[int] = set()

    @app.get("/")
    async def index() -> str:
        await asyncio.sleep(0)
        loops.add(id(asyncio.get_running_loop()))
        return threading.current_thread().name

    client = app.test_client()
    names = {client.get("/").text for _ in range(3)}
    assert names == {"bridgekit-portal"}
    assert len(loops) == 1
    assert loops == {default_portal().call(lambda: id(asyncio.get_running_loop()))}


def test_contexts_are_visible_and_changes_come_back(app: Flask) -> None:
    seen: list[str] = []

    @app.before_request
    async def load() -> None:
        await asyncio.sleep(0)
        flask.g.user = flask.request.args["user"]

    @app.get("/<int:number>")
    async def show(number: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        flask.session["count"] = flask.session.get("count", 0) + number
        return {"user": flask.g.user, "app": flask.current_app.name, "n": flask.session["count"]}

    @app.after_request
    async def mark(response: flask.Response) -> flask.Response:
        response.headers["X-User"] = flask.g.user
        return response

    @app.teardown_request
    async def forget(error: BaseException | None) -> None:
        seen.append(flask.g.user)

    client = app.test_client()
    assert client.get("/2?user=ann").get_json() == {"user": "ann", "app": "flask_app", "n": 2}
    response = client.get("/3?user=bob")
    assert response.get_json()["n"] == 5
    assert response.headers["X-User"] == "bob"
    assert seen == ["ann", "bob"]


def test_context_variables_set_in_a_hook_reach_the_view(app: Flask) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    @app.before_request
    async def choose() -> None:
        tenant.set("acme")

    @app.get("/")
    def index() -> str:
        return tenant.get()

    assert contextvars.copy_context().run(app.test_client().get, "/").text == "acme"


def test_async_error_handlers(app: Flask) -> None:
    class Broken(Exception):
        pass

    @app.errorhandler(Broken)
    async def handle(error: Broken) -> tuple[str, int]:
        await asyncio.sleep(0)
        return f"broken: {error}", 418

    @app.get("/")
    async def index() -> str:
        await asyncio.sleep(0)
        raise Broken("cup")

    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (418, "broken: cup")


def test_sync_code_of_an_async_view_runs_on_the_request_thread(app: Flask) -> None:
    @app.get("/")
    async def index() -> dict[str, bool]:
        return {"same": await to_thread.run_sync(threading.get_ident) == caller}

    caller = threading.get_ident()
    assert app.test_client().get("/").get_json() == {"same": True}


def test_inside_a_worker_the_view_runs_on_the_loop_that_owns_it(app: Flask) -> None:
    @app.get("/")
    async def index() -> dict[str, int | None]:
        task = asyncio.current_task()
        return {"loop": id(asyncio.get_running_loop()), "task": id(task)}

    async def main() -> None:
        response = await to_thread.run_sync(app.test_client().get, "/")
        assert response.get_json() == {
            "loop": id(asyncio.get_running_loop()),
            "task": id(asyncio.current_task()),
        }

    asyncio.run(main())


@pytest.mark.parametrize("route", ["anyio", "asgiref"])
def test_inside_a_worker_of_another_library(app: Flask, route: str) -> None:
    @app.get("/")
    async def index() -> dict[str, int]:
        await asyncio.sleep(0)
        return {"loop": id(asyncio.get_running_loop())}

    async def main() -> None:
        if route == "anyio":
            import anyio.to_thread

            response = await anyio.to_thread.run_sync(app.test_client().get, "/")
        else:
            from asgiref.sync import sync_to_async

            response = await sync_to_async(app.test_client().get, thread_sensitive=False)("/")
        assert response.get_json() == {"loop": id(asyncio.get_running_loop())}

    asyncio.run(main())


def _add_async_commands(app: Flask) -> None:
    @app.cli.command("decorated")
    @click.argument("name")
    async def decorated(name: str) -> None:
        await asyncio.sleep(0)
        click.echo(f"{name} in {flask.current_app.name}")

    @click.command("added")
    async def added() -> None:
        await asyncio.sleep(0)
        click.echo("added")

    @click.command("passed")
    @click.pass_context
    async def passed(ctx: click.Context) -> None:
        await asyncio.sleep(0)
        click.echo(ctx.info_name)

    @app.cli.command("plain")
    def plain() -> None:
        click.echo("plain")

    app.cli.add_command(added)
    app.cli.add_command(passed)
    blueprint = flask.Blueprint("jobs", __name__)

    @blueprint.cli.command("nightly")
    async def nightly() -> None:
        await asyncio.sleep(0)
        click.echo(f"nightly {flask.current_app.name}")

    app.register_blueprint(blueprint)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["decorated", "ann"], "ann in flask_app\n"),
        (["added"], "added\n"),
        (["passed"], "passed\n"),
        (["plain"], "plain\n"),
        (["jobs", "nightly"], "nightly flask_app\n"),
    ],
)
def test_async_commands_run(app: Flask, arguments: list[str], output: str) -> None:
    _add_async_commands(app)
    for _ in range(2):  # looking a command up twice must not wrap it twice
        result = app.test_cli_runner().invoke(args=arguments, catch_exceptions=False)
        assert (result.exit_code, result.output) == (0, output)


def test_the_exception_of_an_async_command_is_reported(app: Flask) -> None:
    @app.cli.command("fail")
    async def fail() -> None:
        raise click.ClickException("no stock")

    result = app.test_cli_runner().invoke(args=["fail"])
    assert result.exit_code == 1
    assert "no stock" in result.output
