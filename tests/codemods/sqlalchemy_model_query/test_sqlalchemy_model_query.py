"""BK214 query-to-select for `Model.query`: rewritten, left alone, and the same results."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import HTTPException

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.sqlalchemy_model_query import SqlalchemyModelQuery

RULE = SqlalchemyModelQuery()
HEAD = """\
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String)


def run(key, page):
"""

CASES = {
    "User.query.get_or_404(key)": "db.get_or_404(User, key)",
    "User.query.get(key)": "db.session.get(User, key)",
    "User.query.filter_by(name='bob').first_or_404()": (
        "db.first_or_404(select(User).filter_by(name='bob').limit(1))"
    ),
    "User.query.filter_by(name='zoe').first_or_404(description='who')": (
        "db.first_or_404(select(User).filter_by(name='zoe').limit(1), description='who')"
    ),
    "User.query.filter(User.name == 'bob').one_or_404()": (
        "db.one_or_404(select(User).where(User.name == 'bob'))"
    ),
    "User.query.order_by(User.id.desc()).paginate(page=page, per_page=2)": (
        "db.paginate(select(User).order_by(User.id.desc()), page=page, per_page=2)"
    ),
    "User.query.paginate(page=page, error_out=False)": (
        "db.paginate(select(User), page=page, error_out=False)"
    ),
    "User.query.filter_by(name='bob').all()": (
        "db.session.scalars(select(User).filter_by(name='bob')).all()"
    ),
    "User.query.first()": "db.session.scalars(select(User).limit(1)).first()",
    "User.query.count()": (
        "db.session.scalar(select(func.count()).select_from(select(User).subquery()))"
    ),
    "db.session.query(User).order_by(User.id).paginate(per_page=1)": None,
}


@pytest.mark.parametrize("before", [case for case, after in CASES.items() if after])
def test_it_is_rewritten(rewritten, before: str) -> None:
    source = f"{HEAD}    return {before}\n"
    result = rewritten(RULE, source)
    assert result.endswith(f"    return {CASES[before]}\n")
    imported = "func, select" if "func." in str(CASES[before]) else "select"
    if "select(" in str(CASES[before]):
        assert f"from sqlalchemy import {imported}\n" in result


@pytest.mark.parametrize(
    "body",
    [
        "return User.query",
        "return User.query.paginate(page)",
        "return User.query.first_or_404('positional')",
        "return User.query.filter_by(id=key).get_or_404(key)",
        "return User.query.join(User).first_or_404()",
        "return User.query.with_entities(User.id).all()",
        "q = User.query\n    return helper(q)",
        "return Other.query.all()",
    ],
)
def test_it_is_left_alone(untouched, body: str) -> None:
    own = "\n\nclass Other(db.Model):\n    query_class = object\n"
    untouched(RULE, f"{HEAD}    {body}\n{own}")


def test_a_file_that_does_not_know_the_database_is_left_alone(untouched) -> None:
    untouched(
        RULE,
        {
            "models.py": f"{HEAD}    pass\n",
            "views.py": "from models import User\n\n\ndef f():\n    return User.query.all()\n",
        },
    )


def test_a_file_that_imports_it(rewritten) -> None:
    views = """\
        from models import User, db  # both


        def f():
            db.session.rollback()
            # all of them
            return User.query.all()  # here
    """
    result = rewritten(RULE, {"models.py": f"{HEAD}    pass\n", "views.py": views}, "views.py")
    assert (
        "    # all of them\n    return db.session.scalars(select(User)).all()  # here\n" in result
    )
    assert "from models import User, db  # both\n" in result


def _outcome(source: str, path: Path, key: int, page: int) -> Any:
    """What the program's function gives over a database with three users."""
    names: dict[str, Any] = {}
    db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))

    class User(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    app = Flask("app")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    db.init_app(app)
    head, _, body = source.partition("\n\ndef run")
    imports = "\n".join(line for line in head.splitlines() if line.startswith("from sqlalchemy"))
    exec(f"{imports}\n\ndef run{body}", names := {"User": User, "db": db})
    with app.test_request_context():
        db.create_all()
        db.session.add_all(User(name=name) for name in ("ann", "bob", "bob"))
        db.session.commit()
        try:
            found = names["run"](key, page)
        except HTTPException as error:
            return error.code, error.description
        finally:
            db.session.rollback()
        if hasattr(found, "iter_pages"):
            return [user.id for user in found.items], found.total, found.pages, found.has_next
        if isinstance(found, list):
            return [user.id for user in found]
        result = getattr(found, "id", found)
        db.session.remove()
        db.engine.dispose()
        return result


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.LegacyAPIWarning")
@pytest.mark.parametrize("before", [case for case, after in CASES.items() if after])
@pytest.mark.parametrize(("key", "page"), [(1, 1), (2, 2), (9, 3)])
def test_both_sides_answer_alike(before: str, key: int, page: int, tmp_path: Path) -> None:
    source = dedent(f"{HEAD}    return {before}\n")
    program = Program.load({"app.py": source.encode()})
    step = RULE.propose(program, Options(), frozenset())
    assert step is not None
    data = step.changes["app.py"]
    assert data is not None
    old = _outcome(source, tmp_path / "old.db", key, page)
    assert _outcome(data.decode(), tmp_path / "new.db", key, page) == old
