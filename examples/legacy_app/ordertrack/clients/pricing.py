"""Pricing service: prices, tax and exchange rates.

The two calls of the quote page share a connection pool; the occasional ones never needed it.
"""

import functools

import requests
from requests.adapters import HTTPAdapter

from ordertrack.errors import NotFound, UpstreamError, UpstreamTimeout


class PricingClient:
    def __init__(self, base_url: str, timeout: float = 10.0, pool_size: int = 10) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.http = requests.Session()
        self.http.headers["Accept"] = "application/json"
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=pool_size)
        self.http.mount("http://", adapter)
        self.http.mount("https://", adapter)

    def price_basket(self, lines: list[dict]) -> dict:
        """Subtotal and discount of a basket of {"sku", "quantity"}."""
        try:
            response = self.http.post(
                f"{self.base_url}/baskets", json={"lines": lines}, timeout=self.timeout
            )
            response.raise_for_status()
            return response.json()
        except requests.exceptions.Timeout as error:
            raise UpstreamTimeout("pricing", "no reply in time") from error
        except requests.exceptions.RequestException as error:
            raise UpstreamError("pricing", "basket could not be priced") from error

    def tax(self, amount_cents: int, country: str) -> dict:
        try:
            response = self.http.get(
                f"{self.base_url}/tax",
                params={"amount_cents": amount_cents, "country": country},
                timeout=self.timeout,
            )
            response.raise_for_status()
            return response.json()
        except requests.exceptions.Timeout as error:
            raise UpstreamTimeout("pricing", "no reply in time") from error
        except requests.exceptions.RequestException as error:
            raise UpstreamError("pricing", "tax could not be found") from error

    def unit_price(self, sku: str) -> int:
        """Today's list price of one product, in cents."""
        try:
            response = requests.get(f"{self.base_url}/prices/{sku}", timeout=(3.05, self.timeout))
        except requests.exceptions.Timeout as error:
            raise UpstreamTimeout("pricing", f"no price for {sku} in time") from error
        except requests.exceptions.ConnectionError as error:
            raise UpstreamError("pricing", "service is down") from error
        if response.status_code == 404:
            raise NotFound(f"no price for {sku}")
        if not response.ok:
            raise UpstreamError("pricing", f"{response.status_code} {response.reason}")
        return response.json()["unit_price_cents"]

    def unit_prices(self, skus) -> dict[str, int]:
        return {sku: self.unit_price(sku) for sku in skus}

    def convert(self, amount_cents: int, currency: str) -> int:
        if currency == "EUR":
            return amount_cents
        return round(amount_cents * exchange_rate(self.base_url, currency))

    def close(self) -> None:
        self.http.close()


@functools.lru_cache(maxsize=64)
def exchange_rate(base_url: str, currency: str) -> float:
    """Units of `currency` for one euro; asked once per process."""
    response = requests.get(f"{base_url}/rates/{currency}")
    response.raise_for_status()
    return response.json()["rate"]
