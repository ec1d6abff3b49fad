from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from ordertrack.models import Customer, Order, OrderEvent, OrderLine, Shipment


class OrderRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, order_id: int) -> Order | None:
        return self.session.get(Order, order_id)

    def get_for_quote(self, order_id: int) -> Order | None:
        """The order with its customer and lines, in one read."""
        options = [joinedload(Order.customer), joinedload(Order.lines)]
        return self.session.get(Order, order_id, options=options)

    def search(self, status=None, customer_id=None, text=None, limit=20, offset=0):
        """Newest first; returns the page and the number of all matches."""
        query = select(Order)
        if status:
            query = query.where(Order.status == status)
        if customer_id:
            query = query.where(Order.customer_id == customer_id)
        if text:
            query = query.join(Order.customer).where(
                Customer.name.ilike(f"%{text}%") | Order.number.ilike(f"%{text}%")
            )
        total = self.session.scalar(select(func.count()).select_from(query.subquery()))
        page = query.order_by(Order.id.desc()).limit(limit).offset(offset)
        return self.session.scalars(page).all(), total

    def open_with_shipments(self) -> list[Order]:
        query = (
            select(Order)
            .where(Order.status == "shipped")
            .options(selectinload(Order.shipments))
            .order_by(Order.id)
        )
        return list(self.session.scalars(query))

    def batch_after(self, last_id: int, size: int) -> list[Order]:
        """The next orders by id, for exports that must not load the whole table."""
        query = (
            select(Order)
            .where(Order.id > last_id)
            .options(joinedload(Order.customer))
            .order_by(Order.id)
            .limit(size)
        )
        return list(self.session.execute(query).scalars())

    def in_month(self, start, end) -> list[Order]:
        return (
            self.session.query(Order)
            .filter(Order.created_at >= start, Order.created_at < end)
            .filter(Order.status != "cancelled")
            .order_by(Order.number)
            .all()
        )

    def count_by_status(self) -> dict[str, int]:
        rows = self.session.execute(
            select(Order.status, func.count(Order.id)).group_by(Order.status)
        ).all()
        return {status: count for status, count in rows}

    def revenue_by_customer(self):
        amount = func.sum(OrderLine.quantity * OrderLine.unit_price_cents)
        return (
            self.session.query(Customer.name, amount)
            .join(Order, Order.customer_id == Customer.id)
            .join(OrderLine, OrderLine.order_id == Order.id)
            .filter(Order.status != "cancelled")
            .group_by(Customer.name)
            .order_by(amount.desc())
            .all()
        )

    def next_number(self) -> str:
        last = self.session.query(func.max(Order.id)).scalar() or 0
        return f"SO-{last + 1:05d}"

    def add(self, order: Order) -> Order:
        self.session.add(order)
        self.session.flush()
        return order

    def add_event(self, order: Order, kind: str, message: str = "") -> OrderEvent:
        event = OrderEvent(order_id=order.id, kind=kind, message=message)
        self.session.add(event)
        return event

    def shipment(self, shipment_id: int) -> Shipment | None:
        return self.session.get(Shipment, shipment_id)
