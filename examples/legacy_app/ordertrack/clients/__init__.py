"""Clients of the upstream services. One of each is made per application."""

from flask import Flask, current_app

from ordertrack.clients.carriers import CarrierClient
from ordertrack.clients.pricing import PricingClient
from ordertrack.clients.summary import SummaryClient


def init_clients(app: Flask) -> None:
    config = app.config
    app.extensions["pricing"] = PricingClient(
        config["PRICING_URL"],
        timeout=config["HTTP_TIMEOUT"],
        pool_size=config["HTTP_POOL_SIZE"],
    )
    app.extensions["carriers"] = CarrierClient(
        config["CARRIERS_URL"],
        config["CARRIERS_TOKEN"],
        timeout=config["HTTP_TIMEOUT"],
        retries=config["HTTP_RETRIES"],
        pool_size=config["HTTP_POOL_SIZE"],
    )


def get_pricing() -> PricingClient:
    return current_app.extensions["pricing"]


def get_carriers() -> CarrierClient:
    return current_app.extensions["carriers"]


def get_summary() -> SummaryClient:
    """Made on first use: the constructor logs in."""
    client = current_app.extensions.get("summary")
    if client is None:
        config = current_app.config
        client = SummaryClient(config["SUMMARY_URL"], config["SUMMARY_API_KEY"])
        current_app.extensions["summary"] = client
    return client
