"""Numbers for the office, and the export for the accountant."""

import csv
import io

from sqlalchemy.orm import Session

from ordertrack.clients.pricing import PricingClient
from ordertrack.decorators import timed
from ordertrack.repositories import OrderRepository

CSV_HEADER = ["number", "date", "customer", "country", "status", "total_cents"]


def csv_line(values) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()


class ReportService:
    def __init__(self, session: Session, pricing: PricingClient) -> None:
        self.orders = OrderRepository(session)
        self.pricing = pricing

    @timed("overview report")
    def overview(self, currency: str = "EUR") -> dict:
        revenue = [
            {"customer": name, "revenue_cents": self.pricing.convert(int(cents), currency)}
            for name, cents in self.orders.revenue_by_customer()
        ]
        counts = self.orders.count_by_status()
        return {"currency": currency, "orders": counts, "revenue": revenue}

    def export_csv(self, batch_size: int = 50):
        """Yield the export line by line; the table is read in batches."""
        yield csv_line(CSV_HEADER)
        last_id = 0
        while True:
            orders = self.orders.batch_after(last_id, batch_size)
            if not orders:
                return
            for order in orders:
                total = sum(line.total_cents for line in order.lines)
                yield csv_line(
                    [
                        order.number,
                        order.created_at.date().isoformat(),
                        order.customer.name,
                        order.customer.country,
                        order.status,
                        total,
                    ]
                )
            last_id = orders[-1].id
