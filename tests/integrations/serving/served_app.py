"""A small application for a real server: both colours, a database, a client, a loose thread.

``BASE_URL`` is the address it is served at (it calls itself), ``DATABASE`` the database's file.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from quart import Response, g, request
from sqlalchemy import event, text

from bridgekit import async_to_sync, to_thread
from bridgekit.integrations import requests
from bridgekit.integrations.quart import Quart, stream_with_context
from bridgekit.integrations.sqlalchemy import Session, create_engine, sessionmaker

BASE_URL = os.environ["BASE_URL"]


class Application(Quart):
    async def shutdown(self) -> None:
        await super().shutdown()
        say(f"connections {connections['opened']} {connections['closed']}")


app = Application(__name__)
engine = create_engine(f"sqlite:///{os.environ['DATABASE']}")
maker = sessionmaker(engine)
connections = {"opened": 0, "closed": 0}
loops: dict[str, int] = {}


@event.listens_for(engine, "connect")
def _opened(*_: Any) -> None:
    connections["opened"] += 1


@event.listens_for(engine, "close")
def _closed(*_: Any) -> None:
    connections["closed"] += 1


def say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


def session() -> Session:
    if "session" not in g:
        g.session = maker()
    return g.session  # type: ignore[no-any-return]


@app.before_serving
def start() -> None:
    loops["sync_hook"] = async_to_sync(loop_id)()


@app.while_serving
async def lifespan() -> Any:
    loops["lifespan"] = await loop_id()
    say("serving")
    yield
    say("no longer serving")


@app.teardown_appcontext
def close_session(error: BaseException | None) -> None:
    if "session" in g:
        g.session.close()


@app.get("/plain")
def plain() -> str:
    return "plain"


@app.get("/loops")
def the_loops() -> dict[str, int]:
    return loops


@app.get("/sync")
def sync_view() -> dict[str, Any]:
    loops["sync_view"] = async_to_sync(loop_id)()
    return {
        "database": session().execute(text("select 40 + 2")).scalar(),
        "client": requests.get(f"{BASE_URL}/plain", timeout=10).text,
    }


@app.get("/async")
async def async_view() -> dict[str, Any]:
    loops["async_view"] = await loop_id()
    response = await requests.aio.get(f"{BASE_URL}/plain", timeout=10)
    return {
        "database": (await session().aio.execute(text("select 40 + 2"))).scalar(),
        "client": response.text,
        "thread": await to_thread.run_sync(threading.get_ident) != threading.get_ident(),
    }


@app.get("/thread")
def starts_a_thread() -> dict[str, Any]:
    """A thread of the program's own, which no loop has started."""
    answer: dict[str, Any] = {}

    def work() -> None:
        loops["loose_thread"] = async_to_sync(loop_id)()
        answer["client"] = async_to_sync(requests.aio.get)(f"{BASE_URL}/plain", timeout=10).text
        with app.app_context():
            g.session = maker()
            answer["database"] = g.session.execute(text("select 40 + 2")).scalar()

    # Not a copy of the request's context: a pool or a library starts its threads without one.
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    return answer


@app.get("/waiting")
def starts_a_waiting_thread() -> str:
    """The thread is still waiting for the loop when the server stops."""
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            async_to_sync(wait)()
        except BaseException as error:
            say(f"thread ended by {type(error).__name__}")

    # Not a daemon as the thread of the view is: the process waits for its end.
    threading.Thread(target=work, daemon=False).start()
    begun.wait(10)
    return "waiting"


@app.get("/stream")
def stream() -> Response:
    def rows() -> Iterator[str]:
        for (value,) in session().execute(text("select value from json_each('[1, 2, 3]')")):
            yield f"{request.path}{value};"

    return Response(stream_with_context(rows()))


closed = threading.Event()


@app.get("/endless")
def endless() -> Response:
    def rows() -> Iterator[str]:
        try:
            while True:
                session().execute(text("select 1"))
                yield "x" * 10_000
        finally:
            session().close()
            closed.set()

    return Response(stream_with_context(rows()))


@app.get("/closed")
def whether_closed() -> dict[str, Any]:
    """Answers when the endless body has been closed."""
    return {"closed": closed.wait(20), "checked_out": engine.pool.checkedout()}  # type: ignore[attr-defined]
