"""Flask-SQLAlchemy for both colours: what upstream answers, synchronously and in coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_sqlalchemy
import pytest
from flask_sqlalchemy.session import Session as UpstreamSession
from sqlalchemy import event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import HTTPException

from bridgekit.integrations.flask import Flask
from bridgekit.integrations.flask_sqlalchemy import Session, SQLAlchemy
from bridgekit.integrations.sqlalchemy import SyncCallOnLoopError

Program = Callable[..., Any]


def dispose(app: Flask, db: Any) -> None:
    """Close the connections of the application's engines."""
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def program() -> Iterator[Program]:
    """Makes an application with its database and its model."""
    made: list[tuple[Flask, Any]] = []

    def make(kind: type[flask_sqlalchemy.SQLAlchemy], path: Path, **options: Any) -> Any:
        app, db, user = _program(kind, path, **options)
        made.append((app, db))
        return app, db, user

    yield make
    for app, db in made:
        dispose(app, db)


def _program(kind: type[flask_sqlalchemy.SQLAlchemy], path: Path, **options: Any) -> Any:
    db = kind(model_class=type("Base", (DeclarativeBase,), {}), **options)

    class User(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    app = Flask("flask_app")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    db.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add_all(User(name=name) for name in ("ann", "bob", "bob"))
        db.session.commit()
    return app, db, User


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return described(call())
    except HTTPException as error:
        return error.code, error.description


def described(value: Any) -> Any:
    if hasattr(value, "items"):
        return [item.name for item in value.items], value.total, value.pages, value.next_num
    return value.name


# The method, its arguments (given User), and what it is called with by name.
CALLS: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]], dict[str, Any]]] = {
    "get": ("get_or_404", lambda user: (user, 1), {}),
    "get nothing": ("get_or_404", lambda user: (user, 9), {}),
    "get nothing, told": ("get_or_404", lambda user: (user, 9), {"description": "no such user"}),
    "first": ("first_or_404", lambda user: (select(user).order_by(user.id),), {}),
    "first of none": ("first_or_404", lambda user: (select(user).where(user.id > 9),), {}),
    "one": ("one_or_404", lambda user: (select(user).where(user.name == "ann"),), {}),
    "one of two": ("one_or_404", lambda user: (select(user).where(user.name == "bob"),), {}),
    "page": ("paginate", lambda user: (select(user).order_by(user.id),), {"per_page": 2}),
    "page 2": ("paginate", lambda user: (select(user),), {"per_page": 2, "page": 2}),
    "no page": ("paginate", lambda user: (select(user),), {"page": 7}),
    "no page, empty": ("paginate", lambda user: (select(user),), {"page": 7, "error_out": False}),
}


@pytest.mark.parametrize("case", CALLS)
def test_upstream_the_thread_and_the_coroutine_answer_alike(
    program: Program, case: str, tmp_path: Path
) -> None:
    method, arguments, options = CALLS[case]

    app, db, user = program(flask_sqlalchemy.SQLAlchemy, tmp_path / "upstream.db")
    with app.app_context():
        expected = outcome(lambda: getattr(db, method)(*arguments(user), **options))

    app, db, user = program(SQLAlchemy, tmp_path / "ours.db")
    with app.app_context():
        assert outcome(lambda: getattr(db, method)(*arguments(user), **options)) == expected

    async def ask() -> Any:
        with app.app_context():
            try:
                return described(await getattr(db.aio, method)(*arguments(user), **options))
            except HTTPException as error:
                return error.code, error.description
            finally:
                await db.session.aio.close()

    assert asyncio.run(ask()) == expected


def test_views_of_both_colours_share_the_session_of_their_request(
    program: Program, tmp_path: Path
) -> None:
    app, db, user = program(SQLAlchemy, tmp_path / "db")
    sessions: list[Any] = []

    @app.before_request
    def load() -> None:
        sessions.append(db.session())

    @app.get("/add")
    async def add() -> dict[str, Any]:
        sessions.append(db.session())
        db.session.add(user(name="cat"))
        await db.session.aio.commit()
        return {"n": await db.session.aio.scalar(select(func.count()).select_from(user))}

    @app.get("/count")
    def count() -> dict[str, Any]:
        sessions.append(db.session())
        return {"n": user.query.count(), "page": user.query.paginate(per_page=3).total}

    client = app.test_client()
    assert client.get("/add").json == {"n": 4}
    assert client.get("/count").json == {"n": 4, "page": 4}
    first, second, third, fourth = sessions
    assert first is second
    assert third is fourth
    assert first is not third


def test_connections_go_back_to_the_pool_with_the_request(program: Program, tmp_path: Path) -> None:
    app, db, user = program(SQLAlchemy, tmp_path / "db")

    @app.get("/")
    async def view() -> str:
        found: Any = await db.aio.get_or_404(user, 1)
        return str(found.name)

    assert app.test_client().get("/").text == "ann"
    with app.app_context():
        assert db.engine.pool.checkedout() == 0


def test_a_synchronous_call_on_the_loop_is_refused(program: Program, tmp_path: Path) -> None:
    app, db, user = program(SQLAlchemy, tmp_path / "db")

    @app.get("/")
    async def view() -> str:
        with pytest.raises(SyncCallOnLoopError):
            db.get_or_404(user, 1)
        return "refused"

    assert app.test_client().get("/").text == "refused"


def test_listeners_and_options_are_kept(program: Program, tmp_path: Path) -> None:
    class Own(UpstreamSession):
        pass

    app, db, user = program(
        SQLAlchemy, tmp_path / "db", session_options={"class_": Own, "expire_on_commit": False}
    )
    seen: list[str] = []
    event.listen(db.session, "before_commit", lambda _: seen.append("commit"))

    @app.get("/")
    async def view() -> str:
        cat = user(name="cat")
        db.session.add(cat)
        await db.session.aio.commit()
        assert isinstance(db.session(), Own)
        return str(cat.name)

    assert app.test_client().get("/").text == "cat"
    assert seen == ["commit"]


def test_tables_are_made_and_dropped_for_every_bind(tmp_path: Path) -> None:
    db = SQLAlchemy()

    class Note(db.Model):  # type: ignore[name-defined, misc]
        __bind_key__ = "other"
        id: Mapped[int] = mapped_column(primary_key=True)

    app = Flask("flask_app")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["SQLALCHEMY_BINDS"] = {"other": {"url": f"sqlite:///{tmp_path / 'other'}"}}
    app.config["SQLALCHEMY_RECORD_QUERIES"] = True
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = True
    db.init_app(app)

    async def run() -> int | None:
        with app.app_context():
            await db.aio.create_all()
            db.session.add(Note())
            await db.session.aio.commit()
            found = await db.session.aio.scalar(select(func.count()).select_from(Note))
            await db.session.aio.close()
            await db.aio.drop_all()
            return found

    assert asyncio.run(run()) == 1
    with app.app_context():
        assert isinstance(db.session(), Session)
        db.session.remove()
    dispose(app, db)
