"""BK213 eager-relationships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from bridgekit_codemods.rules.sqlalchemy_eager import SqlalchemyEager

RULE = SqlalchemyEager()

MODELS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    orders: Mapped[list["Order"]] = relationship(ORDERS)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped["Customer"] = relationship(back_populates="orders")
"""

READ = """\
from models import Customer


def count(customer: Customer) -> int:
    return len(customer.orders)
"""


def models(orders: str = 'back_populates="customer"') -> str:
    return MODELS.replace("ORDERS", orders)


def test_a_collection_that_is_read_is_loaded_with_its_owner(rewritten) -> None:
    after = rewritten(RULE, {"models.py": models(), "app.py": READ}, "models.py")

    assert after == models('back_populates="customer", lazy="selectin"')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('lazy="select"', 'lazy="selectin"'),
        ("lazy=True, back_populates='customer'", "lazy=\"selectin\", back_populates='customer'"),
        ('"Order"', '"Order", lazy="selectin"'),
        (
            '\n        back_populates="customer",\n        cascade="all",  # and orphans\n    ',
            '\n        back_populates="customer",\n        cascade="all",\n'
            '        lazy="selectin",  # and orphans\n    ',
        ),
        (
            '\n        back_populates="customer", order_by="Order.id", '
            'cascade="all, delete-orphan"\n    ',
            '\n        back_populates="customer",\n        order_by="Order.id",\n'
            '        cascade="all, delete-orphan",\n        lazy="selectin",\n    ',
        ),
    ],
)
def test_the_call_keeps_its_layout(rewritten, before: str, after: str) -> None:
    files = {"models.py": models(before), "app.py": READ}

    assert rewritten(RULE, files, "models.py") == models(after)


def test_a_reference_to_one_object_is_loaded_too(propose) -> None:
    use = "from models import Order\n\n\ndef name(order: Order):\n    return order.customer.id\n"

    step = propose(RULE, {"models.py": models(), "app.py": use})

    assert step.members == ("models.Order.customer",)
    assert b'back_populates="orders", lazy="selectin")' in step.changes["models.py"]


def test_a_template_that_reads_it_counts(propose) -> None:
    template = "{% for order in customer.orders %}{{ order.id }}{% endfor %}"

    step = propose(RULE, {"models.py": models(), "templates/customer.html": template})

    assert step.members == ("models.Customer.orders",)


def test_a_reader_of_unknown_type_counts(propose) -> None:
    use = "def count(who):\n    return len(who.orders)\n"

    assert propose(RULE, {"models.py": models(), "app.py": use}) is not None


@pytest.mark.parametrize(
    "use",
    [
        "x = 1\n",
        "from models import Customer\n\n\ndef f():\n    return Customer.orders\n",
        "from models import Customer\n\n\ndef f(customer: Customer):\n    customer.orders = []\n",
        "class Shop:\n    orders = []\n\n\ndef f(shop: Shop):\n    return shop.orders\n",
    ],
)
def test_a_relationship_that_is_not_read_stays(untouched, found, use: str) -> None:
    files = {"models.py": models(), "app.py": use}

    untouched(RULE, files)
    assert found(RULE, files) == []


@pytest.mark.parametrize("lazy", ["selectin", "joined", "subquery", "immediate", "raise"])
def test_a_choice_that_was_made_stays(untouched, found, lazy: str) -> None:
    files = {"models.py": models(f'lazy="{lazy}"'), "app.py": READ}

    untouched(RULE, files)
    assert found(RULE, files) == []


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ('lazy="dynamic"', 'Customer.orders is lazy="dynamic"'),
        ("**OPTIONS", "the options of Customer.orders are unpacked"),
    ],
)
def test_what_cannot_be_written_there_is_reported(untouched, found, orders, reason) -> None:
    files = {"models.py": "OPTIONS = {}\n" + models(orders), "app.py": READ}

    untouched(RULE, files)
    ((path, line, text),) = found(RULE, files)
    assert (path, line) == ("models.py", 13)
    assert text.startswith(reason)


TREE = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Category(Base):
    __tablename__ = "categories"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    children: Mapped[list["Category"]] = relationship()


def depth(category: Category) -> int:
    return 1 + max((depth(child) for child in category.children), default=0)
"""


def test_a_tree_is_left_because_eager_loading_stops_after_one_level(untouched, found) -> None:
    untouched(RULE, TREE)
    ((_path, line, reason),) = found(RULE, TREE)
    assert (line, reason[:17]) == (13, "Category.children")


def test_a_way_that_comes_back_is_reported(found) -> None:
    use = (
        "from models import Order\n\n\n"
        "def siblings(order: Order):\n    return order.customer.orders\n"
    )

    ((path, line, reason),) = found(RULE, {"models.py": models(), "app.py": use})

    assert (path, line) == ("app.py", 5)
    assert reason.startswith(".customer.orders comes back")


def test_a_backref_that_is_read_is_reported(found) -> None:
    source = models().replace('back_populates="customer"', 'backref="buyer"')
    use = "def name(order):\n    return order.buyer\n"

    reasons = [reason for *_place, reason in found(RULE, {"models.py": source, "app.py": use})]

    assert "backref='buyer' makes a relationship that is loaded lazily" in reasons


def _loaded(source: str, read: Callable[[Any, Session], Any]) -> tuple[Any, list[str]]:
    """The result of `read` and the statements that it sent itself."""
    namespace: dict[str, Any] = {"__name__": "models"}
    exec(compile(source, "models.py", "exec", dont_inherit=True), namespace)
    engine = create_engine("sqlite://")
    namespace["Base"].metadata.create_all(engine)
    with Session(engine) as session:
        order, customer = namespace["Order"], namespace["Customer"]
        session.add(customer(id=1, orders=[order(id=1), order(id=2)]))
        session.commit()
    sent: list[str] = []
    with Session(engine) as session:
        owners = session.query(namespace["Customer"]).all()
        event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
        result = read(owners, session)
    engine.dispose()
    return result, sent


def test_the_same_objects_without_a_query_at_the_attribute(rewritten) -> None:
    before = models()
    after = rewritten(RULE, {"models.py": before, "app.py": READ}, "models.py")

    def read(owners: Any, session: Session) -> Any:
        return [[order.id for order in owner.orders] for owner in owners]

    lazily, sent_lazily = _loaded(before, read)
    eagerly, sent_eagerly = _loaded(after, read)
    assert eagerly == lazily == [[1, 2]]
    assert (len(sent_lazily), len(sent_eagerly)) == (1, 0)
