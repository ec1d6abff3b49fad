"""``with app.app_context()`` in synchronous code, and the test client's forms, as under Flask."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import flask
import flask.signals
import pytest
import quart
import quart.signals

from bridgekit import LoopThreadError, to_thread
from bridgekit.integrations.quart import Quart

Log = list[Any]
Job = Callable[[Any, Any, Log], None]

FLASK = SimpleNamespace(
    current_app=flask.current_app,
    g=flask.g,
    has_app_context=flask.has_app_context,
    url_for=flask.url_for,
    pushed=flask.signals.appcontext_pushed,
    popped=flask.signals.appcontext_popped,
)
QUART = SimpleNamespace(
    current_app=quart.current_app,
    g=quart.g,
    has_app_context=quart.has_app_context,
    url_for=quart.url_for,
    pushed=quart.signals.appcontext_pushed,
    popped=quart.signals.appcontext_popped,
)


def prepared(app: Any, web: Any, log: Log) -> Any:
    app.config["SERVER_NAME"] = "example.org"

    @app.get("/page")
    def page() -> str:
        return ""

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        log.append(("closed", repr(error), web.g.pop("value", None)))

    return app


def with_values(app: Any, web: Any, log: Log) -> None:
    with app.app_context() as context:
        web.g.value = 1
        log.append(web.current_app.name)
        log.append(context.g is web.g._get_current_object())
        log.append(web.url_for("page"))
    log.append(web.has_app_context())


def nested(app: Any, web: Any, log: Log) -> None:
    with app.app_context():
        web.g.value = "outer"
        with app.app_context():
            log.append(web.g.get("value"))
            web.g.value = "inner"
        log.append(web.g.value)


def entered_twice(app: Any, web: Any, log: Log) -> None:
    context = app.app_context()
    with context:
        web.g.value = "kept"
        with context:
            log.append(web.g.value)
        log.append(web.g.value)
    log.append(web.has_app_context())


def used_again(app: Any, web: Any, log: Log) -> None:
    context = app.app_context()
    for number in range(2):
        with context:
            log.append(web.g.get("value"))
            web.g.value = number


def failing(app: Any, web: Any, log: Log) -> None:
    try:
        with app.app_context():
            web.g.value = 1
            raise LookupError("gone")
    except LookupError as error:
        log.append(str(error))
    log.append(web.has_app_context())


def failing_teardown(app: Any, web: Any, log: Log) -> None:
    @app.teardown_appcontext
    def broken(error: BaseException | None) -> None:
        raise LookupError("teardown")

    try:
        with app.app_context():
            pass
    except LookupError as error:
        log.append(str(error))
    log.append(web.has_app_context())


def signalled(app: Any, web: Any, log: Log) -> None:
    def pushed(sender: Any, **extra: Any) -> None:
        log.append(("pushed", web.has_app_context()))

    def popped(sender: Any, **extra: Any) -> None:
        log.append(("popped", web.has_app_context()))

    with (
        web.pushed.connected_to(pushed, app),
        web.popped.connected_to(popped, app),
        app.app_context(),
    ):
        log.append("inside")


JOBS: list[Job] = [
    with_values,
    nested,
    entered_twice,
    used_again,
    failing,
    failing_teardown,
    signalled,
]


@pytest.mark.parametrize("caller", ["thread", "worker", "command"])
@pytest.mark.parametrize("job", JOBS)
def test_as_under_flask(job: Job, caller: str) -> None:
    expected: Log = []
    job(prepared(flask.Flask("web_app"), FLASK, expected), FLASK, expected)
    log: Log = []
    app = prepared(Quart("web_app"), QUART, log)

    if caller == "thread":
        job(app, QUART, log)
    elif caller == "worker":
        asyncio.run(to_thread.run_sync(job, app, QUART, log))
    else:

        @app.cli.command("job", with_appcontext=False)
        def command() -> None:
            job(app, QUART, log)

        result = app.test_cli_runner().invoke(args=["job"])
        assert result.exception is None

    assert log == expected
    assert expected


@pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "worker"])
def test_what_is_bound_to_the_thread_is_closed_on_it(on_loop: bool) -> None:
    app = Quart("web_app")
    threads: list[int] = []

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        quart.g.db.close()
        threads.append(threading.get_ident())

    def job() -> None:
        threads.append(threading.get_ident())
        with app.app_context():
            quart.g.db = sqlite3.connect(":memory:")
            quart.g.db.execute("select 1")

    if on_loop:
        asyncio.run(to_thread.run_sync(job))
    else:
        job()
    assert len(threads) == 2
    assert len(set(threads)) == 1


def test_asynchronous_teardown_functions_run_too() -> None:
    app = Quart("web_app")
    seen: Log = []

    @app.teardown_appcontext
    async def close(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        seen.append(quart.g.value)

    with app.app_context():
        quart.g.value = "still there"
    assert seen == ["still there"]


@pytest.mark.asyncio
async def test_a_loops_thread_has_to_await() -> None:
    app = Quart("web_app")

    context = app.app_context()
    with pytest.raises(LoopThreadError, match="app_context"):
        context.__enter__()
    assert not quart.has_app_context()
    async with app.app_context():
        assert quart.has_app_context()


def test_threads_have_their_own_contexts() -> None:
    app = Quart("web_app")
    both = threading.Barrier(2, timeout=10)
    seen: dict[str, str] = {}

    def job(name: str) -> None:
        with app.app_context():
            quart.g.name = name
            both.wait()
            seen[name] = quart.g.name
            both.wait()

    threads = [threading.Thread(target=job, args=(name,), daemon=True) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {"a": "a", "b": "b"}


FORMS: list[dict[str, Any]] = [
    {"one": "1"},
    {"many": ["1", "2"], "one": "x"},
    {"many": ["a b", "c&d=e"]},
    {"empty": []},
    {"accent": ["\u00e9", "\u20ac"]},
    {"number": [1, 2], "one": "3"},
]


@pytest.mark.asyncio
@pytest.mark.parametrize("form", FORMS)
async def test_form_fields_arrive_as_from_flasks_client(form: dict[str, Any]) -> None:
    def fields(values: Any) -> dict[str, Any]:
        return {"fields": sorted(values.items(multi=True))}

    flask_app = flask.Flask("web_app")

    @flask_app.post("/")
    def index() -> Any:
        return fields(flask.request.form)

    app = Quart("web_app")

    @app.post("/")
    async def index_async() -> Any:
        return fields(await quart.request.form)

    expected = flask_app.test_client().post("/", data=form).json
    reply = await app.test_client().post("/", form=form)
    assert await reply.get_json() == expected


@pytest.mark.asyncio
async def test_headers_of_a_form_with_repeated_fields_are_kept() -> None:
    app = Quart("web_app")

    @app.post("/")
    async def index() -> Any:
        form = await quart.request.form
        return {"x": quart.request.headers["X-Name"], "all": form.getlist("many")}

    headers = {"X-Name": "Ada"}
    client = app.test_client()
    for _ in range(2):
        reply = await client.post("/", form={"many": ["1", "2"]}, headers=headers)
        assert await reply.get_json() == {"x": "Ada", "all": ["1", "2"]}
    assert headers == {"X-Name": "Ada"}
