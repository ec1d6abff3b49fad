"""What is particular to each carrier when a parcel is handed over."""

from ordertrack.clients.carriers import CarrierClient
from ordertrack.errors import ValidationError


class Carrier:
    """Register the parcel, nothing else."""

    code = ""
    max_grams = 31_500

    def __init__(self, client: CarrierClient) -> None:
        self.client = client

    @property
    def is_available(self) -> bool:
        """Asks the carrier each time: outages are short and frequent."""
        return self.client.is_up(self.code)

    def check(self, weight_grams: int) -> None:
        if weight_grams > self.max_grams:
            raise ValidationError(f"too heavy for {self.code}: {weight_grams} g", "carrier")

    def book(self, reference: str, weight_grams: int, country: str) -> str:
        """Hand a parcel over; returns the tracking number."""
        self.check(weight_grams)
        return self.client.register(self.code, reference, weight_grams, country)


class Post(Carrier):
    code = "post"
    max_grams = 10_000


class Courier(Carrier):
    """Couriers come only when they are called."""

    code = "courier"

    def book(self, reference: str, weight_grams: int, country: str) -> str:
        number = super().book(reference, weight_grams, country)
        self.client.order_pickup(self.code, number)
        return number


class Freight(Carrier):
    """Freight is refused above the limit agreed with the forwarder."""

    code = "freight"
    max_grams = 500_000
    price_limit_cents = 50_000

    def book(self, reference: str, weight_grams: int, country: str) -> str:
        self.check(weight_grams)
        rate = self.client.rate(self.code, weight_grams, country)
        if rate["price_cents"] > self.price_limit_cents:
            raise ValidationError("freight above the agreed limit", "carrier")
        return self.client.register(self.code, f"F/{reference}", weight_grams, country)


CARRIERS = {"post": Post, "courier": Courier, "freight": Freight}
RATED = tuple(CARRIERS)


def make_carrier(code: str, client: CarrierClient) -> Carrier:
    if code not in CARRIERS:
        raise ValidationError(f"unknown carrier: {code}", "carrier")
    return CARRIERS[code](client)
