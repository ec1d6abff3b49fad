"""The engine, the session factory and the unit of work of a request."""

import os

from flask import Flask, current_app, g
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from ordertrack.models import Base


class Database:
    """One engine and its sessions. SQLite by default, PostgreSQL by URL."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        parsed = make_url(url)
        options = {}
        if parsed.get_backend_name() == "sqlite":
            options["connect_args"] = {"check_same_thread": False}
            if parsed.database in (None, "", ":memory:"):
                options["poolclass"] = StaticPool
            else:
                os.makedirs(os.path.dirname(os.path.abspath(parsed.database)), exist_ok=True)
                options["pool_size"] = pool_size
        else:
            options["pool_size"] = pool_size
            options["pool_pre_ping"] = True
        self.engine = create_engine(url, **options)
        self.session_factory = sessionmaker(bind=self.engine)

    def session(self) -> Session:
        return self.session_factory()

    def create_all(self) -> None:
        Base.metadata.create_all(self.engine)

    def drop_all(self) -> None:
        Base.metadata.drop_all(self.engine)

    def dispose(self) -> None:
        self.engine.dispose()


def init_database(app: Flask) -> Database:
    database = Database(app.config["DATABASE_URL"], app.config["DB_POOL_SIZE"])
    app.extensions["database"] = database
    app.teardown_appcontext(close_session)
    return database


def get_database() -> Database:
    return current_app.extensions["database"]


def get_session() -> Session:
    """The session of this request (or of this application context), made on first use."""
    if "session" not in g:
        g.session = get_database().session()
    return g.session


def close_session(error=None):
    """Views commit what they want kept; whatever is left is rolled back here."""
    session = g.pop("session", None)
    if session is not None:
        session.rollback()
        session.close()
