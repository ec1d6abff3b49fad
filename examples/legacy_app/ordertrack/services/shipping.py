"""Handing orders to carriers and following them."""

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.orm import Session

from ordertrack.carriers import RATED, make_carrier
from ordertrack.clients.carriers import CarrierClient
from ordertrack.errors import Conflict, NotFound, UpstreamError
from ordertrack.models import Order, Shipment
from ordertrack.repositories import OrderRepository


def parcel_weight(order: Order) -> int:
    return sum(line.quantity * line.weight_grams for line in order.lines)


def compare_rates(client: CarrierClient, weight_grams: int, country: str) -> list[dict]:
    """Ask all carriers at once; those that do not answer are left out. Cheapest first."""
    rates = []
    with ThreadPoolExecutor(max_workers=len(RATED)) as pool:
        futures = [pool.submit(client.rate, code, weight_grams, country) for code in RATED]
        for future in futures:
            try:
                rates.append(future.result())
            except UpstreamError:
                continue
    return sorted(rates, key=lambda rate: rate["price_cents"])


class ShippingService:
    def __init__(self, session: Session, client: CarrierClient, data_dir: str) -> None:
        self.session = session
        self.orders = OrderRepository(session)
        self.client = client
        self.data_dir = data_dir

    def rates(self, order_id: int) -> list[dict]:
        order = self._order(order_id)
        return compare_rates(self.client, parcel_weight(order), order.customer.country)

    def ship(self, order_id: int) -> Shipment:
        """Book the parcel with the order's carrier; the order is shipped afterwards."""
        order = self._order(order_id)
        if order.status != "placed":
            raise Conflict(f"{order.number} is {order.status}")
        carrier = make_carrier(order.carrier, self.client)
        if not carrier.is_available:
            raise UpstreamError("carriers", f"{order.carrier} is not available")
        number = carrier.book(order.number, parcel_weight(order), order.customer.country)
        shipment = Shipment(order_id=order.id, carrier=carrier.code, tracking_number=number)
        self.session.add(shipment)
        order.status = "shipped"
        self.orders.add_event(order, "shipped", number)
        self.session.commit()
        return shipment

    def shipment(self, shipment_id: int) -> Shipment:
        shipment = self.orders.shipment(shipment_id)
        if shipment is None:
            raise NotFound(f"no shipment {shipment_id}")
        return shipment

    def track(self, shipment_id: int) -> dict:
        shipment = self.shipment(shipment_id)
        events = self.client.tracking(shipment.carrier, shipment.tracking_number)
        return {"tracking_number": shipment.tracking_number, "events": events}

    def refresh(self, order: Order) -> None:
        """Bring the shipments of one order up to date; nothing is committed here."""
        for shipment in order.shipments:
            events = self.client.tracking(shipment.carrier, shipment.tracking_number)
            if events:
                shipment.status = events[-1]
        if order.shipments and all(item.status == "delivered" for item in order.shipments):
            order.status = "delivered"
            self.orders.add_event(order, "delivered")

    def label(self, shipment_id: int) -> str:
        """Path of the label PDF, fetched from the carrier the first time."""
        shipment = self.shipment(shipment_id)
        if shipment.label_path and os.path.exists(shipment.label_path):
            return shipment.label_path
        folder = os.path.join(self.data_dir, "labels")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{shipment.tracking_number}.pdf")
        self.client.download_label(shipment.carrier, shipment.tracking_number, path)
        shipment.label_path = path
        self.session.commit()
        return path

    def proof_path(self, shipment_id: int) -> str:
        folder = os.path.join(self.data_dir, "proofs")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, f"shipment-{shipment_id}.jpg")

    def send_proof(self, shipment_id: int, path: str) -> Shipment:
        shipment = self.shipment(shipment_id)
        shipment.proof_reference = self.client.upload_proof(
            shipment.carrier, shipment.tracking_number, path
        )
        self.orders.add_event(shipment.order, "proof", shipment.proof_reference)
        self.session.commit()
        return shipment

    def _order(self, order_id: int) -> Order:
        order = self.orders.get(order_id)
        if order is None:
            raise NotFound(f"no order {order_id}")
        return order
