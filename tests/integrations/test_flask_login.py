"""Flask-Login in asynchronous views: the user is there before they begin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import flask_login
import pytest
from sqlalchemy.orm import Mapped, mapped_column

from bridgekit.integrations.flask import Flask
from bridgekit.integrations.flask_login import LoginManager
from bridgekit.integrations.flask_sqlalchemy import SQLAlchemy


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """Users in a database, and each view twice: plain, and as a coroutine below `/aio`."""
    db = SQLAlchemy()

    class User(flask_login.UserMixin, db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    app = Flask("flask_app")
    app.secret_key = "test"
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'db'}"
    db.init_app(app)
    login = LoginManager(app)

    @login.user_loader
    def load(key: str) -> Any:
        return db.session.get(User, int(key))

    with app.app_context():
        db.create_all()
        db.session.add(User(name="ann"))
        db.session.commit()

    @app.get("/login")
    def log_in() -> str:
        flask_login.login_user(db.session.get(User, 1))
        return ""

    def name() -> str:
        user = flask_login.current_user
        return str(user.name) if user.is_authenticated else "nobody"

    def page() -> str:
        return flask.render_template_string("{{ current_user.name }}")

    for view, guarded in ((name, False), (name, True), (page, False)):

        async def aio(view: Any = view) -> Any:
            return view()

        plain: Any = flask_login.login_required(view) if guarded else view
        coroutine: Any = flask_login.login_required(aio) if guarded else aio
        path = f"/{view.__name__}{'/guarded' if guarded else ''}"
        app.add_url_rule(path, path, plain)
        app.add_url_rule(f"/aio{path}", f"/aio{path}", coroutine)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("path", ["/name", "/name/guarded", "/page"])
@pytest.mark.parametrize("logged_in", [False, True])
def test_both_colours_answer_alike(app: Flask, path: str, logged_in: bool) -> None:
    client = app.test_client()
    if logged_in:
        client.get("/login")

    plain, aio = client.get(path), client.get(f"/aio{path}")
    assert (plain.status_code, plain.text) == (aio.status_code, aio.text)
    assert plain.text == "ann" if logged_in else plain.status_code == 401 or plain.text != "ann"
    assert plain.headers["Vary"] == aio.headers["Vary"] == "Cookie"


def test_an_asynchronous_hook_finds_the_user(app: Flask) -> None:
    seen: list[str] = []

    @app.before_request
    async def look() -> None:
        if flask_login.current_user.is_authenticated:
            seen.append(flask_login.current_user.name)

    client = app.test_client()
    client.get("/login")
    client.get("/name")
    assert seen == ["ann"]


def test_an_application_of_flask_is_left_as_it_is() -> None:
    app = flask.Flask("plain")
    LoginManager(app)
    assert not hasattr(app, "before_coroutines")
