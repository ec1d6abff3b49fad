"""BK214 query-to-select: both forms of each query run on one database and give the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from textwrap import dedent, indent
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Row, create_engine, inspect
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from bridgekit_codemods.rules.sqlalchemy_query import SqlalchemyQuery

MODELS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped["Customer | None"] = relationship(back_populates="orders")
"""

HEADER = """\
from sqlalchemy import func, or_
from sqlalchemy.orm import Session, joinedload, selectinload

from shop_models import Customer, Order


def run(session: Session):
"""

CASES = {
    "all": "return session.query(Customer).all()",
    "all ordered": "return session.query(Customer).order_by(Customer.name.desc()).all()",
    "filter": "return session.query(Order).filter(Order.total > 15, Order.total < 99).all()",
    "filter_by": "return session.query(Customer).filter_by(country='DE').all()",
    "or": "return session.query(Order).filter(or_(Order.id == 1, Order.total == 30)).all()",
    "limit offset": "return session.query(Order).order_by(Order.id).limit(2).offset(1).all()",
    "first": "return session.query(Order).order_by(Order.total.desc()).first()",
    "first of none": "return session.query(Order).filter(Order.id == 0).first()",
    "first of tuples": "return session.query(Order.id, Order.total).order_by(Order.id).first()",
    "first of a limit": "return session.query(Order).order_by(Order.id).limit(3).first()",
    "one": "return session.query(Order).filter(Order.id == 2).one()",
    "one of none": "return session.query(Order).filter(Order.id == 0).one()",
    "one of many": "return session.query(Order).one()",
    "one_or_none": "return session.query(Order).filter(Order.id == 0).one_or_none()",
    "one_or_none of many": "return session.query(Order).one_or_none()",
    "one column": "return session.query(Order.total).filter(Order.id == 2).one()",
    "get": "return session.query(Order).get(2)",
    "get none": "return session.query(Order).get(77)",
    "get with options": (
        "return session.query(Customer).options(selectinload(Customer.orders)).get(1)"
    ),
    "count": "return session.query(Order).filter(Order.total > 15).count()",
    "count of joins": "return session.query(Customer).join(Customer.orders).count()",
    "count distinct": "return session.query(Customer.country).distinct().count()",
    "count of columns": "return session.query(Customer.id, Order.id).join(Order.customer).count()",
    "count limited": "return session.query(Order).limit(2).count()",
    "count eager": "return session.query(Customer).options(joinedload(Customer.orders)).count()",
    "scalar": "return session.query(Order.total).filter(Order.id == 2).scalar()",
    "scalar of none": "return session.query(Order.total).filter(Order.id == 0).scalar()",
    "scalar of many": "return session.query(Order.total).scalar()",
    "scalar entity": "return session.query(Order).filter(Order.id == 2).scalar()",
    "scalar entity of many": "return session.query(Order).scalar()",
    "aggregate": "return session.query(func.max(Order.total)).scalar() or 0",
    "aggregate filtered": (
        "return session.query(func.sum(Order.total)).filter(Order.id < 3).scalar()"
    ),
    "aggregate grouped": (
        "return session.query(func.sum(Order.total)).group_by(Order.customer_id).scalar()"
    ),
    "func.count": "return session.query(func.count(Order.id)).scalar()",
    "tuples": "return session.query(Customer.name, Customer.country).order_by(Customer.id).all()",
    "single column": "return session.query(Customer.name).order_by(Customer.id).all()",
    "labels": "return [r.n for r in session.query(Customer.name.label('n')).all()]",
    "entity and column": (
        "return session.query(Customer, Order.total).join(Customer.orders).order_by(Order.id).all()"
    ),
    "two entities": (
        "return session.query(Customer, Order).join(Order, Order.customer_id == Customer.id)"
        ".order_by(Order.id).all()"
    ),
    "repeated entity": "return session.query(Customer).join(Customer.orders).all()",
    "repeated entity first": (
        "return session.query(Customer).join(Customer.orders).order_by(Order.id).first()"
    ),
    "repeated entity limited": (
        "return session.query(Customer).join(Order).order_by(Order.id).limit(2).all()"
    ),
    "repeated entity in a loop": (
        "return [c for c in session.query(Customer).join(Customer.orders)]"
    ),
    "outer join": "return session.query(Customer).outerjoin(Order).order_by(Customer.id).all()",
    "select_from": (
        "return session.query(Order.total).select_from(Customer).join(Customer.orders).all()"
    ),
    "joinedload of a collection": (
        "return [(c.id, len(c.orders)) for c in"
        " session.query(Customer).options(joinedload(Customer.orders)).all()]"
    ),
    "joinedload first": (
        "c = session.query(Customer).options(joinedload(Customer.orders)).first()\n"
        "return [o.id for o in c.orders]"
    ),
    "selectinload": (
        "return [(c.id, len(c.orders)) for c in"
        " session.query(Customer).options(selectinload(Customer.orders))]"
    ),
    "group by": (
        "return session.query(Customer.country, func.count(Customer.id))"
        ".group_by(Customer.country).order_by(Customer.country).all()"
    ),
    "having": (
        "return session.query(Order.customer_id, func.sum(Order.total))"
        ".group_by(Order.customer_id).having(func.sum(Order.total) > 30).all()"
    ),
    "local column": (
        "amount = func.sum(Order.total)\n"
        "return session.query(Customer.name, amount).join(Customer.orders)"
        ".group_by(Customer.id).order_by(amount.desc()).all()"
    ),
    "distinct": "return session.query(Customer.country).distinct().all()",
    "distinct ordered by itself": (
        "return session.query(Customer.country).distinct().order_by(Customer.country).all()"
    ),
    "distinct entity": (
        "return session.query(Customer).join(Order).distinct().order_by(Customer.name).all()"
    ),
    "iteration": "return [c.name for c in session.query(Customer).order_by(Customer.id)]",
    "loop": (
        "names = []\n"
        "for customer in session.query(Customer).filter(Customer.id < 3):\n"
        "    names.append(customer.name)\n"
        "return names"
    ),
    "loop over tuples": "return [n for n, c in session.query(Customer.name, Customer.country)]",
    "list": "return list(session.query(Order).order_by(Order.id))",
    "sorted": "return sorted(session.query(Order), key=lambda o: -o.total)",
    "exists": (
        "return session.query(session.query(Order).filter(Order.total > 99).exists()).scalar()"
    ),
    "exists in filter": (
        "return session.query(Customer).filter("
        "session.query(Order).filter(Order.customer_id == Customer.id).exists()).all()"
    ),
    "in": (
        "return session.query(Customer).filter(Customer.id.in_("
        "session.query(Order.customer_id).filter(Order.total > 15))).all()"
    ),
    "subquery": (
        "totals = session.query(Order.customer_id, func.sum(Order.total).label('t'))"
        ".group_by(Order.customer_id).subquery()\n"
        "return session.query(Customer.name).join(totals, totals.c.customer_id == Customer.id)"
        ".filter(totals.c.t > 25).all()"
    ),
    "scalar_subquery": (
        "top = session.query(func.max(Order.total)).scalar_subquery()\n"
        "return session.query(Order).filter(Order.total == top).all()"
    ),
    "label": (
        "own = Order.customer_id == Customer.id\n"
        "n = session.query(func.count(Order.id)).filter(own).label('n')\n"
        "return session.query(Customer).order_by(n.desc(), Customer.id).all()"
    ),
    "delete": "return session.query(Order).filter(Order.total > 15).delete()",
    "delete for good": "session.query(Order).filter_by(id=1).delete(synchronize_session=False)",
    "delete all": "return session.query(Order).delete('fetch')",
    "delete synchronised": (
        "order = session.get(Order, 1)\n"
        "session.query(Order).filter(Order.id == 1).delete()\n"
        "return order in session"
    ),
    "update": "return session.query(Order).filter(Order.id < 3).update({'total': Order.total + 1})",
    "update by attribute": (
        "session.query(Order).filter_by(id=1)"
        ".update({Order.total: 5}, synchronize_session='evaluate')"
    ),
    "update synchronised": (
        "order = session.get(Order, 1)\n"
        "session.query(Order).filter(Order.id == 1).update({'total': 1234})\n"
        "return order.total"
    ),
    "built up": (
        "query = session.query(Order)\n"
        "if session:\n"
        "    query = query.filter(Order.total > 5)\n"
        "total = query.count()\n"
        "query = query.order_by(Order.id.desc())\n"
        "return total, query.limit(2).all(), query.first(), [o.id for o in query]"
    ),
    "built up with a join": (
        "query = session.query(Customer)\n"
        "if session:\n"
        "    query = query.join(Customer.orders).filter(Order.total > 5)\n"
        "return query.order_by(Customer.id).all()"
    ),
    "two beginnings": (
        "if session.bind is None:\n"
        "    query = session.query(Order).filter(Order.id == 1)\n"
        "else:\n"
        "    query = session.query(Order).filter(Order.id == 2)\n"
        "return query.one()"
    ),
    "a variable as an operand": (
        "ids = session.query(Order.customer_id).filter(Order.total > 15)\n"
        "return session.query(Customer).filter(Customer.id.in_(ids)).all()"
    ),
}


JOINED = MODELS.replace('order_by="Order.id")', 'order_by="Order.id", lazy="joined")')


@pytest.fixture(scope="module")
def models() -> Iterator[ModuleType]:
    module = ModuleType("shop_models")
    sys.modules["shop_models"] = module
    exec(compile(MODELS, "shop_models.py", "exec", dont_inherit=True), module.__dict__)
    yield module
    del sys.modules["shop_models"]


@pytest.fixture
def session(models: ModuleType) -> Iterator[Callable[[], Session]]:
    """Makes sessions, each on a fresh database with the same rows."""
    engines = []

    def make() -> Session:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        engines.append(engine)
        models.Base.metadata.create_all(engine)
        with Session(engine) as filling:
            for key, name, country in ((1, "Ada", "DE"), (2, "Bob", "DE"), (3, "Cy", "FR")):
                filling.add(models.Customer(id=key, name=name, country=country))
            for key, total, customer in ((1, 10, 1), (2, 20, 1), (3, 30, 2), (4, 40, None)):
                filling.add(models.Order(id=key, total=total, customer_id=customer))
            filling.commit()
        return Session(engine)

    yield make
    for engine in engines:
        engine.dispose()


def plain(value: Any) -> Any:
    """Entities by class and key, rows and lists as what they are."""
    if isinstance(value, Row):
        return ("row", *(plain(item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    state = inspect(value, raiseerr=False)
    return (type(value).__name__, state.identity) if state is not None else value


def outcome(source: str, session: Session) -> Any:
    """What `run` returns or raises, and all rows there are afterwards."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    with session:
        try:
            result = plain(namespace["run"](session))
        except Exception as error:
            result = type(error)
        session.flush()
        rows = session.connection().exec_driver_sql("SELECT * FROM orders ORDER BY id").all()
    return result, rows


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.LegacyAPIWarning")
@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_both_forms_give_the_same(rewritten, session: Callable[[], Session], body: str) -> None:
    before = HEADER + indent(dedent(body), "    ") + "\n"

    after = rewritten(SqlalchemyQuery(), {"app.py": before, "shop_models.py": MODELS})

    assert ".query(" not in after
    assert outcome(after, session()) == outcome(before, session())


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.LegacyAPIWarning")
@pytest.mark.parametrize(
    ("body", "unique"),
    [
        ("return session.query(Customer).all()", True),
        ("return session.query(Order).all()", False),
        ("return session.query(Customer.id).all()", False),
    ],
)
def test_classes_that_are_loaded_with_a_join(
    rewritten, monkeypatch: pytest.MonkeyPatch, body: str, unique: bool
) -> None:
    module = ModuleType("shop_models")
    monkeypatch.setitem(sys.modules, "shop_models", module)
    exec(compile(JOINED, "shop_models.py", "exec", dont_inherit=True), module.__dict__)
    before = HEADER + indent(body, "    ") + "\n"

    after = rewritten(SqlalchemyQuery(), {"app.py": before, "shop_models.py": JOINED})

    engine = create_engine("sqlite://", poolclass=StaticPool)
    module.Base.metadata.create_all(engine)
    with Session(engine) as filling:
        filling.add(
            module.Customer(
                id=1,
                name="Ada",
                country="DE",
                orders=[module.Order(total=1), module.Order(total=2)],
            )
        )
        filling.commit()
    assert outcome(after, Session(engine)) == outcome(before, Session(engine))
    assert (".unique()" in after) is unique
    engine.dispose()
