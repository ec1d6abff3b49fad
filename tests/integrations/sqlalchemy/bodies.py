"""Function bodies that are run against plain SQLAlchemy and against both faces.

Each takes an open session over an empty database and returns plain values. They are ordinary
synchronous code: the asynchronous face runs them by ``run_sync``, and ``async_bodies`` repeats
some of them in their flipped form.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, event, func, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError, NoResultFound, OperationalError
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError
from sqlalchemy_tests_models import Customer, Order

WHEN = dt.datetime(2024, 2, 29, 12, 30, 15, 123456)


def customer(number: int = 1, orders: int = 2) -> Customer:
    return Customer(
        email=f"c{number}@example.org",
        notes=f"notes {number}",
        orders=[
            Order(placed=WHEN + dt.timedelta(days=i), total=Decimal("10.10") * (i + 1))
            for i in range(orders)
        ],
    )


def crud(session: Session) -> Any:
    first = customer()
    session.add(first)
    session.commit()
    key = first.id
    first.email = "new@example.org"
    session.commit()
    renamed = session.get_one(Customer, key).email
    session.delete(first)
    session.commit()
    return key, renamed, session.get(Customer, key), session.scalar(select(func.count(Order.id)))


def types(session: Session) -> Any:
    order = Order(
        placed=WHEN,
        day=dt.date(2024, 2, 29),
        total=Decimal("1234.50"),
        weight=0.1 + 0.2,
        paid=True,
        document={"a": [1, None, "ü"], "b": {"c": 1.5}},
        blob=b"\x00\xff",
        customer=customer(orders=0),
    )
    session.add(order)
    session.commit()
    session.expire_all()
    values = [order.placed, order.day, order.total, order.weight, order.paid, order.document]
    values += [order.blob, order.changed]
    raw = session.execute(text('select placed, day, total, paid, document, blob from "order"'))
    sums = session.execute(
        select(func.sum(Order.total), func.max(Order.placed), func.avg(Order.weight))
    )
    json_path = session.scalar(select(Order.document["b"]["c"].as_float()))
    return (
        [(type(v).__name__, v) for v in values],
        [(type(v).__name__, v) for v in raw.one()],
        [(type(v).__name__, v) for v in sums.one()],
        json_path,
    )


def lazy_relationship(session: Session) -> Any:
    session.add(customer(orders=3))
    session.commit()
    found = session.scalars(select(Customer)).one()
    unloaded = "orders" in inspect(found).unloaded
    totals = [order.total for order in found.orders]
    return unloaded, totals, found.notes, found.orders[0].customer is found


def eager_relationship(session: Session) -> Any:
    session.add_all([customer(1), customer(2, orders=0)])
    session.commit()
    session.expunge_all()
    by_select = session.scalars(select(Customer).options(selectinload(Customer.orders))).all()
    counts = [len(c.orders) for c in by_select]
    session.expunge_all()
    by_join = session.scalars(select(Customer).options(joinedload(Customer.orders))).unique().all()
    return counts, [len(c.orders) for c in by_join]


def legacy_query(session: Session) -> Any:
    session.add_all([customer(1), customer(2)])
    session.commit()
    query = session.query(Customer).filter(Customer.email.like("c%")).order_by(Customer.id.desc())
    pages = [c.email for c in query.limit(1).offset(1)]
    return query.count(), query.first().email, pages, session.query(Order).join(Customer).count()


def rollback_on_error(session: Session) -> Any:
    session.add(customer())
    session.commit()
    try:
        session.add(Order(placed=WHEN, total=Decimal(1), customer_id=1))
        session.flush()
        raise ValueError
    except ValueError:
        session.rollback()
    return session.scalar(select(func.count(Order.id))), session.in_transaction()


def integrity_error(session: Session) -> Any:
    session.add(customer(1, orders=0))
    session.commit()
    session.add(customer(1, orders=0))
    try:
        session.commit()
    except IntegrityError as error:
        session.rollback()
        seen = (type(error.orig).__mro__[0].__name__, str(error.orig), error.statement)
    session.add(customer(2, orders=0))
    session.commit()
    return seen, session.scalars(select(Customer.email).order_by(Customer.id)).all()


def bad_statement(session: Session) -> Any:
    try:
        session.execute(text("select * from nowhere"))
    except OperationalError as error:
        seen = str(error)
    session.rollback()
    return seen, session.scalar(text("select 1"))


def savepoints(session: Session) -> Any:
    session.add(customer(1, orders=0))
    try:
        with session.begin_nested():
            session.add(customer(1, orders=0))
            session.flush()
    except IntegrityError:
        pass
    with session.begin_nested():
        session.add(customer(2, orders=0))
    nested = session.begin_nested()
    session.add(customer(3, orders=0))
    session.flush()
    nested.rollback()
    session.commit()
    return session.scalars(select(Customer.email).order_by(Customer.id)).all()


def autoflush(session: Session) -> Any:
    session.add(customer(1, orders=0))
    seen = session.scalar(select(func.count(Customer.id)))
    with session.no_autoflush:
        session.add(customer(2, orders=0))
        unseen = session.scalar(select(func.count(Customer.id)))
    return seen, unseen


def expire_and_refresh(session: Session) -> Any:
    first = customer()
    session.add(first)
    session.commit()
    expired = "email" in inspect(first).expired_attributes
    email = first.email
    session.execute(
        update(Customer).values(email="behind").execution_options(synchronize_session=False)
    )
    stale = first.email
    session.refresh(first)
    fresh = first.email
    session.refresh(first, ["orders"])
    session.expire(first, ["email"])
    return expired, email, stale, fresh, len(first.orders), first.email


def bulk(session: Session) -> Any:
    session.add(customer(orders=0))
    session.flush()
    rows = [{"customer_id": 1, "placed": WHEN, "total": Decimal(i)} for i in range(500)]
    session.execute(insert(Order), rows)
    returned = session.scalars(
        insert(Order).returning(Order.id, sort_by_parameter_order=True), rows[:5]
    ).all()
    session.bulk_save_objects([Order(**row) for row in rows[:3]])
    session.bulk_insert_mappings(inspect(Order), rows[:2])
    changed = session.execute(update(Order).where(Order.total > 490).values(paid=True)).rowcount
    gone = session.execute(delete(Order).where(Order.paid)).rowcount
    session.commit()
    return returned, changed, gone, session.scalar(select(func.count(Order.id)))


def streaming(session: Session) -> Any:
    session.add(customer(orders=0))
    session.flush()
    session.execute(
        insert(Order), [{"customer_id": 1, "placed": WHEN, "total": i} for i in range(250)]
    )
    session.commit()
    statement = select(Order.id).order_by(Order.id)
    parts = session.execute(statement, execution_options={"yield_per": 100}).partitions()
    sizes = [len(part) for part in parts]
    entities = session.scalars(select(Order).execution_options(yield_per=40))
    first = next(entities).id
    entities.close()
    connection = session.connection()
    streamed = connection.execution_options(stream_results=True).execute(statement)
    few = streamed.fetchmany(3), streamed.fetchone(), len(streamed.fetchall())
    return sizes, first, few


def errors_of_the_orm(session: Session) -> Any:
    names = []
    first = customer()
    session.add(first)
    session.commit()
    for attempt in (
        lambda: session.get_one(Customer, 99),
        lambda: session.scalars(select(Customer).where(Customer.id == 99)).one(),
        lambda: session.refresh(Customer(id=7)),
    ):
        try:
            attempt()
        except (NoResultFound, InvalidRequestError) as error:
            names.append(type(error).__name__)
    assert first.email
    session.execute(text("delete from customer"))
    first.email = "x"
    try:
        session.flush()
    except StaleDataError as error:
        names.append(type(error).__name__)
    session.rollback()
    first = session.get_one(Customer, 1)
    session.expunge(first)
    try:
        first.orders  # noqa: B018 (loading is the point)
    except DetachedInstanceError as error:
        names.append(type(error).__name__)
    return names


def merging(session: Session) -> Any:
    session.add(customer(orders=1))
    session.commit()
    session.expunge_all()
    merged = session.merge(Customer(id=1, email="merged@example.org"))
    session.commit()
    return merged.email, len(merged.orders)


def events(session: Session) -> Any:
    seen: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: seen.append(name)

    listeners = [
        (session, "before_flush", note("before_flush")),
        (session, "after_commit", note("after_commit")),
        (session, "after_rollback", note("after_rollback")),
        (session, "do_orm_execute", note("do_orm_execute")),
        (session.get_bind(), "before_cursor_execute", note("before_cursor_execute")),
        (session.get_bind(), "commit", note("commit")),
    ]
    for listener in listeners:
        event.listen(*listener)
    try:
        session.add(customer(orders=1))
        session.commit()
        session.execute(select(Customer)).all()
        session.rollback()
    finally:
        for listener in listeners:
            event.remove(*listener)
    return seen


def core(session: Session) -> Any:
    connection = session.connection()
    connection.execute(insert(Customer), [{"email": "a"}, {"email": "b"}])
    with connection.begin_nested() as nested:
        connection.execute(insert(Customer).values(email="c"))
        nested.rollback()
    names = connection.execute(select(Customer.email)).scalars().all()
    key = connection.execute(insert(Customer).values(email="d")).inserted_primary_key
    raw = connection.exec_driver_sql("select count(*) from customer where email > ?", ("a",))
    tables = sorted(inspect(connection).get_table_names())
    columns = [c["name"] for c in inspect(connection).get_columns("customer")]
    return names, tuple(key), raw.scalar(), tables, columns


SYNC_BODIES: list[Callable[[Session], Any]] = [
    crud,
    types,
    lazy_relationship,
    eager_relationship,
    legacy_query,
    rollback_on_error,
    integrity_error,
    bad_statement,
    savepoints,
    autoflush,
    expire_and_refresh,
    bulk,
    streaming,
    errors_of_the_orm,
    merging,
    events,
    core,
]


async def crud_async(session: Any) -> Any:
    first = customer()
    session.add(first)
    await session.aio.commit()
    key = await first.awaitable_attrs.id
    first.email = "new@example.org"
    await session.aio.commit()
    renamed = (await session.aio.get_one(Customer, key)).email
    await session.aio.delete(first)
    await session.aio.commit()
    gone = await session.aio.get(Customer, key)
    return key, renamed, gone, await session.aio.scalar(select(func.count(Order.id)))


async def lazy_relationship_async(session: Any) -> Any:
    session.add(customer(orders=3))
    await session.aio.commit()
    found = (await session.aio.scalars(select(Customer))).one()
    unloaded = "orders" in inspect(found).unloaded
    totals = [order.total for order in await found.awaitable_attrs.orders]
    return unloaded, totals, await found.awaitable_attrs.notes, found.orders[0].customer is found


async def integrity_error_async(session: Any) -> Any:
    session.add(customer(1, orders=0))
    await session.aio.commit()
    session.add(customer(1, orders=0))
    try:
        await session.aio.commit()
    except IntegrityError as error:
        await session.aio.rollback()
        seen = (type(error.orig).__mro__[0].__name__, str(error.orig), error.statement)
    session.add(customer(2, orders=0))
    await session.aio.commit()
    return seen, (await session.aio.scalars(select(Customer.email).order_by(Customer.id))).all()


async def savepoints_async(session: Any) -> Any:
    session.add(customer(1, orders=0))
    try:
        async with session.aio.begin_nested():
            session.add(customer(1, orders=0))
            await session.aio.flush()
    except IntegrityError:
        pass
    async with session.aio.begin_nested():
        session.add(customer(2, orders=0))
    nested = await session.aio.begin_nested()
    session.add(customer(3, orders=0))
    await session.aio.flush()
    await nested.rollback()
    await session.aio.commit()
    return (await session.aio.scalars(select(Customer.email).order_by(Customer.id))).all()


async def autoflush_async(session: Any) -> Any:
    session.add(customer(1, orders=0))
    seen = await session.aio.scalar(select(func.count(Customer.id)))
    with session.no_autoflush:
        session.add(customer(2, orders=0))
        unseen = await session.aio.scalar(select(func.count(Customer.id)))
    return seen, unseen


async def streaming_async(session: Any) -> Any:
    session.add(customer(orders=0))
    await session.aio.flush()
    await session.aio.execute(
        insert(Order), [{"customer_id": 1, "placed": WHEN, "total": i} for i in range(250)]
    )
    await session.aio.commit()
    statement = select(Order.id).order_by(Order.id)
    result = await session.aio.stream(statement, execution_options={"yield_per": 100})
    sizes = [len(part) async for part in result.partitions()]
    entities = await session.aio.stream_scalars(select(Order).execution_options(yield_per=40))
    first = (await anext(aiter(entities))).id
    await entities.close()
    connection = await session.aio.connection()
    streamed = await connection.stream(statement)
    few = await streamed.fetchmany(3), await streamed.fetchone(), len(await streamed.fetchall())
    return sizes, first, few


#: Flipped forms of the bodies, by the function each must agree with.
ASYNC_BODIES: list[tuple[Callable[[Session], Any], Callable[[Any], Awaitable[Any]]]] = [
    (crud, crud_async),
    (lazy_relationship, lazy_relationship_async),
    (integrity_error, integrity_error_async),
    (savepoints, savepoints_async),
    (autoflush, autoflush_async),
    (streaming, streaming_async),
]
