"""BK212 no-expire-on-commit."""

from __future__ import annotations

import pytest

from bridgekit_codemods.rules.sqlalchemy_expire import SqlalchemyExpire

RULE = SqlalchemyExpire()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sessionmaker()", "sessionmaker(expire_on_commit=False)"),
        ("sessionmaker(bind=engine)", "sessionmaker(bind=engine, expire_on_commit=False)"),
        ("sessionmaker(engine,)", "sessionmaker(engine, expire_on_commit=False,)"),
        (
            "sessionmaker(\n    engine,\n    autoflush=False,  # slow\n)",
            "sessionmaker(\n    engine,\n    autoflush=False,\n"
            "    expire_on_commit=False,  # slow\n)",
        ),
        (
            "sessionmaker(\n    bind=engine,\n)",
            "sessionmaker(\n    bind=engine,\n    expire_on_commit=False,\n)",
        ),
        (
            "scoped_session(sessionmaker(engine))",
            "scoped_session(sessionmaker(engine, expire_on_commit=False))",
        ),
        ("Session(engine)", "Session(engine, expire_on_commit=False)"),
    ],
)
@pytest.mark.parametrize("module", ["sqlalchemy.orm", "bridgekit.integrations.sqlalchemy"])
def test_the_option_is_added(rewritten, module: str, before: str, after: str) -> None:
    names = "Session, scoped_session, sessionmaker"
    source = f"from {module} import {names}\n\nengine = None\nx = {before}\n"

    assert rewritten(RULE, source) == source.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SQLAlchemy()", 'SQLAlchemy(session_options={"expire_on_commit": False})'),
        ("SQLAlchemy(app)", 'SQLAlchemy(app, session_options={"expire_on_commit": False})'),
        (
            "SQLAlchemy(session_options={})",
            'SQLAlchemy(session_options={"expire_on_commit": False})',
        ),
        (
            "SQLAlchemy(session_options={'autoflush': False}, metadata=m)",
            "SQLAlchemy(session_options={'autoflush': False, \"expire_on_commit\": False}, "
            "metadata=m)",
        ),
    ],
)
@pytest.mark.parametrize("module", ["flask_sqlalchemy", "bridgekit.integrations.flask_sqlalchemy"])
def test_flask_sqlalchemy_takes_it_among_its_options(
    rewritten, module: str, before: str, after: str
) -> None:
    source = f"from {module} import SQLAlchemy\n\napp = m = None\ndb = {before}\n"

    assert rewritten(RULE, source) == source.replace(before, after)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("SQLAlchemy(session_options=OPTIONS)", "unpacked"),
        ("SQLAlchemy(session_options={**OPTIONS})", "unpacked"),
        ("SQLAlchemy(**OPTIONS)", "unpacked"),
        ('SQLAlchemy(session_options={"expire_on_commit": True})', "on purpose"),
    ],
)
def test_options_of_flask_sqlalchemy_that_are_not_known(
    untouched, found, call: str, reason: str
) -> None:
    source = f"from flask_sqlalchemy import SQLAlchemy\n\nOPTIONS = {{}}\ndb = {call}\n"

    untouched(RULE, source)
    ((_, line, text),) = found(RULE, source)
    assert line == 4
    assert reason in text


def test_the_step_says_what_changes_for_the_program(propose) -> None:
    step = propose(RULE, "from sqlalchemy.orm import sessionmaker\n\nS = sessionmaker()\n")

    (note,) = step.findings
    assert (note.path, note.line) == ("app.py", 3)
    assert "after a commit" in note.reason


@pytest.mark.parametrize(
    "source",
    [
        "import json\n",
        "from sqlalchemy.orm import sessionmaker\n\nS = sessionmaker(expire_on_commit=False)\n",
        "from sqlalchemy.ext.asyncio import async_sessionmaker\n\nS = async_sessionmaker()\n",
        "from app.db import sessionmaker\n\nS = sessionmaker()\n",
        "import requests\n\nS = requests.Session()\n",
        "from sqlalchemy.orm import Session\n\ndef f(session: Session): ...\n",
    ],
)
def test_other_programs_are_not_touched(untouched, found, source: str) -> None:
    untouched(RULE, source)
    assert found(RULE, source) == []


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("sessionmaker(**options)", "expire_on_commit comes from unpacked options"),
        ("sessionmaker(expire_on_commit=True)", "the session expires its objects at commit"),
        ("sessionmaker(expire_on_commit=EXPIRE)", "the session expires its objects at commit"),
    ],
)
def test_a_choice_that_was_made_is_reported(untouched, found, call: str, reason: str) -> None:
    source = f"from sqlalchemy.orm import sessionmaker\n\noptions = {{}}\nEXPIRE = 1\nS = {call}\n"

    untouched(RULE, source)
    ((path, line, text),) = found(RULE, source)
    assert (path, line) == ("app.py", 5)
    assert text.startswith(reason)


def test_the_sessions_of_tests_have_a_step_of_their_own(propose) -> None:
    source = "from sqlalchemy.orm import sessionmaker\n\nS = sessionmaker()\n"
    files = {"db.py": source, "tests/conftest.py": source}

    first = propose(RULE, files)
    second = propose(RULE, files, kept=frozenset({first.key}))

    assert set(first.changes) == {"db.py"}
    assert set(second.changes) == {"tests/conftest.py"}
