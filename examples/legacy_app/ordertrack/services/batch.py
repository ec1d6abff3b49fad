"""Doing one thing to many orders."""

import logging

from ordertrack.errors import OrderTrackError

log = logging.getLogger("ordertrack.batch")


def process_each(orders, callback):
    """Call `callback(order)` for each order; returns (number done, errors by order number)."""
    done = 0
    failed = {}
    for order in orders:
        number = order.number
        try:
            callback(order)
        except OrderTrackError as error:
            log.warning("%s: %s", number, error)
            failed[number] = error.message
        else:
            done += 1
    return done, failed
