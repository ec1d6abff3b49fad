"""Taking, changing and cancelling orders."""

from sqlalchemy.orm import Session

from ordertrack.carriers import CARRIERS
from ordertrack.errors import Conflict, NotFound, ValidationError
from ordertrack.models import ORDER_STATUSES, Order, OrderLine
from ordertrack.repositories import CatalogRepository, CustomerRepository, OrderRepository

MAX_PAGE = 100


class OrderService:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.orders = OrderRepository(session)
        self.customers = CustomerRepository(session)
        self.catalog = CatalogRepository(session)

    def get(self, order_id: int) -> Order:
        order = self.orders.get(order_id)
        if order is None:
            raise NotFound(f"no order {order_id}")
        return order

    def page(self, number: int = 1, size: int = 20, status=None, text=None) -> dict:
        if number < 1 or not 1 <= size <= MAX_PAGE:
            raise ValidationError("page out of range", "page")
        if status is not None and status not in ORDER_STATUSES:
            raise ValidationError(f"unknown status: {status}", "status")
        orders, total = self.orders.search(
            status=status, text=text, limit=size, offset=(number - 1) * size
        )
        return {
            "orders": orders,
            "total": total,
            "page": number,
            "pages": max(1, -(-total // size)),
        }

    def detail(self, order_id: int) -> dict:
        """The order and all that belongs to it, as plain data."""
        order = self.get(order_id)
        data = order.to_dict()
        data["customer"] = order.customer.to_dict()
        data["lines"] = [line.to_dict() for line in order.lines]
        data["shipments"] = [shipment.to_dict() for shipment in order.shipments]
        data["total_cents"] = sum(line.total_cents for line in order.lines)
        return data

    def create(self, customer_id: int, items: list[dict], carrier: str = "post") -> Order:
        customer = self.customers.get(customer_id)
        if customer is None:
            raise ValidationError(f"no customer {customer_id}", "customer_id")
        if carrier not in CARRIERS:
            raise ValidationError(f"unknown carrier: {carrier}", "carrier")
        if not items:
            raise ValidationError("an order needs at least one line", "lines")
        lines = [self._line(item) for item in items]
        order = Order(
            number=self.orders.next_number(),
            customer_id=customer.id,
            carrier=carrier,
            status="placed",
            lines=lines,
        )
        self.orders.add(order)
        self.orders.add_event(order, "placed", f"{len(lines)} line(s)")
        self.session.commit()
        return order

    def _line(self, item: dict) -> OrderLine:
        sku = item.get("sku", "")
        quantity = item.get("quantity", 1)
        if not isinstance(quantity, int) or quantity < 1:
            raise ValidationError(f"bad quantity for {sku}", "quantity")
        product = self.catalog.product(sku)
        if product is None:
            raise ValidationError(f"unknown product: {sku}", "sku")
        return OrderLine(
            sku=sku,
            quantity=quantity,
            unit_price_cents=product.price_cents,
            weight_grams=product.weight_grams,
        )

    def cancel(self, order_id: int, reason: str = "") -> Order:
        order = self.get(order_id)
        if order.status not in ("draft", "placed"):
            raise Conflict(f"{order.number} is already {order.status}")
        order.status = "cancelled"
        self.orders.add_event(order, "cancelled", reason)
        self.session.commit()
        return order

    def history(self, order_id: int) -> list[dict]:
        order = self.get(order_id)
        return [
            {"kind": event.kind, "message": event.message, "at": event.created_at.isoformat()}
            for event in order.events
        ]
