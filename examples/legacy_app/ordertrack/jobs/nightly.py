"""The nightly run: tracking first, then a new summary of every customer."""

import logging
import time

from sqlalchemy.orm import Session

from ordertrack.clients.carriers import CarrierClient
from ordertrack.clients.summary import SummaryClient
from ordertrack.errors import RateLimited, UpstreamError
from ordertrack.models import Customer, utcnow
from ordertrack.ratelimit import RateLimiter
from ordertrack.repositories import CustomerRepository, OrderRepository
from ordertrack.services.batch import process_each
from ordertrack.services.shipping import ShippingService

log = logging.getLogger("ordertrack.nightly")


def describe_customer(customer: Customer) -> str:
    """The text handed to the summary service."""
    parts = [f"{customer.name} of {customer.country} has {len(customer.orders)} orders."]
    for order in customer.orders:
        skus = ", ".join(line.sku for line in order.lines)
        parts.append(f"{order.number} is {order.status}: {skus}.")
    if customer.notes:
        parts.append(customer.notes)
    return " ".join(parts)


def summarise_customer(
    customer: Customer, client: SummaryClient, limiter: RateLimiter, attempts: int = 3
) -> bool:
    """One call, within the limit; waits as long as the service says when it refuses."""
    text = describe_customer(customer)
    for _ in range(attempts):
        limiter.wait()
        try:
            customer.summary = client.summarise(text)
        except RateLimited as error:
            time.sleep(error.retry_after)
            continue
        except UpstreamError as error:
            log.warning("no summary for %s: %s", customer.email, error)
            return False
        customer.summarised_at = utcnow()
        return True
    return False


def summarise_all(session: Session, client: SummaryClient, limiter: RateLimiter) -> dict:
    """Summaries are committed one by one: a run that breaks off is not lost."""
    customers = CustomerRepository(session).all()
    done = 0
    for customer in customers:
        if summarise_customer(customer, client, limiter):
            done += 1
        session.commit()
    return {"customers": len(customers), "summarised": done}


def refresh_tracking(session: Session, carriers: CarrierClient, data_dir: str) -> dict:
    shipping = ShippingService(session, carriers, data_dir)
    orders = OrderRepository(session).open_with_shipments()
    done, failed = process_each(orders, shipping.refresh)
    session.commit()
    return {"refreshed": done, "failed": failed}


def run_nightly(
    session: Session,
    carriers: CarrierClient,
    summary: SummaryClient,
    limiter: RateLimiter,
    data_dir: str,
) -> dict:
    started = time.monotonic()
    result = refresh_tracking(session, carriers, data_dir)
    result.update(summarise_all(session, summary, limiter))
    log.info("nightly run: %s in %.1f s", result, time.monotonic() - started)
    return result
