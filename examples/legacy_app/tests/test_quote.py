import pytest
import requests


def test_quote_adds_up(client):
    reply = client.get("/api/orders/1/quote")
    assert reply.status_code == 200
    quote = reply.get_json()
    assert quote["order"] == "SO-00001"
    assert quote["carrier"] == "post"
    net = quote["subtotal_cents"] - quote["discount_cents"] + quote["shipping_cents"]
    assert quote["total_cents"] == net + quote["tax_cents"]


@pytest.mark.parametrize(
    ("order_id", "carrier", "rate"), [(1, "post", 0.19), (3, "courier", 0.20), (6, "post", 0.0)]
)
def test_quote_taxes_by_country(client, order_id, carrier, rate):
    quote = client.get(f"/api/orders/{order_id}/quote").get_json()
    assert quote["carrier"] == carrier
    assert quote["tax_rate"] == rate


def test_quote_needs_no_login(client):
    with client.session_transaction() as session:
        assert "user_id" not in session
    assert client.get("/api/orders/2/quote").status_code == 200


def test_quote_of_unknown_order(client):
    reply = client.get("/api/orders/999/quote")
    assert reply.status_code == 404
    assert reply.get_json()["error"] == "not_found"


def test_quote_calls_three_upstreams(client, control):
    client.get("/api/orders/1/quote")
    seen = control.seen()
    assert seen["counts"] == {"pricing": 2, "carriers": 1}
    assert [call["path"] for call in seen["recent"]] == [
        "/pricing/baskets",
        "/carriers/post/rates",
        "/pricing/tax",
    ]


def test_quote_when_pricing_fails(client, control):
    control.fault("pricing", status=500)
    reply = client.get("/api/orders/1/quote")
    assert reply.status_code == 502
    assert reply.get_json()["error"] == "upstream_error"


def test_quote_when_pricing_hangs(app, client, control):
    app.extensions["pricing"].timeout = 0.05
    control.fault("pricing", delay_ms=500)
    reply = client.get("/api/orders/1/quote")
    assert reply.status_code == 504
    assert reply.get_json()["error"] == "upstream_timeout"


def test_quote_when_pricing_drops_the_connection(client, control):
    control.fault("pricing", drop=True, path="/tax")
    assert client.get("/api/orders/1/quote").status_code == 502


def test_quote_retries_the_carriers(client, control):
    control.fault("carriers", status=503, count=2)
    assert client.get("/api/orders/1/quote").status_code == 200
    assert control.seen()["counts"]["carriers"] == 3


def test_quote_gives_up_on_the_carriers(client, control):
    control.fault("carriers", status=503, count=-1)
    assert client.get("/api/orders/1/quote").status_code == 502


def test_stub_is_reachable(upstreams):
    reply = requests.get(f"{upstreams}/pricing/prices/MUG-BLUE", timeout=5)
    assert reply.json()["unit_price_cents"] > 0
