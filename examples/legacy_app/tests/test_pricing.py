from unittest import mock

import pytest
import requests

from ordertrack.clients.pricing import PricingClient, exchange_rate
from ordertrack.errors import NotFound, UpstreamError, UpstreamTimeout
from ordertrack.services.catalog import CatalogService


@pytest.fixture
def pricing(app):
    return app.extensions["pricing"]


def reply_with(status, data):
    reply = mock.Mock(status_code=status, ok=status < 400, reason="Reason")
    reply.json.return_value = data
    return reply


def test_unit_price(pricing):
    assert pricing.unit_price("MUG-BLUE") == 2824


def test_unit_price_with_a_mock():
    with mock.patch("ordertrack.clients.pricing.requests.get") as get:
        get.return_value = reply_with(200, {"unit_price_cents": 777})
        assert PricingClient("http://pricing.test").unit_price("MUG") == 777
    get.assert_called_once_with("http://pricing.test/prices/MUG", timeout=(3.05, 10.0))


def test_unit_price_unknown():
    with mock.patch("ordertrack.clients.pricing.requests.get") as get:
        get.return_value = reply_with(404, {})
        with pytest.raises(NotFound):
            PricingClient("http://pricing.test").unit_price("MUG")


def test_unit_price_refused():
    with mock.patch("ordertrack.clients.pricing.requests.get", return_value=reply_with(500, {})):
        with pytest.raises(UpstreamError, match="500"):
            PricingClient("http://pricing.test").unit_price("MUG")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.exceptions.ReadTimeout, UpstreamTimeout),
        (requests.exceptions.ConnectTimeout, UpstreamTimeout),
        (requests.exceptions.ConnectionError, UpstreamError),
    ],
)
def test_unit_price_errors(raised, expected):
    with mock.patch("ordertrack.clients.pricing.requests.get", side_effect=raised("no")):
        with pytest.raises(expected):
            PricingClient("http://pricing.test").unit_price("MUG")


def test_unit_prices(pricing):
    prices = pricing.unit_prices(["MUG-BLUE", "MUG-RED"])
    assert sorted(prices) == ["MUG-BLUE", "MUG-RED"]


def test_basket_discount(pricing):
    small = pricing.price_basket([{"sku": "MUG-BLUE", "quantity": 1}])
    large = pricing.price_basket([{"sku": "MUG-BLUE", "quantity": 100}])
    assert small["discount_cents"] == 0
    assert large["discount_cents"] == large["subtotal_cents"] // 10


@pytest.mark.parametrize(("country", "cents"), [("DE", 190), ("FR", 200), ("NL", 210), ("US", 0)])
def test_tax(pricing, country, cents):
    assert pricing.tax(1000, country)["tax_cents"] == cents


def test_exchange_rate_is_asked_once(pricing, control):
    assert pricing.convert(1000, "USD") == 1100
    assert pricing.convert(2000, "USD") == 2200
    assert control.seen()["counts"]["pricing"] == 1
    assert exchange_rate.cache_info().hits == 1


def test_euro_needs_no_rate(pricing, control):
    assert pricing.convert(1000, "EUR") == 1000
    assert control.seen()["counts"] == {}


def test_product_price(client):
    data = client.get("/api/products/MUG-BLUE/price?currency=USD").get_json()
    assert data["price_cents"] == round(2824 * 1.1)
    assert data["currency"] == "USD"


def test_price_of_unknown_product(client):
    assert client.get("/api/products/NOTHING/price").status_code == 404


def test_products(client):
    products = client.get("/api/products").get_json()["products"]
    assert [product["sku"] for product in products][:2] == ["LAMP-DESK", "MUG-BLUE"]


def test_category_tree(client):
    tree = client.get("/api/categories").get_json()["categories"]
    assert [node["name"] for node in tree] == ["Furniture", "Home"]
    kitchen = tree[1]["children"][0]
    assert kitchen["name"] == "Kitchen"
    assert [(node["name"], node["products"]) for node in kitchen["children"]] == [
        ("Mugs", 2),
        ("Plates", 1),
    ]


def test_refresh_prices(session, monkeypatch):
    monkeypatch.setattr(PricingClient, "unit_price", lambda self, sku: 1200)
    service = CatalogService(session, PricingClient("http://pricing.test"))
    assert service.refresh_prices() == 4
    assert service.refresh_prices() == 0


def test_refresh_some_prices(session, monkeypatch):
    asked = []

    def unit_price(self, sku):
        asked.append(sku)
        return 1

    monkeypatch.setattr(PricingClient, "unit_price", unit_price)
    service = CatalogService(session, PricingClient("http://pricing.test"))
    assert service.refresh_prices(["MUG-RED", "SOFA-3"]) == 2
    assert asked == ["MUG-RED", "SOFA-3"]
