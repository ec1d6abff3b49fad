"""BK211 two-colour-engine."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.rules.sqlalchemy_engine import SqlalchemyEngine

RULE = SqlalchemyEngine()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from sqlalchemy import create_engine",
            "from bridgekit.integrations.sqlalchemy import create_engine",
        ),
        (
            "from sqlalchemy import create_engine, select  # both",
            "from bridgekit.integrations.sqlalchemy import create_engine\n"
            "from sqlalchemy import select  # both",
        ),
        (
            "from sqlalchemy.engine import create_engine as make",
            "from bridgekit.integrations.sqlalchemy import create_engine as make",
        ),
        (
            "from sqlalchemy.orm import Session, relationship, sessionmaker",
            "from bridgekit.integrations.sqlalchemy import Session, sessionmaker\n"
            "from sqlalchemy.orm import relationship",
        ),
        (
            "from sqlalchemy.orm import (\n    relationship,\n    scoped_session,\n)",
            "from bridgekit.integrations.sqlalchemy import scoped_session\n"
            "from sqlalchemy.orm import (\n    relationship,\n)",
        ),
        (
            "from sqlalchemy.orm.session import Session",
            "from bridgekit.integrations.sqlalchemy import Session",
        ),
    ],
)
def test_imports_move(rewritten, before: str, after: str) -> None:
    source = f"import os\n# the database\n{before}\n\nx = 1\n"

    assert rewritten(RULE, source) == source.replace(before, after)


def test_annotations_and_calls_keep_their_names(rewritten) -> None:
    source = """\
        from __future__ import annotations

        from typing import TYPE_CHECKING

        from sqlalchemy import create_engine
        from sqlalchemy.orm import sessionmaker

        if TYPE_CHECKING:
            from sqlalchemy.orm import Session

        engine = create_engine("sqlite://")
        factory = sessionmaker(bind=engine)


        def make() -> Session:
            return factory()
        """

    assert rewritten(RULE, source) == dedent(source).replace(
        "from sqlalchemy import", "from bridgekit.integrations.sqlalchemy import"
    ).replace("from sqlalchemy.orm import", "from bridgekit.integrations.sqlalchemy import")


def test_names_through_a_module_are_imported(rewritten) -> None:
    source = """\
        import sqlalchemy as sa
        from sqlalchemy import orm

        engine = sa.create_engine("sqlite://")
        factory = orm.sessionmaker(engine)
        table = sa.Table


        def use(session: orm.Session) -> None:
            session.execute(sa.select(table))
        """

    assert rewritten(RULE, source) == dedent(
        """\
        import sqlalchemy as sa
        from bridgekit.integrations.sqlalchemy import Session, create_engine, sessionmaker
        from sqlalchemy import orm

        engine = create_engine("sqlite://")
        factory = sessionmaker(engine)
        table = sa.Table


        def use(session: Session) -> None:
            session.execute(sa.select(table))
        """
    )


def test_the_whole_program_moves_in_one_step(propose) -> None:
    step = propose(
        RULE,
        {
            "db.py": "from sqlalchemy import create_engine\n",
            "repo.py": "from sqlalchemy.orm import Session\n",
            "models.py": "from sqlalchemy.orm import relationship\n",
        },
    )

    assert set(step.changes) == {"db.py", "repo.py"}


def test_the_drivers_of_the_databases_are_declared(propose) -> None:
    source = 'from sqlalchemy import create_engine\n\ncreate_engine(f"sqlite:///{__name__}")\n'

    step = propose(RULE, {"app.py": source, "requirements.txt": "sqlalchemy>=2\n"})

    assert step.changes["requirements.txt"] == b"sqlalchemy>=2\ngreenlet>=3\naiosqlite>=0.20\n"


@pytest.mark.parametrize(
    "source",
    [
        "import json\n",
        "from sqlalchemy import select\nfrom sqlalchemy.orm import relationship\n",
        "from bridgekit.integrations.sqlalchemy import Session, create_engine\n",
        "from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine\n",
        "from .orm import Session\n",
        "from requests import Session\n",
        "def create_engine(): ...\n\ncreate_engine()\n",
        "import sqlalchemy as sa\n\nsa.select\n",
        "from alembic import context\nfrom sqlalchemy import create_engine\n",
    ],
)
def test_other_programs_are_not_touched(untouched, found, source: str) -> None:
    untouched(RULE, source)
    assert found(RULE, source) == []


EXTENSION = "bridgekit.integrations.flask_sqlalchemy"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n",
            f"from {EXTENSION} import SQLAlchemy\n\ndb = SQLAlchemy()\n",
        ),
        (
            "from flask_sqlalchemy import SQLAlchemy as Db, pagination  # both\n",
            f"from {EXTENSION} import SQLAlchemy as Db\n"
            "from flask_sqlalchemy import pagination  # both\n",
        ),
        (
            "import flask_sqlalchemy\n\ndb = flask_sqlalchemy.SQLAlchemy()\n",
            f"import flask_sqlalchemy\nfrom {EXTENSION} import SQLAlchemy\n\ndb = SQLAlchemy()\n",
        ),
        (
            "from flask_sqlalchemy import SQLAlchemy\n\n\nclass Db(SQLAlchemy):\n"
            "    def names(self):\n        return []\n",
            f"from {EXTENSION} import SQLAlchemy\n\n\nclass Db(SQLAlchemy):\n"
            "    def names(self):\n        return []\n",
        ),
    ],
)
def test_flask_sqlalchemy_is_two_coloured(rewritten, before: str, after: str) -> None:
    assert rewritten(RULE, before) == after


@pytest.mark.parametrize(
    ("files", "place", "word"),
    [
        (
            {
                "db.py": "from flask_sqlalchemy import SQLAlchemy\n\n\nclass Db(SQLAlchemy):\n"
                "    def _make_engine(self, key, options, app):\n        return None\n"
            },
            ("db.py", 5),
            "_make_engine",
        ),
        (
            {
                "db.py": "from flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n",
                "requirements.txt": "flask\nFlask-SQLAlchemy==2.5.1\n",
            },
            ("requirements.txt", 2),
            "==2.5.1",
        ),
        (
            {
                "db.py": "from sqlalchemy import create_engine\n",
                "requirements.txt": "SQLAlchemy==2.0.23\n",
            },
            ("requirements.txt", 1),
            "2.0.40",
        ),
    ],
)
def test_what_it_cannot_take_the_place_of(untouched, found, files, place, word) -> None:
    untouched(RULE, files)
    ((path, line, reason),) = found(RULE, files)
    assert (path, line) == place
    assert word in reason


@pytest.mark.parametrize(
    "requirement",
    [
        "SQLAlchemy>=2.0,<3",
        "sqlalchemy==2.0.40",
        "sqlalchemy~=2.0",
        "# sqlalchemy==1.4",
        "sqlalchemy<3",
    ],
)
def test_a_release_that_will_do(rewritten, requirement: str) -> None:
    files = {"db.py": "from sqlalchemy import create_engine\n", "requirements.txt": requirement}

    assert "bridgekit" in rewritten(RULE, files, "db.py")


LISTENERS = {
    "decorator": (
        """\
        import sqlite3

        from sqlalchemy import create_engine, event

        engine = create_engine("sqlite://")


        @event.listens_for(engine, "connect")
        def pragmas(dbapi_connection, record):
            if isinstance(dbapi_connection, sqlite3.Connection):
                dbapi_connection.execute("pragma foreign_keys=on")
        """,
        10,
    ),
    "class listener, imported names, keyword": (
        """\
        from sqlite3 import Connection as SQLite3Connection

        from sqlalchemy import create_engine
        from sqlalchemy.engine import Engine
        from sqlalchemy.event import listens_for


        @listens_for(Engine, identifier="first_connect")
        def pragmas(connection: SQLite3Connection, record):
            if not isinstance(connection, (SQLite3Connection, str)):
                return
        """,
        10,
    ),
    "listen() with a local function": (
        """\
        import sqlalchemy as sa
        import psycopg2.extensions


        def make(url):
            engine = sa.create_engine(url)

            def on_connect(connection, record):
                if type(connection) is psycopg2.extensions.connection:
                    connection.set_session(readonly=True)

            sa.event.listen(engine, "connect", on_connect)
            return engine
        """,
        9,
    ),
    "a method": (
        """\
        import sqlite3

        from sqlalchemy import create_engine, event


        class Database:
            def __init__(self):
                self.engine = create_engine("sqlite://")
                event.listen(self.engine, "connect", self._connected)

            def _connected(self, connection, record):
                match connection:
                    case sqlite3.Connection():
                        connection.execute("pragma foreign_keys=on")
        """,
        13,
    ),
    "the class is in a variable": (
        """\
        from sqlalchemy import create_engine, event

        from app_settings import CONNECTION_CLASSES

        engine = create_engine("sqlite://")


        @event.listens_for(engine, "connect")
        def pragmas(connection, record):
            if isinstance(connection, CONNECTION_CLASSES):
                connection.execute("pragma foreign_keys=on")
        """,
        10,
    ),
    "the name of the module": (
        """\
        from sqlalchemy import create_engine, event

        engine = create_engine("sqlite://")


        @event.listens_for(engine, "connect")
        def pragmas(connection, record):
            if type(connection).__module__ == "sqlite3":
                connection.execute("pragma foreign_keys=on")
        """,
        8,
    ),
    "a function of the program": (
        """\
        import sqlite3

        from sqlalchemy import create_engine, event

        engine = create_engine("sqlite://")


        def is_sqlite(connection):
            return isinstance(connection, sqlite3.Connection)


        @event.listens_for(engine, "connect")
        def pragmas(connection, record):
            if is_sqlite(connection):
                connection.execute("pragma foreign_keys=on")
        """,
        14,
    ),
}


@pytest.mark.parametrize("case", LISTENERS)
def test_listeners_that_test_for_the_drivers_class_are_refused(untouched, found, case: str) -> None:
    source, line = LISTENERS[case]
    files = {"app.py": source, "repo.py": "from sqlalchemy.orm import Session\n"}

    untouched(RULE, files)
    assert [where[:2] for where in found(RULE, files)] == [("app.py", line)]


@pytest.mark.parametrize(
    "listener",
    [
        """
        @event.listens_for(engine, "connect")
        def pragmas(connection: sqlite3.Connection, record) -> None:
            connection.row_factory = sqlite3.Row
            if engine.dialect.name == "sqlite":
                connection.execute("pragma foreign_keys=on")
        """,
        """
        @event.listens_for(engine, "before_cursor_execute")
        def log(connection, cursor, statement, *rest):
            if isinstance(statement, str):
                print(statement)
        """,
        """
        def backup(connection):
            if isinstance(connection, sqlite3.Connection):
                connection.backup(other)
        """,
    ],
)
def test_other_listeners_do_not_stand_in_the_way(propose, found, listener: str) -> None:
    head = """\
        import sqlite3

        from sqlalchemy import create_engine, event

        engine = create_engine("sqlite://")
        """
    source = dedent(head) + "\n" + dedent(listener)

    assert propose(RULE, source) is not None
    assert found(RULE, source) == []
