"""BK214 query-to-select: how the result looks, and what is left alone."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.rules.sqlalchemy_query import SqlalchemyQuery

RULE = SqlalchemyQuery()

HEADER = """\
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]
    lines: Mapped[list["Line"]] = relationship()


class Line(Base):
    __tablename__ = "lines"


"""


def program(body: str) -> str:
    return HEADER + dedent(body)


def test_one_line_stays_one_line(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            def find(session: Session):
                return session.query(Order).filter(Order.id == 1).all()  # newest
            """
        ),
    )

    assert after.endswith(
        "    return session.scalars(select(Order).where(Order.id == 1)).all()  # newest\n"
    )
    assert after.startswith(
        "from sqlalchemy import select\nfrom sqlalchemy.orm import DeclarativeBase"
    )
    assert "from sqlalchemy import select\n" in after


def test_a_chain_in_parentheses_keeps_its_lines_and_comments(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            class Orders:
                def __init__(self, session: Session) -> None:
                    self.session = session

                def newest(self):
                    return (
                        self.session.query(Order)
                        .filter(Order.total > 0)  # paid ones
                        # the newest comes first
                        .order_by(Order.id.desc())
                        # and only that
                        .first()
                    )

                def all(self):
                    return (
                        self.session.query(Order)
                        .order_by(Order.id)
                        # all of them
                        .all()
                    )

                def number(self):
                    return (
                        self.session.query(Order)
                        .filter(Order.total > 0)
                        .count()
                    )
            """
        ),
    )

    assert after.endswith(
        dedent(
            """\
            class Orders:
                def __init__(self, session: Session) -> None:
                    self.session = session

                def newest(self):
                    return self.session.scalars(
                        select(Order)
                        .where(Order.total > 0)  # paid ones
                        # the newest comes first
                        .order_by(Order.id.desc())
                        # and only that
                        .limit(1)
                    ).first()

                def all(self):
                    return self.session.scalars(
                        select(Order)
                        .order_by(Order.id)
                        # all of them
                    ).all()

                def number(self):
                    return self.session.scalar(select(func.count()).select_from(
                        select(Order)
                        .where(Order.total > 0)
                        .subquery()
                    ))
            """
        )
    )


def test_parentheses_in_the_middle_of_a_chain(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            def f(session: Session):
                return (
                    session.query(Order)
                    .filter(Order.total > 0)
                ).one()
            """
        ),
    )

    assert after.endswith(
        dedent(
            """\
            def f(session: Session):
                return session.scalars(
                    select(Order)
                    .where(Order.total > 0)
                ).one()
            """
        )
    )


def test_a_line_that_gets_too_long_is_broken(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            def find(session: Session, smallest_total: int):
                return session.query(Order).filter(Order.total >= smallest_total).one_or_none()


            def count(session: Session, smallest_total: int):
                return session.query(Order).filter(Order.total >= smallest_total).count() > 0
            """
        ),
    )

    assert after.endswith(
        dedent(
            """\
            def find(session: Session, smallest_total: int):
                return session.scalars(
                    select(Order).where(Order.total >= smallest_total)
                ).one_or_none()


            def count(session: Session, smallest_total: int):
                return session.scalar(
                    select(func.count()).select_from(
                        select(Order).where(Order.total >= smallest_total).subquery()
                    )
                ) > 0
            """
        )
    )


def test_a_query_built_over_several_statements(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            def search(session: Session, total=None):
                query = session.query(Order)
                if total:
                    query = query.filter(Order.total == total)
                number = query.count()
                for order in query:
                    print(order)
                return number, query.order_by(Order.id).limit(20).all()
            """
        ),
    )

    assert after.endswith(
        dedent(
            """\
            def search(session: Session, total=None):
                query = select(Order)
                if total:
                    query = query.where(Order.total == total)
                number = session.scalar(select(func.count()).select_from(query.subquery()))
                for order in session.scalars(query):
                    print(order)
                return number, session.scalars(query.order_by(Order.id).limit(20)).all()
            """
        )
    )


def test_rows_that_could_repeat_an_entity_stay_unique(rewritten) -> None:
    after = rewritten(
        RULE,
        program("def f(session: Session):\n    return session.query(Order).join(Line).all()\n"),
    )

    assert after.endswith("return session.scalars(select(Order).join(Line)).unique().all()\n")


def test_names_that_are_taken_get_an_alias(rewritten) -> None:
    after = rewritten(
        RULE,
        program(
            """\
            def delete(session: Session, select: int):
                session.query(Order).filter(Order.id == select).delete()


            def update(session: Session, key: int):
                return session.query(Order).filter(Order.id == key).update({"total": 0})
            """
        ),
    )

    assert after.endswith(
        dedent(
            """\
            def delete(session: Session, select: int):
                session.execute(sql_delete(Order).where(Order.id == select))


            def update(session: Session, key: int):
                return session.execute(
                    sql_update(Order).where(Order.id == key).values({"total": 0})
                ).rowcount
            """
        )
    )
    assert "from sqlalchemy import delete as sql_delete, update as sql_update" in after


def test_an_import_that_is_there_is_used(rewritten) -> None:
    source = "from sqlalchemy import select as sql\n" + program(
        "def f(session: Session):\n    return session.query(Order).all()\n"
    )

    after = rewritten(RULE, source)

    assert after == source.replace(
        "session.query(Order).all()", "session.scalars(sql(Order)).all()"
    )


def test_one_step_per_module(propose) -> None:
    use = "from sqlalchemy.orm import Session\n\nfrom models import Order\n\n\n"
    body = "def f(session: Session):\n    return session.query(Order).all()\n"
    files = {"models.py": HEADER, "a.py": use + body, "b.py": use + body}

    first = propose(RULE, files)
    second = propose(RULE, files, kept=frozenset({first.key}))

    assert (first.key, list(first.changes)) == ("select:a", ["a.py"])
    assert (second.key, list(second.changes)) == ("select:b", ["b.py"])


LEFT = {
    "returned": ("def f(session: Session):\n    return session.query(Order)\n", "handed on"),
    "passed on": ("def f(session: Session, g):\n    g(session.query(Order))\n", "handed on"),
    "variable passed on": (
        "def f(session: Session, g):\n    q = session.query(Order)\n    g(q)\n    return q.all()\n",
        "handed on",
    ),
    "variable returned": (
        "def f(session: Session):\n    q = session.query(Order)\n    return q\n",
        "handed on",
    ),
    "other values": (
        "def f(session: Session, q):\n    q = session.query(Order)\n    return q.all()\n",
        "parameter",
    ),
    "variable of its result": (
        "def f(session: Session):\n    q = session.query(Order)\n    q = q.all()\n    return q\n",
        "other values",
    ),
    "sliced": ("def f(session: Session):\n    return session.query(Order)[2:4]\n", "sliced"),
    "yield_per": (
        "def f(session: Session):\n    return session.query(Order).yield_per(9).all()\n",
        "Query.yield_per",
    ),
    "union": (
        "def f(session: Session, o):\n    return session.query(Order).union(o).all()\n",
        "Query.union",
    ),
    "closure": (
        "def f(session: Session):\n    q = session.query(Order)\n    return lambda: q.all()\n",
        "nested function",
    ),
    "two sessions": (
        "def f(a: Session, b: Session):\n"
        "    if a:\n        q = a.query(Order)\n    else:\n        q = b.query(Order)\n"
        "    return q.all()\n",
        "different sessions",
    ),
    "session changes": (
        "def f(s: Session, make):\n"
        "    session = s\n    q = session.query(Order)\n    session = s\n    return q.all()\n",
        "assigned more than once",
    ),
    "unknown selection": (
        "def f(session: Session, what):\n    return session.query(what).all()\n",
        "not known what what selects",
    ),
    "unpacked selection": (
        "def f(session: Session, what):\n    return session.query(*what).all()\n",
        "not known what",
    ),
    "relationship": (
        "def f(session: Session):\n    return session.query(Order.lines).all()\n",
        "not known what Order.lines selects",
    ),
    "filter_by after a join": (
        "def f(session: Session):\n"
        "    return session.query(Order).join(Line).filter_by(id=1).all()\n",
        "filter_by()",
    ),
    "distinct ordered by others": (
        "def f(session: Session):\n"
        "    return session.query(Order).join(Line).distinct().order_by(Line.id).all()\n",
        "distinct()",
    ),
    "delete of a limit": (
        "def f(session: Session):\n    session.query(Order).limit(1).delete()\n",
        "delete() of a query with limit",
    ),
    "bound method": (
        "def f(session: Session):\n    run = session.query(Order).all\n    return run()\n",
        "without a call",
    ),
}


@pytest.mark.parametrize(("body", "reason"), LEFT.values(), ids=LEFT)
def test_what_is_not_certain_is_left_and_reported(untouched, found, body, reason) -> None:
    untouched(RULE, program(body))

    reasons = [text for _path, _line, text in found(RULE, program(body))]
    assert reasons
    assert all(reason in text for text in reasons)


def test_what_is_certain_is_converted_next_to_what_is_not(rewritten, found) -> None:
    source = program(
        """\
        def f(session: Session):
            return session.query(Order)


        def g(session: Session):
            return session.query(Order).all()
        """
    )

    after = rewritten(RULE, source)

    assert after.endswith(
        "    return session.query(Order)\n\n\n"
        "def g(session: Session):\n    return session.scalars(select(Order)).all()\n"
    )
    assert len(found(RULE, after)) == 1


def test_tests_keep_their_queries(untouched, found) -> None:
    test = (
        "from app import Order\n\n\ndef test_it(session):\n    assert session.query(Order).all()\n"
    )
    files = {"app.py": HEADER, "tests/test_it.py": test}

    untouched(RULE, files)
    assert found(RULE, files) == []


@pytest.mark.parametrize(
    "make",
    [
        'Session(bind="x y")',
        "scoped_session(sessionmaker())",
        "sessionmaker()()",
    ],
)
def test_sessions_of_every_kind(rewritten, make: str) -> None:
    source = "from sqlalchemy.orm import scoped_session, sessionmaker\n" + program(
        f"session = {make}\n\n\ndef f():\n    return session.query(Order).all()\n"
    )

    assert rewritten(RULE, source).endswith("return session.scalars(select(Order)).all()\n")


def test_the_session_is_written_as_it_was(rewritten) -> None:
    source = program(
        'def get(name) -> Session: ...\n\n\ndef f():\n    return get("it").query(Order).all()\n'
    )

    assert rewritten(RULE, source).endswith('return get("it").scalars(select(Order)).all()\n')


@pytest.mark.parametrize(
    "body",
    [
        "x = 1\n",
        "def f(session: Session):\n    return session.scalars(select(Order)).all()\n",
        "def f(api):\n    return api.query('select 1').all()\n",
        "def f(session: Session):\n    session.add(Order())\n    session.commit()\n",
        "class Api:\n    def query(self, what): ...\n\ndef f(api: Api):\n    api.query('a')\n",
    ],
)
def test_other_code_is_not_touched(untouched, found, body: str) -> None:
    untouched(RULE, program(body))
    assert found(RULE, program(body)) == []


def test_an_unknown_session_is_reported(untouched, found) -> None:
    source = program("def f(db):\n    return db.query(Order).all()\n")

    untouched(RULE, source)
    ((_path, _line, reason),) = found(RULE, source)
    assert reason == "it is not known that db is a session"


@pytest.mark.parametrize(
    "hook",
    [
        "from sqlalchemy import event\nevent.listen(Session, 'after_bulk_delete', print)\n",
        "from sqlalchemy.orm import sessionmaker\nmake = sessionmaker(query_cls=object)\n",
    ],
)
def test_hooks_on_query_keep_all_of_them(untouched, found, hook: str) -> None:
    source = program(hook + "def f(session: Session):\n    return session.query(Order).all()\n")

    untouched(RULE, source)
    assert any("go around it" in reason for _path, _line, reason in found(RULE, source))
