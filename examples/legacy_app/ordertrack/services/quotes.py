"""Quotes: what an order costs today, delivered and taxed."""

from sqlalchemy.orm import Session

from ordertrack.clients.carriers import CarrierClient
from ordertrack.clients.pricing import PricingClient
from ordertrack.errors import NotFound
from ordertrack.repositories import OrderRepository


class QuoteService:
    def __init__(self, session: Session, pricing: PricingClient, carriers: CarrierClient) -> None:
        self.session = session
        self.orders = OrderRepository(session)
        self.pricing = pricing
        self.carriers = carriers

    def quote_order(self, order_id: int) -> dict:
        order = self.orders.get_for_quote(order_id)
        if order is None:
            raise NotFound(f"no order {order_id}")
        number = order.number
        carrier = order.carrier
        country = order.customer.country
        basket = [{"sku": line.sku, "quantity": line.quantity} for line in order.lines]
        weight = sum(line.quantity * line.weight_grams for line in order.lines)
        # The connection goes back to the pool: the upstreams are slow, connections are few.
        self.session.close()

        price = self.pricing.price_basket(basket)
        rate = self.carriers.rate(carrier, weight, country)
        net = price["subtotal_cents"] - price["discount_cents"] + rate["price_cents"]
        tax = self.pricing.tax(net, country)
        return {
            "order": number,
            "subtotal_cents": price["subtotal_cents"],
            "discount_cents": price["discount_cents"],
            "shipping_cents": rate["price_cents"],
            "shipping_days": rate["days"],
            "carrier": carrier,
            "tax_rate": tax["rate"],
            "tax_cents": tax["tax_cents"],
            "total_cents": net + tax["tax_cents"],
        }
